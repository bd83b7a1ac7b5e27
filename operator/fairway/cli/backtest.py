"""``backtest``: an MD's objectives over recorded metrics, before anybody trusts them with a rollout."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.types import LABEL, Duration
from fairway.cli.errors import CliError, Exit
from fairway.cli.manifests import read, refuse
from fairway.cli.output import dump
from fairway.cli.session import Options, Session
from fairway.core import runtimes
from fairway.core.errors import Unresolved
from fairway.core.objectives import plan
from fairway.core.providers import queried
from fairway.core.revision import resolve
from fairway.core.verdict import QueryPlan, Question

CODES = {"GoOn": Exit.DONE, "RolledBack": Exit.OTHERWISE, "Paused": Exit.OTHERWISE, "Hold": Exit.NOT_YET}
LONGEST = 31 * 86400.0
_DURATION = TypeAdapter[float](Duration)


@dataclass(frozen=True, slots=True)
class Subject:
    """A ModelDeployment and the ModelRuntimes beside it in the files."""

    namespace: str
    name: str
    spec: ModelDeploymentSpec
    runtimes: dict[str, ModelRuntimeSpec]


def run(session: Session, options: Options) -> int:
    """Replay and print; the exit code says whether the rollout would have gone on, gone back or waited."""
    try:
        # Imported here: it needs the extra `backtest`, which the operator does without.
        from fairway.cli import backtest_report, backtest_source  # noqa: PLC0415
    except ImportError as error:
        raise CliError(f"{error.name} is missing: pip install 'fairway[backtest]'") from None
    from fairway.cli.backtest_replay import history_start, replay  # noqa: PLC0415

    start, end = period(options.start, options.to, session.now())
    step = _duration(options.step, "--step")
    subject = subject_of(options.filename, session.flags.namespace)
    question = ask(subject, options.candidate, options.stable, start)
    ca_file, token_file = (Path(each) if each else None for each in (options.ca_file, options.bearer_token_file))
    address = backtest_source.Address(options.prometheus, ca_file, token_file, _headers(options.header))
    rollout = subject.spec.rollout
    done = asyncio.run(
        replay(
            question,
            lambda clock: backtest_source.Recorded(address, clock, history_start(question), end),
            end,
            pause_on_regression=bool(rollout and rollout.on_regression == "Pause"),
            scrape_interval=_duration(options.scrape_interval, "--scrape-interval"),
            revision_label=_label(options.revision_label),
        )
    )
    if options.output:
        session.say(dump(backtest_report.as_data(done, step), options.output))
    else:
        session.say(backtest_report.as_text(done, step))
    return CODES[done.decision]


def subject_of(files: Sequence[str], namespace: str | None) -> Subject:
    """Read the one ModelDeployment and all ModelRuntimes of some files. Raises CliError."""
    found = read(files)
    if len(found.models) != 1:
        raise _refused(f"the files hold {len(found.models)} ModelDeployments; exactly one is needed")
    for each in (*found.models, *found.runtimes):
        refuse(each)
    (model,) = found.models
    return Subject(
        namespace or model.namespace or "default",
        model.name,
        ModelDeploymentSpec.model_validate(model.content["spec"]),
        {each.name: ModelRuntimeSpec.model_validate(each.content["spec"]) for each in found.runtimes},
    )


def ask(subject: Subject, candidate: str, stable: str | None, start: float) -> Question:
    """Ask what the operator would, were ``candidate`` given weight beside ``stable`` at ``start`` (epoch seconds)."""
    spec = subject.spec
    if not spec.objectives:
        raise _refused("the ModelDeployment has no objectives: there is nothing to judge by")
    # The image does not matter here, and a runtime may leave it to the ModelDeployment.
    served = spec.model_copy(update={"runtime": spec.runtime.model_copy(update=_SERVER)})
    try:
        chosen = runtimes.choose(spec, subject.runtimes)
        series = resolve(served, chosen[1] if chosen else None).series
    except Unresolved as error:
        raise _refused(error.message) from None
    key = subject.namespace, subject.name
    queries = tuple(_known(each) for each in queried(spec, None, key))
    return Question(key, "backtest", candidate, stable, plan(spec, series), since=start, weight=50, queries=queries)


def _known(plan: QueryPlan) -> QueryPlan:
    """Return a query as it can be replayed: the text of a template is the operator's."""
    if plan.promql:
        return plan
    return replace(plan, problem=f"{plan.name}: its template is in the operator's configuration, which is not read")


_SERVER = {"image": "any", "port": 1}


def period(start: str, end: str, now: float) -> tuple[float, float]:
    """Read the two ends of the past that is replayed, epoch seconds."""
    begin, until = when(start, now), when(end, now)
    if not begin < until <= begin + LONGEST:
        raise _misused("--from must lie before --to, by at most 31 days")
    return begin, until


def when(text: str, now: float) -> float:
    """Read a time: ``now``, epoch seconds, RFC 3339 (UTC where it names no zone), or a duration that has passed."""
    if text == "now":
        return now
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    try:
        return now - _DURATION.validate_python(text)
    except ValidationError:
        pass
    try:
        time_ = datetime.fromisoformat(text)
    except ValueError:
        raise _misused(f"{text!r} is no time: use RFC 3339, epoch seconds, a duration such as 2h, or now") from None
    return (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)).timestamp()


def _duration(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        return _DURATION.validate_python(text)
    except ValidationError:
        raise _misused(f"{option}: {text!r} is no duration such as 30s") from None


def _label(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(LABEL, text):
        raise _misused(f"--revision-label: {text!r} is no name of a label")
    return text


def _headers(pairs: list[str]) -> dict[str, str]:
    headers = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise _misused(f"--header: {pair!r} is not NAME=VALUE")
        headers[name] = value
    return headers


def _refused(message: str) -> CliError:
    """Return the error of files that cannot be replayed."""
    return CliError(message, Exit.REFUSED)


def _misused(message: str) -> CliError:
    """Return the error of an option that nobody can read."""
    return CliError(message, Exit.USAGE)
