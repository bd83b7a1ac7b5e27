"""From counts to evidence: betting processes that a healthy candidate cannot win, however often one looks.

Everything is in natural logarithms. Let ``n_c, e_c`` be the candidate's requests and bad requests of an interval and
``n_s, e_s`` stable's at the same time, R the ratio of their risks. Given ``e_c + e_s``, ``e_c`` is binomial with
``theta(R) = n_c R / (n_c R + n_s)``: the unknown, moving base rate is gone [LM22, TLG24]. The processes below are
non-negative supermartingales under their nulls, at every rate and with unequal risks per request, because
``E[a^e_c b^e_s] = prod (1 + p_i (a-1)) prod (1 + q_i (b-1)) <= exp(n_c p_c (a-1) + n_s p_s (b-1)) <= 1``. So each
*ever* reaches 1/alpha with probability at most alpha [V39], and the minimum of two tests the union of their nulls.

- LM22: Lindon & Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022
- LSS22: Lindon, Sanden & Shirikian, Rapid regression detection in software deployments, KDD 2022
- TLG24: Turner, Ly & Gruenwald, Generic e-variables for exact sequential k-sample tests, JSPI 2024
- J22: Johari, Koomen, Pekelis & Walsh, Always valid inference, Operations Research 2022
- V39: Ville, Etude critique de la notion de collectif, 1939
- W79: West, Updating mean and variance estimates: an improved method, Communications of the ACM 22, 1979
- W45: Wald, Sequential tests of statistical hypotheses, 1945
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from fairway.core.counters import Count
from fairway.core.counts import Interval
from fairway.core.debt import Account, Owed
from fairway.core.mixture import log_mean
from fairway.core.objectives import Side
from fairway.core.shares import Shares
from fairway.core.verdict import ObjectivePlan, Question

MULTIPLIERS = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 100.0)
"""Alternatives of the tests against a candidate, as multiples of the null's bound: a finite mixture [J22]."""
_LN_MULTIPLIERS = tuple(map(math.log, MULTIPLIERS))
R_REGRESSED = 1.5
"""``below`` tests a risk ratio over this, beside the rate over the limit."""
R_BAD = 2.0
"""Healthy is tested against a candidate that is at least this much worse than stable."""
OK_MULTIPLIERS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
BETA = 0.05
COLD_INTERVALS = 2
"""Intervals with requests that latency leaves out: caches are cold."""
SCRAPES_APART = 0.9
"""Part of a scrape interval between the first and the last bad sample that proves two scrapes of one pod: a single
moment's burst shows in all scrapes of less than one interval, whatever the pods' phases."""
_HISTORY = 180
_NOTHING = (0.0,) * len(MULTIPLIERS)


class Pair(NamedTuple):
    """One interval's requests and bad requests, of the candidate and of stable."""

    n_c: float
    e_c: float
    n_s: float
    e_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How bursty stable is: moments of its bad requests per scrape over about the last 180 scrapes."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, bad: float, span: float = 1.0) -> "Spread":
        """Add one scrape; beyond 180 the old ones fade, so that three numbers are enough to remember them.

        One that holds ``span`` scrapes' worth, as others were missed, enters once, with its mean. Such a mean lies
        closer to that of all, so its distance weighs more: as in a weighted sum of squares [W79]. So a gap makes the
        dispersion neither larger, by one long scrape, nor smaller, by bursts that it smooths or that are left out.
        """
        keep = min(1.0, (_HISTORY - 1) / self.count) if self.count else 1.0
        count, total, squares = self.count * keep, self.total * keep, self.squares * keep
        each = bad / span
        more = count * span / (count + span) - count / (count + 1)
        away = each - total / count if count else 0.0
        return Spread(count + 1, total + each, squares + each * each + more * away * away)

    @property
    def phi(self) -> float:
        """Variance over mean, at least 1 and 1 without bad requests: the dispersion of a quasi-Poisson model.

        Log factors are divided by it: known before the interval and >= 1, so ``E[F^(1/phi)] <= E[F]^(1/phi) <= 1``
        (Jensen). The bounds stay valid, and bursts weigh less (McCullagh & Nelder, Generalized Linear Models, 1989).
        """
        if self.count < 2 or self.total <= 0:  # noqa: PLR2004
            return 1.0
        mean = self.total / self.count
        return max(1.0, (self.squares - self.total * mean) / (self.count - 1) / mean)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one objective in one run: sufficient statistics of its tests, and totals to show."""

    at: float = 0.0
    """End of the last counted interval, epoch seconds; 0 before the first."""
    candidate: Count = field(default_factory=Count)
    stable: Count = field(default_factory=Count)
    spread: Spread = field(default_factory=Spread)
    hits: float = 0.0
    """Sum of capped e_c / phi; with ``load`` all that M_abs needs, for any limit."""
    load: float = 0.0
    """Sum of n_c / phi."""
    regressed: tuple[float, ...] = _NOTHING
    """log prod LR(R_j, 1.5) for each multiplier."""
    relative: tuple[float, ...] = ()
    """The same against relativeToStable.atMost; empty without one."""
    fine: tuple[float, ...] = (0.0,) * len(OK_MULTIPLIERS)
    """log prod LR(R_j, 2) for the alternatives that are better than twice as bad."""
    warm: int = 0
    """Intervals in which the candidate had requests."""
    traffic_at: float | None = None
    """End of the last interval in which the candidate had requests."""
    bad_from: float | None = None
    bad_to: float | None = None
    shares: Shares = field(default_factory=Shares)
    owed: Owed = field(default_factory=Owed)
    """Bad requests in the above that turned out to be none: later ones pay for them."""
    fired: bool = False
    """A test against the candidate has reached its bound. It stays: Ville's inequality speaks of *ever*."""

    @property
    def accounts(self) -> dict[Side, Account]:
        """Return what a tally needs to go on from here."""
        return {
            "candidate": Account(self.owed.candidate, self.candidate),
            "stable": Account(self.owed.stable, self.stable),
        }


