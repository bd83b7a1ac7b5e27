"""Asks the metrics provider about all open runs, just after their next samples, and keeps the evidence."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from fairway.core import checkpoint, objectives
from fairway.core.counters import common_edges, cumulate, is_plausible
from fairway.core.counts import Tally
from fairway.core.evidence import Evidence, bar, weigh
from fairway.core.judgement import Case, Trouble, judge
from fairway.core.objectives import Edges, Family, Side
from fairway.core.verdict import Key, ObjectivePlan, Question, Reading, SeriesMatcher
from fairway.ports import Clock, MetricsError, MetricsSource, RawSeries, Selector, TooLargeError

log = logging.getLogger(__name__)

CHUNK = 50
"""Models per query."""
INGESTED = 0.25
"""Seconds from a scrape's timestamp until its samples can be read."""
SOON, SOON_TIMES = 0.3, 5
"""A sample that is late is asked for again after this long, this many times, ..."""
LATER, LATER_TIMES = 1.0, 60
"""... then after this long, and in the end once per scrape interval."""
TOGETHER = 0.1
"""Questions due within this many seconds share a query."""
MIN_WINDOW, MAX_WINDOW = 90.0, 3600.0
HISTORY = 900.0
"""Seconds that a new run looks back once, to know how bursty stable's errors are before it judges by them."""
GUESS = 15.0
"""Scrape interval in seconds while nothing is known about it."""
TOO_LARGE_PAUSE = 60.0

Pause = Callable[[float | None], Awaitable[None]]
_Sides = dict[Side, list[RawSeries]]


@dataclass(slots=True)
class _Track:
    """One objective of one open question: its counts, its evidence, and when to ask again."""

    objective: ObjectivePlan
    tally: Tally
    evidence: Evidence
    trouble: Trouble | None = None
    edges: Edges | None = None
    all_edges: bool = False
    """The bucket at the limit is missing: ask for all of them once, to choose others."""
    look_back: bool = False
    due: float = 0.0
    tries: int = 0
    asked: bool = False

    @property
    def case(self) -> Case:
        """Return what judgement needs."""
        tally = self.tally
        return Case(self.objective, self.evidence, self.trouble, self.edges, dict(tally.newest), tally.scrape)


@dataclass(slots=True)
class _Open:
    """One question and what is known about it."""

    question: Question
    tracks: dict[str, _Track] = field(default_factory=dict)
    reading: Reading | None = None


