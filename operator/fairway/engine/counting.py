"""Asks one provider for the counts of all open runs: one query per metric family, just after the next samples."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from fairway.core import objectives
from fairway.core.judgement import Trouble
from fairway.core.objectives import Family
from fairway.core.verdict import Key, Question, SeriesMatcher
from fairway.engine import whose
from fairway.engine.track import GUESS, SOON, Open, Track
from fairway.engine.whose import Sides
from fairway.ports import Clock, Endpoint, MetricsError, QueryRefusedError, RawSeries, Selector, TooLargeError

CHUNK = 50
"""Models per query."""
LEAST_CHUNK = 8
TOGETHER = 0.1
"""Questions due within this many seconds share a query."""
PER_INTERVAL = 4
"""Queries of one family and chunk in a scrape interval, at most: pods are scraped at all moments of it, ..."""
PATIENCE = 0.05
"""... and for each model that shares a query it may wait this many seconds longer for others to join."""
TOO_LARGE_PAUSE = 60.0

Pair = tuple[Open, Track]
_Group = tuple[Family, bool, Key | None]


@dataclass(slots=True)
class _Pace:
    """When a group was asked last, and how many models fit into an answer."""

    asked: float = float("-inf")
    chunk: int = CHUNK


class Counting:
    """The questions about counts to one provider."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        tracks: Callable[[], Iterable[Pair]],
        concluded: Callable[[Open, bool], None],
        *,
        forgiving: bool = False,
    ) -> None:
        """``forgiving`` ones log an unexpected exception and go on."""
        self._endpoint = endpoint
        self._clock = clock
        self._tracks = tracks
        self._concluded = concluded
        self._forgiving = forgiving
        self._paces: dict[_Group, _Pace] = {}

    async def poll(self) -> None:
        """Ask what is due."""
        horizon = self._clock.now() + TOGETHER
        groups = self._groups()
        await asyncio.gather(
            *(self._ask_group(group, pairs) for group, pairs in groups.items() if self._due(group, pairs) <= horizon)
        )

    def rest(self) -> float | None:
        """Return the seconds until something is due, None for never."""
        due = min((self._due(group, pairs) for group, pairs in self._groups().items()), default=float("inf"))
        return None if due == float("inf") else max(SOON, due - self._clock.now())

    def _groups(self) -> dict[_Group, list[Pair]]:
        groups: dict[_Group, list[Pair]] = {}
        for known, track in self._tracks():
            alone = known.question.key if track.alone else None
            groups.setdefault((objectives.family(track.objective), track.look_back, alone), []).append((known, track))
        self._paces = {group: self._paces.get(group) or _Pace() for group in groups}
        return groups

    def _due(self, group: _Group, pairs: Sequence[Pair]) -> float:
        """Return when to ask a group: the more models share its queries, the longer one waits for others."""
        scrape = self._endpoint.scrape_interval or min((t.tally.scrape or GUESS for _, t in pairs), default=GUESS)
        apart = min(scrape / PER_INTERVAL, PATIENCE * len(pairs))
        return max(min(track.due for _, track in pairs), self._paces[group].asked + apart)

    async def _ask_group(self, group: _Group, pairs: Sequence[Pair]) -> None:
        now, pace = self._clock.now(), self._paces[group]
        pace.asked = now
        due = [pair for pair in pairs if pair[1].due <= now + TOGETHER]
        chunks = [due[start : start + pace.chunk] for start in range(0, len(due), pace.chunk)]
        fitted = await asyncio.gather(*(self._ask(group[0], chunk) for chunk in chunks))
        # Answers that were too large cost two more each: ask for less, and try for more again little by little.
        pace.chunk = min(CHUNK, pace.chunk + 1) if all(fitted) else max(LEAST_CHUNK, pace.chunk // 2)

    async def _ask(self, family: Family, pairs: Sequence[Pair]) -> bool:
        """Ask for some models at once; return whether the answer fitted."""
        try:
            window = max(track.window(known.question, self._clock.now()) for known, track in pairs)
            answer = await self._endpoint.source.raw(self._selectors(family, pairs), window)
            sorted_ = self._sorted(family, pairs, answer)
        except (TooLargeError, QueryRefusedError) as error:
            await self._ask_less(family, pairs, error)
            return False
        except MetricsError as error:
            for known, track in pairs:
                trouble = Trouble("ProviderError", f"the metrics provider: {error}")
                track.fail(track.objective.name, known.question, trouble, self._clock.now())
                self._concluded(known, False)
        except Exception as error:
            if not self._forgiving:
                raise
            for known, track in pairs:
                track.stumble(error, track.objective.name, known.question, self._clock.now())
                self._concluded(known, False)
        else:
            for pair, sides in zip(pairs, sorted_, strict=True):
                self._take(pair, sides)
                await asyncio.sleep(0)  # A long history takes milliseconds per model: others get their turn.
        return True

    def _take(self, pair: Pair, sides: Sides) -> None:
        known, track = pair
        grew = False
        try:
            grew = track.take(known.question, sides, self._clock.now())
        except Exception as error:
            if not self._forgiving:
                raise
            track.stumble(error, track.objective.name, known.question, self._clock.now())
        self._concluded(known, grew)

    async def _ask_less(self, family: Family, pairs: Sequence[Pair], error: MetricsError) -> None:
        """Halve what is too large or refused down to the one model that is to blame, which alone gets nothing.

        First it is asked for less history: after an interruption it may be that alone which is too large.
        """
        middle = len(pairs) // 2
        known, track = pairs[0]
        if middle:
            await self._ask(family, pairs[:middle])
            await self._ask(family, pairs[middle:])
        elif track.look_back:
            track.look_back = False
            await self._ask(family, pairs)
        elif isinstance(error, TooLargeError) and track.shorten(known.question, self._clock.now()):
            await self._ask(family, pairs)
        else:
            track.obstruct(track.objective.name, known.question, _blame(family, error))
            track.alone, track.due = True, self._clock.now() + TOO_LARGE_PAUSE
            self._concluded(known, False)

    def _selectors(self, family: Family, pairs: Sequence[Pair]) -> list[Selector]:
        """Return the selectors for all these models; what they match too many is left out when the answer is read."""
        matchers = whose.matchers(family, _questions(pairs), self._endpoint.revision_label)
        tracks = [track for _, track in pairs]
        if tracks[0].objective.kind == "latency" and not any(track.all_edges for track in tracks):
            edges = [(t.edges.high, t.edges.low) if t.edges else (t.objective.edge or 0.0,) for t in tracks]
            matchers.append(SeriesMatcher("le", "=~", objectives.le_values(chain.from_iterable(edges))))
        names = [family.metric, *([family.second] if family.second else [])]
        return [Selector(name, (*matchers, *family.matchers)) for name in names]

    def _sorted(self, family: Family, pairs: Sequence[Pair], answer: Sequence[RawSeries]) -> list[Sides]:
        return whose.sort(_questions(pairs), family.owner, answer, self._endpoint.revision_label)


def _questions(pairs: Sequence[Pair]) -> list[Question]:
    return [known.question for known, _ in pairs]


def _blame(family: Family, error: MetricsError) -> Trouble:
    """Say why one model alone cannot be asked for."""
    if isinstance(error, QueryRefusedError):
        return Trouble("NoData", f"the provider refuses its matchers of {family.metric}: {error}", "InvalidQuery")
    return Trouble("NoData", f"too many series of {family.metric}: {error}", "TooManySeries")