@dataclass(frozen=True, slots=True)
class Bar:
    """What the tests of a run must reach."""

    needed: float
    """ln(1/alpha) of one test."""
    alone: bool
    """Nothing else serves: M_abs alone decides."""
    weight: int = 0
    """Candidate's share of the requests that is served since ``settled``, 0..100."""
    settled: float | None = None
    """Epoch seconds; None where no share is to be expected."""


def bar(question: Question) -> Bar:
    """Split alpha evenly over the count tests with which the question opened (a union bound).

    Half of it is kept for the watch window, which is a question of its own, or was spent before it.
    """
    settled = question.settled if question.split else None
    needed = math.log(2 * (question.tests or count_tests(question)) / question.alpha)
    return Bar(needed, question.stable is None, question.weight, settled)


def count_tests(question: Question) -> int:
    """Return how many tests share alpha, at least 1; dry-run objectives decide nothing and take no part of it."""
    deciding = [o for o in question.objectives if not o.dry_run]
    return max(1, sum(1 if question.stable is None or o.relative is None else 2 for o in deciding))


# --- growing ----------------------------------------------------------------------------------------------------


def weigh(evidence: Evidence, objective: ObjectivePlan, bar: Bar, interval: Interval) -> Evidence:
    """Return the evidence after one more interval."""
    changed: dict[str, Any] = {}
    if interval.stable.requests > 0:
        changed["spread"] = evidence.spread.plus(interval.stable.bad, interval.span)
    if not interval.counted:
        return replace(evidence, **changed)
    changed |= _seen(evidence, bar, interval)
    if objective.kind != "latency" or evidence.warm >= COLD_INTERVALS:
        changed |= _bets(evidence, objective, interval)
    grown = replace(evidence, **changed)
    fires = in_two_scrapes(grown, interval.scrape) and against(grown, objective, bar) >= bar.needed
    return replace(grown, fired=True) if fires and not grown.fired else grown


def _seen(evidence: Evidence, bar: Bar, interval: Interval) -> dict[str, Any]:
    """Return what every counted interval tells, cold ones too."""
    seen: dict[str, Any] = {"at": interval.end, "owed": interval.owed}
    seen["shares"] = evidence.shares.plus(interval, bar.weight, bar.settled)
    if interval.candidate.requests > 0:
        seen |= {"warm": evidence.warm + 1, "traffic_at": interval.end}
    return seen


def _bets(evidence: Evidence, objective: ObjectivePlan, interval: Interval) -> dict[str, Any]:
    """Multiply every test by the interval's likelihood ratios, to the power of 1/phi."""
    candidate, stable, phi = interval.candidate, interval.stable, evidence.spread.phi
    # Fewer bad requests weaken a test against the candidate, and so its bound holds with the cap; M_ok goes without.
    capped = Pair(candidate.requests, min(candidate.bad, _cap(candidate.requests)), stable.requests, stable.bad)
    strict = Pair(candidate.requests, candidate.strict, stable.requests, stable.strict)
    relative: tuple[float, ...] = ()
    if objective.relative is not None:
        relative = _add(evidence.relative or _NOTHING, capped, objective.relative, MULTIPLIERS, phi)
    return {
        "candidate": evidence.candidate + candidate,
        "stable": evidence.stable + stable,
        "hits": evidence.hits + capped.e_c / phi,
        "load": evidence.load + capped.n_c / phi,
        "regressed": _add(evidence.regressed, capped, R_REGRESSED, MULTIPLIERS, phi),
        "relative": relative,
        "fine": _add(evidence.fine, strict, R_BAD, OK_MULTIPLIERS, phi),
        "bad_from": interval.bad_from if evidence.bad_from is None else evidence.bad_from,
        "bad_to": interval.bad_to or evidence.bad_to,
    }