class Analysis:
    """Answers questions with readings. Queries per minute do not grow with idle models: only open runs are asked."""

    def __init__(
        self,
        source: MetricsSource | None,
        clock: Clock,
        changed: Callable[[Key], None],
        *,
        scrape_interval: float | None = None,
        pause: Pause | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._changed = changed
        self._setting = scrape_interval
        self._pause = pause or self._sleep
        self._open: dict[Key, _Open] = {}
        self._wake = asyncio.Event()

    def ask(self, question: Question) -> None:
        """Open a question, or tell news about an open one. The same run goes on; another starts from its checkpoint."""
        known = self._open.get(question.key)
        if known is None or _identity(known.question) != _identity(question):
            known = self._open[question.key] = _Open(checkpoint.pinned(question))
        known.question = replace(question, tests=known.question.tests)
        if [t.objective for t in known.tracks.values()] != list(question.objectives):
            self._plan(known)

    def forget(self, key: Key) -> None:
        """Close the question about a model."""
        self._open.pop(key, None)

    def reading(self, key: Key, run: str) -> Reading | None:
        """Return the latest verdict about a run; None before the first answer."""
        known = self._open.get(key)
        return known.reading if known and known.question.run == run else None

    def _plan(self, known: _Open) -> None:
        """Track each objective: unchanged ones go on, new ones start at their checkpoint or at the route."""
        question, before = known.question, known.tracks
        stored = checkpoint.load(question) if not before else {}
        known.tracks = {}
        for objective in question.objectives:
            track = before.get(objective.name)
            if track is None or track.objective != objective:
                track = self._track(question, objective, stored.get(objective.name))
            known.tracks[objective.name] = track
        if not any(track.trouble is None for track in known.tracks.values()):
            known.reading = judge(question, [track.case for track in known.tracks.values()], self._clock.now())
        self._wake.set()

    def _track(self, question: Question, objective: ObjectivePlan, stored: Evidence | None) -> _Track:
        evidence = stored or Evidence()
        tally = Tally(after=max(question.since, evidence.at), resumed=stored is not None, setting=self._setting)
        track = _Track(objective, tally, evidence, look_back=stored is None and question.beside is not None)
        problem = "no metrics provider is configured" if self._source is None else objective.problem
        if problem:
            track.trouble, track.due, track.asked = Trouble("NoData", problem), float("inf"), True
        return track

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            due = await self.poll()
            await self._pause(due)

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep until then (None: for ever), or until something new is asked."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def poll(self) -> float | None:
        """Ask what is due, one query per metric family and chunk; return the seconds until more is, None for never."""
        horizon = self._clock.now() + TOGETHER
        queries: dict[tuple[Family, bool], list[tuple[_Open, _Track]]] = {}
        for known in self._open.values():
            for track in known.tracks.values():
                if track.due <= horizon:
                    together = objectives.family(track.objective), track.look_back
                    queries.setdefault(together, []).append((known, track))
        await asyncio.gather(
            *(
                self._ask_chunk(family, asked[start : start + CHUNK])
                for (family, _), asked in queries.items()
                for start in range(0, len(asked), CHUNK)
            )
        )
        due = min((t.due for known in self._open.values() for t in known.tracks.values()), default=float("inf"))
        return None if due == float("inf") else max(SOON, due - self._clock.now())

    async def _ask_chunk(self, family: Family, asked: Sequence[tuple[_Open, _Track]]) -> None:
        """Ask for some models at once; an answer over the size cap is halved down to the one that is too large."""
        assert self._source is not None
        window = max(_window(track, self._clock.now()) for _, track in asked)
        try:
            answer = await self._source.raw([_selector(family, asked)], window)
        except TooLargeError as error:
            await self._ask_less(family, asked, error)
        except MetricsError as error:
            self._fail(asked, Trouble("ProviderError", f"the metrics provider: {error}"), None)
        else:
            for (known, track), sides in zip(asked, _sorted(asked, answer), strict=True):
                self._take(known, track, sides)
                await asyncio.sleep(0)  # A long history takes milliseconds per model: others get their turn.

    async def _ask_less(self, family: Family, asked: Sequence[tuple[_Open, _Track]], error: TooLargeError) -> None:
        middle = len(asked) // 2
        if middle:
            await self._ask_chunk(family, asked[:middle])
            await self._ask_chunk(family, asked[middle:])
        elif asked[0][1].look_back:
            asked[0][1].look_back = False
            await self._ask_chunk(family, asked)
        else:
            self._fail(asked, Trouble("NoData", f"too many series of {family.metric}: {error}"), TOO_LARGE_PAUSE)

    def _fail(self, asked: Sequence[tuple[_Open, _Track]], trouble: Trouble, pause: float | None) -> None:
        for known, track in asked:
            if track.trouble != trouble:
                about = dict(zip(("namespace", "model"), known.question.key, strict=True))
                log.warning("%s: %s", track.objective.name, trouble.message, extra=about)
            track.trouble = trouble
            track.tries += 1
            track.due = self._clock.now() + (pause or min(LATER * track.tries, GUESS))
            self._conclude(known, track, grew=False)

    def _take(self, known: _Open, track: _Track, sides: _Sides) -> None:
        """Count an answer, weigh the intervals that it closes, and plan the next question."""
        track.trouble = _obstacle(track, [*sides["candidate"], *sides["stable"]])
        before = track.tally.newest.get("candidate")
        grew = False
        if track.trouble is None:
            counts = {s: cumulate(track.objective, track.edges, sides[s]) for s in sides}
            for interval in track.tally.absorb(counts["candidate"], counts["stable"], self._clock.now()):
                track.evidence = weigh(track.evidence, track.objective, bar(known.question), interval)
                grew = grew or interval.counted
        track.look_back = track.look_back and track.tally.start is None
        progress = track.tally.newest.get("candidate") != before and not track.tally.waiting
        track.tries = 0 if progress else track.tries + 1
        track.due = self._next(known.question, track)
        self._conclude(known, track, grew=grew)

    def _next(self, question: Question, track: _Track) -> float:
        """Return when the next sample can be there; a clock that differs from the provider's must not delay it."""
        now, scrape = self._clock.now(), track.tally.scrape or GUESS
        if track.trouble:
            return now + scrape
        if track.all_edges:
            return now
        if track.tries == 0 and track.tally.start is not None:
            return min(max(track.tally.start + scrape + INGESTED, now + SOON), now + scrape + INGESTED)
        if "candidate" not in track.tally.newest:
            return now + (LATER if now - question.since < LATER_TIMES else scrape)
        if track.tries <= SOON_TIMES:
            return now + SOON
        return now + (LATER if track.tries < LATER_TIMES else scrape)

    def _conclude(self, known: _Open, track: _Track, *, grew: bool) -> None:
        """Judge again once every objective was asked, and tell if the verdict or the evidence moved."""
        track.asked = True
        if self._open.get(known.question.key) is not known or not all(t.asked for t in known.tracks.values()):
            return
        before = known.reading
        known.reading = judge(known.question, [t.case for t in known.tracks.values()], self._clock.now())
        if grew or before is None or before.state != known.reading.state:
            self._changed(known.question.key)


def _identity(question: Question) -> tuple[str, str, str | None]:
    return question.run, question.candidate, question.stable


def _window(track: _Track, now: float) -> float:
    """Return the seconds to look back: to the last used sample and one interval further."""
    scrape = track.tally.scrape or GUESS
    used = track.tally.start if track.tally.start is not None else track.tally.after
    return min(max(HISTORY if track.look_back else MIN_WINDOW, 3 * scrape, now - used + scrape), MAX_WINDOW)


def _selector(family: Family, asked: Sequence[tuple[_Open, _Track]]) -> Selector:
    """Return one selector for all these models; what it matches too many is left out when the answer is read."""
    namespaces = "|".join(sorted({objectives.literal(known.question.key[0]) for known, _ in asked}))
    pods = "|".join(sorted({objectives.pods(known.question) for known, _ in asked}))
    matchers = [SeriesMatcher("namespace", "=~", namespaces), SeriesMatcher("pod", "=~", pods)]
    tracks = [track for _, track in asked]
    if tracks[0].objective.kind == "latency" and not any(track.all_edges for track in tracks):
        edges = [(t.edges.high, t.edges.low) if t.edges else (t.objective.edge or 0.0,) for t in tracks]
        matchers.append(SeriesMatcher("le", "=~", objectives.le_values(chain.from_iterable(edges))))
    return Selector(family.metric, (*matchers, *family.matchers))


def _sorted(asked: Sequence[tuple[_Open, _Track]], answer: Sequence[RawSeries]) -> list[_Sides]:
    """Give each model its series, by namespace and the longest prefix of the pod's name; strangers get lost."""
    result: list[_Sides] = [{"candidate": [], "stable": []} for _ in asked]
    places = {
        (known.question.key[0], prefix): (sides[side], known.question.born)
        for (known, _), sides in zip(asked, result, strict=True)
        for side, prefix in objectives.prefixes(known.question).items()
    }
    for series in answer:
        namespace, pod = series.labels.get("namespace", ""), series.labels.get("pod", "")
        starts = (pod[: end + 1] for end in range(len(pod) - 1, 0, -1) if pod[end] == "-")
        place = next((places[namespace, start] for start in starts if (namespace, start) in places), None)
        if place is None:
            continue
        side, born = place
        samples = tuple(sample for sample in series.samples if sample[0] >= born)
        if samples:
            side.append(replace(series, samples=samples))
    return result


def _obstacle(track: _Track, series: Sequence[RawSeries]) -> Trouble | None:
    """Return why these series cannot be counted, if so. Chooses a latency objective's buckets on the way."""
    objective = track.objective
    if not is_plausible(series):
        return Trouble("NoData", f"{objective.metric} has values that no counter has (NaN, Inf or negative)")
    if objective.kind == "errors" or not series:
        return None
    available = common_edges(series)
    edges = track.edges or objectives.choose_edges(objective.edge or 0.0, available)
    if edges and {edges.high, edges.low} <= available:
        track.edges, track.all_edges = edges, False
        return None
    asked_all, track.all_edges = track.all_edges, True
    return Trouble("NoData", objectives.no_bucket(objective, available)) if asked_all else None
