"""What is known about one open question, and when each of its objectives is asked for again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from fairway.core import objectives
from fairway.core.counters import Count, common_edges, cumulate, is_plausible
from fairway.core.counts import Tally
from fairway.core.evidence import Evidence, bar, weigh
from fairway.core.judgement import Case, Trouble
from fairway.core.objectives import Edges
from fairway.core.query import Answers
from fairway.core.verdict import ObjectivePlan, QueryPlan, Question, Reading
from fairway.engine.whose import Sides
from fairway.ports import RawSeries

log = logging.getLogger(__name__)

INGESTED = 0.25
"""Seconds from a scrape's timestamp until its samples can be read."""
SOON, SOON_TIMES = 0.3, 5
"""A sample that is late is asked for again after this long, this many times, ..."""
LATER, LATER_TIMES = 1.0, 60
"""... then after this long, and in the end once per scrape interval."""
REACH, MIN_WINDOW, MAX_WINDOW = 6, 30.0, 3600.0
"""Scrape intervals that every answer reaches back, and the least and the most seconds of it."""
LOOK = 300.0
"""Seconds in which a series that is there at all shows: as long as Prometheus itself takes a sample for the present."""
HISTORY = 900.0
"""Seconds that a new run looks back once, to know how bursty stable's errors are before it judges by them."""
GUESS = 15.0
"""Scrape interval in seconds while nothing is known about it."""
IN_A_ROW = 2
"""Questions without an answer until the verdict says so: one that gets lost is asked again, and no news."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """One objective of one open question, whatever its kind: when it is asked again, and what stands in the way."""

    due: float = 0.0
    trouble: Trouble | None = None
    answered: bool = False
    """There is something to judge by, were it that nobody answers."""
    failures: int = 0
    """Questions in a row that got no answer."""

    def fail(self, name: str, about: Question, trouble: Trouble, now: float) -> None:
        """Note a question without an answer; the first one of a row is only asked again soon."""
        self.failures += 1
        self.due = now + min(LATER * self.failures, GUESS)
        if self.failures >= IN_A_ROW:
            self.obstruct(name, about, trouble)

    def stumble(self, error: Exception, name: str, about: Question, now: float) -> None:
        """Note a fault of our own: it may neither end the process nor silence an objective."""
        namespace, model = about.key
        log.error("%s: asking about it failed", name, extra={"namespace": namespace, "model": model}, exc_info=error)
        trouble = Trouble("ProviderError", "the metrics provider: an unexpected error, which the operator's log has")
        self.fail(name, about, trouble, now)

    def obstruct(self, name: str, about: Question, trouble: Trouble) -> None:
        """Note why there is nothing to judge by, and log it once."""
        if self.trouble != trouble:
            namespace, model = about.key
            log.warning("%s: %s", name, trouble.message, extra={"namespace": namespace, "model": model})
        self.trouble, self.answered = trouble, True

    def give_up(self, trouble: Trouble) -> None:
        """Note that asking is pointless until the question changes."""
        self.trouble, self.answered, self.due = trouble, True, float("inf")


@dataclass(slots=True, kw_only=True)
class Gauge(Asked):
    """One objective that is a query."""

    plan: QueryPlan
    answers: Answers = field(default_factory=Answers)
    last: float = float("-inf")
    """When the last answer came, be it a number or not."""


@dataclass(slots=True, kw_only=True)
class Track(Asked):
    """One objective that counts requests: its counts and its evidence."""

    objective: ObjectivePlan
    tally: Tally
    evidence: Evidence
    edges: Edges | None = None
    all_edges: bool = False
    """The bucket at the limit is missing: ask for all of them once, to choose others."""
    look_back: bool = False
    alone: bool = False
    """Its answer is too large, and must not spoil those of others."""
    most: float = MAX_WINDOW
    """Seconds to look back at most: less after an answer that was too large, until one fits."""
    tries: int = 0
    """Answers in a row that brought nothing new."""

    @property
    def case(self) -> Case:
        """Return what judgement needs."""
        tally = self.tally
        return Case(self.objective, self.evidence, self.trouble, self.edges, dict(tally.newest), tally.scrape)

    def window(self, question: Question, now: float) -> float:
        """Return the seconds to look back: to the last used sample and one interval further.

        After a restart it is further: pods that were not scraped just then go on from their last samples before.
        """
        if question.look:
            return min(reach(self.tally.setting) if self.tally.setting else LOOK, self.most)
        scrape = self.tally.scrape or GUESS
        used = self.tally.start if self.tally.start is not None else self.tally.after
        further = reach(scrape) if self.tally.resumed and self.tally.start is None else scrape
        return min(max(HISTORY if self.look_back else reach(scrape), now - used + further), self.most)

    def shorten(self, question: Question, now: float) -> bool:
        """Look back half as far until an answer fits; return False where that is no further than always.

        Counters are cumulative: pods that are known go on from their last values and lose nothing, only in time it is
        less exact. One that was born and died in between is lost, and where nothing was counted yet all pods are taken
        for old, as after a restart.
        """
        least, asked = reach(self.tally.scrape or self.tally.setting or GUESS), self.window(question, now)
        if asked <= least:
            return False
        self.most = max(least, asked / 2)
        self.tally.whole = self.tally.whole and self.tally.start is not None
        return True

    def take(self, question: Question, sides: Sides, now: float) -> bool:
        """Count an answer, weigh the intervals that it closes, plan the next question; return whether any counted."""
        series = [*sides["candidate"], *sides["stable"]]
        self.failures, self.answered, self.most = 0, True, MAX_WINDOW
        self.trouble = self._obstacle(series) or _probed(question, self.objective, series)
        if question.look:
            self._look(sides)
            self.answered = self.trouble is not None or not self.all_edges
            self.due = now + (GUESS if self.answered else 0.0)
            return True
        before = self.tally.newest.get("candidate")
        grew = False
        if self.trouble is None:
            counts = {side: cumulate(self.objective, self.edges, found) for side, found in sides.items()}
            for interval in self.tally.absorb(counts["candidate"], counts["stable"], now):
                self.evidence = weigh(self.evidence, self.objective, bar(question), interval)
                grew = grew or interval.counted
        self.look_back = self.look_back and self.tally.start is None
        progress = self.tally.newest.get("candidate") != before and not self.tally.waiting
        self.tries = 0 if progress else self.tries + 1
        self.due = self._next(question, now)
        return grew

    def _look(self, sides: Sides) -> None:
        """Take what the counters hold, since whenever: enough to see whether anything is counted."""
        rows = cumulate(self.objective, self.edges, sides["candidate"]).values() if self.trouble is None else ()
        last = [one[-1] for one in rows]
        if last:
            at = self.tally.newest["candidate"] = max(at for at, _ in last)
            total = sum((count for _, count in last), Count()).clamped()
            self.evidence = Evidence(at=at, candidate=total, traffic_at=at if total.requests else None)

    def _next(self, question: Question, now: float) -> float:
        """Return when the next sample can be there; a clock that differs from the provider's must not delay it."""
        scrape = self.tally.scrape or GUESS
        if self.trouble:
            return now + scrape
        if self.all_edges:
            return now
        if self.tries == 0 and self.tally.start is not None:
            return min(max(self.tally.start + scrape + INGESTED, now + SOON), now + scrape + INGESTED)
        if "candidate" not in self.tally.newest:
            return now + (LATER if now - question.since < LATER_TIMES else scrape)
        if self.tries <= SOON_TIMES:
            return now + SOON
        return now + (LATER if self.tries < LATER_TIMES else scrape)

    def _obstacle(self, series: Sequence[RawSeries]) -> Trouble | None:
        """Return why these series cannot be counted, if so. Chooses a latency objective's buckets on the way."""
        objective = self.objective
        if not is_plausible(series):
            return Trouble("NoData", f"{objective.metric} has values that no counter has (NaN, Inf or negative)")
        if objective.kind == "errors" or not series:
            return None
        available = common_edges(series)
        edges = self.edges or objectives.choose_edges(objective.edge or 0.0, available)
        if edges and {edges.high, edges.low} <= available:
            self.edges, self.all_edges = edges, False
            return None
        asked_all, self.all_edges = self.all_edges, True
        return Trouble("NoData", objectives.no_bucket(objective, available), "NoBucket") if asked_all else None


def reach(scrape: float) -> float:
    """Return how many seconds an answer looks back when nothing was missed: more than any scrape that comes late."""
    return max(REACH * scrape, MIN_WINDOW)


def _probed(question: Question, objective: ObjectivePlan, series: Sequence[RawSeries]) -> Trouble | None:
    """Return that a counter holds what the kubelet or Prometheus asked, where that is looked at."""
    counted = [one.labels for one in series if one.values and one.values[-1] > 0]
    label = objectives.probe_label(question.probes, counted)
    return Trouble("NoData", objectives.probed(objective, *label), "CountsProbes") if label else None


@dataclass(slots=True)
class Open:
    """One question and what is known about it."""

    question: Question
    tracks: dict[str, Track] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    reading: Reading | None = None

    @property
    def objectives(self) -> list[Asked]:
        """Every objective, whatever its kind."""
        return [*self.tracks.values(), *self.gauges.values()]