def _cap(requests: float) -> float:
    """Return how many bad requests of one interval may speak against the candidate."""
    return max(3, math.ceil(0.25 * requests))


def _add(
    logs: tuple[float, ...], pair: Pair, null: float, multipliers: tuple[float, ...], phi: float
) -> tuple[float, ...]:
    """Add an interval to products of likelihood ratios; one without requests on either side tells nothing."""
    if pair.n_c <= 0 or pair.n_s <= 0 or pair.e_c + pair.e_s == 0:
        return logs
    ratios = log_ratios(pair, null, multipliers)
    return tuple([log + ratio / phi for log, ratio in zip(logs, ratios, strict=True)])


def log_ratios(pair: Pair, null: float, multipliers: tuple[float, ...]) -> list[float]:
    """Return ln LR(null * r, null) of one interval for each multiplier r, all being risk ratios candidate/stable.

    ``(theta(R1)/theta(R0))^e_c ((1-theta(R1))/(1-theta(R0)))^e_s``, the binomial coefficients cancel [LM22, TLG24].
    """
    n_c, e_c, n_s, e_s = pair
    risk, bad = n_c * null, e_c + e_s
    before = math.log(risk + n_s)
    return [e_c * math.log(r) + bad * (before - math.log(risk * r + n_s)) for r in multipliers]


# --- reading ----------------------------------------------------------------------------------------------------


def against(evidence: Evidence, objective: ObjectivePlan, bar: Bar) -> float:
    """Return the strongest test's log evidence against the candidate: ``below``, or ``relativeToStable``."""
    return max(below(evidence, objective, bar), beyond(evidence, objective, bar))


def below(evidence: Evidence, objective: ObjectivePlan, bar: Bar) -> float:
    """Return ln min(M_rel(1.5), M_abs(L)), of ``below: L``; without anything to compare with, ln M_abs(L)."""
    over = absolute(evidence, objective.limit)
    return over if bar.alone else min(over, log_mean(evidence.regressed))


def beyond(evidence: Evidence, objective: ObjectivePlan, bar: Bar) -> float:
    """Return ln min(M_rel(r), M_abs(f)), of ``relativeToStable: {atMost: r, above: f}``; -inf where it is no test."""
    if bar.alone or not evidence.relative:
        return -math.inf
    return min(log_mean(evidence.relative), absolute(evidence, objective.relative_floor))


def in_two_scrapes(evidence: Evidence, scrape: float) -> bool:
    """Return whether the candidate's bad requests showed in two scrapes, ``scrape`` seconds apart."""
    if evidence.bad_from is None or evidence.bad_to is None:
        return False
    return evidence.bad_to - evidence.bad_from >= SCRAPES_APART * scrape


def absolute(evidence: Evidence, limit: float) -> float:
    """Return ln M_abs: ``mean_j exp(sum_k [e_c ln r_j - n_c limit (r_j - 1)])``.

    The likelihood ratio of two Poisson rates [W45] bounds that of Bernoulli counts, mixed over r_j [LSS22].
    """
    hits, expected = evidence.hits, evidence.load * limit
    return log_mean([hits * ln_r - expected * (r - 1) for r, ln_r in zip(MULTIPLIERS, _LN_MULTIPLIERS, strict=True)])


def is_fine(evidence: Evidence, objective: ObjectivePlan) -> bool:
    """Return whether M_ok reached 1/beta and the observed rate is within the limit.

    ``M_ok = mean_j prod_k LR(R_j, 2)`` tests the null "at least twice as bad as stable" [TLG24, V39].
    """
    return log_mean(evidence.fine) >= math.log(1 / BETA) and within(evidence, objective)


def is_sufficient(evidence: Evidence, objective: ObjectivePlan) -> bool:
    """Return whether minRequests were seen with the rate within the limit. This route carries no bound."""
    return evidence.candidate.requests >= objective.min_requests and within(evidence, objective)


def within(evidence: Evidence, objective: ObjectivePlan) -> bool:
    """Return whether the observed rate keeps the promise; with inexact buckets every doubtful request is bad."""
    return evidence.candidate.strict <= objective.limit * evidence.candidate.requests
