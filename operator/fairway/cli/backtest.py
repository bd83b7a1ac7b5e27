"""``fairway backtest``: an MD's objectives over recorded metrics, before anybody trusts them with a rollout."""

import argparse
import asyncio
import re
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.types import LABEL, Duration
from fairway.core import runtimes
from fairway.core.errors import Unresolved
from fairway.core.objectives import plan
from fairway.core.providers import queried
from fairway.core.revision import resolve
from fairway.core.verdict import QueryPlan, Question

EXIT = {"GoOn": 0, "RolledBack": 3, "Paused": 3, "Hold": 4}
FAILED = 2
LONGEST = 31 * 86400.0
_Spec = TypeVar("_Spec", ModelDeploymentSpec, ModelRuntimeSpec)
_DURATION = TypeAdapter[float](Duration)


class BacktestError(Exception):
    """What was asked cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A ModelDeployment and the ModelRuntimes beside it in the files."""

    namespace: str
    name: str
    spec: ModelDeploymentSpec
    runtimes: dict[str, ModelRuntimeSpec]


def main(arguments: list[str]) -> int:
    """Run the sub-command; return its exit code."""
    parser = argparse.ArgumentParser(prog="fairway backtest", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.add_argument(
        "-f",
        "--filename",
        type=Path,
        action="append",
        required=True,
        help="YAML with one ModelDeployment, and with the ModelRuntime that it names; may be repeated",
    )
    parser.add_argument("--prometheus", required=True, metavar="URL", help="address of the metrics provider")
    parser.add_argument(
        "--from", dest="start", required=True, metavar="TIME", help="RFC 3339, epoch seconds, or so long ago, as in 2h"
    )
    parser.add_argument("--to", default="now", metavar="TIME", help="the same; default: now")
    parser.add_argument("--candidate", required=True, metavar="REVISION", help="the revision to judge")
    parser.add_argument("--stable", metavar="REVISION", help="the one that served beside it; default: none did")
    parser.add_argument("--step", metavar="DURATION", help="time between two lines of the table; default: a twentieth")
    parser.add_argument("--scrape-interval", metavar="DURATION", help="default: taken from the samples")
    parser.add_argument(
        "--revision-label",
        metavar="LABEL",
        help="the label of the series that holds the revision, as revisionLabel of the operator's provider; "
        "default: the names of the pods tell it",
    )
    parser.add_argument("--namespace", "-n", help="default: the ModelDeployment's, or default")
    parser.add_argument("--bearer-token-file", type=Path, metavar="FILE")
    parser.add_argument("--ca-file", type=Path, metavar="FILE")
    parser.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Replay and print; return 0 if the rollout would have gone on, 3 if it went back, 4 if it waited, 2 on error."""
    try:
        # Imported here: it needs the extra `backtest`, which the operator does without.
        from fairway.cli import backtest_report, backtest_source  # noqa: PLC0415
    except ImportError as error:
        return _fail(f"{error.name} is missing: pip install 'fairway[backtest]'")
    try:
        return _replay(options, backtest_source, backtest_report)
    except (BacktestError, Unresolved, backtest_source.RecordedError) as error:
        return _fail(str(error))


def _replay(options: argparse.Namespace, source: Any, report: Any) -> int:
    from fairway.cli.backtest_replay import history_start, replay  # noqa: PLC0415

    subject = read(options.filename, options.namespace)
    now = time.time()
    start, end = when(options.start, now), when(options.to, now)
    if not start < end <= start + LONGEST:
        raise BacktestError("--from must lie before --to, by at most 31 days")
    question = ask(subject, options.candidate, options.stable, start)
    address = source.Address(options.prometheus, options.ca_file, options.bearer_token_file, _headers(options.header))
    rollout = subject.spec.rollout
    done = asyncio.run(
        replay(
            question,
            lambda clock: source.Recorded(address, clock, history_start(question), end),
            end,
            pause_on_regression=bool(rollout and rollout.on_regression == "Pause"),
            scrape_interval=_duration(options.scrape_interval, "--scrape-interval"),
            revision_label=_label(options.revision_label),
        )
    )
    write = report.as_json if options.output == "json" else report.as_text
    print(write(done, _duration(options.step, "--step")))  # noqa: T201
    return EXIT[done.decision]


def read(files: list[Path], namespace: str | None) -> Subject:
    """Read the one ModelDeployment and all ModelRuntimes of some files. Raises BacktestError."""
    models: list[dict[str, Any]] = []
    found: dict[str, ModelRuntimeSpec] = {}
    for file in files:
        for document in _documents(file):
            if document.get("kind") == "ModelDeployment":
                models.append(document)
            elif document.get("kind") == "ModelRuntime":
                found[document["metadata"]["name"]] = _valid(ModelRuntimeSpec, document, file)
    if len(models) != 1:
        raise BacktestError(f"the files hold {len(models)} ModelDeployments; exactly one is needed")
    (model,) = models
    metadata = model.get("metadata") or {}
    spec = _valid(ModelDeploymentSpec, model, files[0])
    return Subject(namespace or metadata.get("namespace") or "default", metadata.get("name") or "", spec, found)


def ask(subject: Subject, candidate: str, stable: str | None, start: float) -> Question:
    """Ask what the operator would, were ``candidate`` given weight beside ``stable`` at ``start`` (epoch seconds)."""
    spec = subject.spec
    if not spec.objectives:
        raise BacktestError("the ModelDeployment has no objectives: there is nothing to judge by")
    chosen = runtimes.choose(spec, subject.runtimes)
    runtime = chosen[1] if chosen else None
    # The image does not matter here, and a runtime may leave it to the ModelDeployment.
    series = resolve(spec.model_copy(update={"runtime": spec.runtime.model_copy(update=_SERVER)}), runtime).series
    key = subject.namespace, subject.name
    queries = tuple(_known(each) for each in queried(spec, None, key))
    return Question(key, "backtest", candidate, stable, plan(spec, series), since=start, weight=50, queries=queries)


def _known(plan: QueryPlan) -> QueryPlan:
    """Return a query as it can be replayed: the text of a template is the operator's."""
    if plan.promql:
        return plan
    return replace(plan, problem=f"{plan.name}: its template is in the operator's configuration, which is not read")


_SERVER = {"image": "any", "port": 1}


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
        raise BacktestError(
            f"{text!r} is no time: use RFC 3339, epoch seconds, a duration such as 2h, or now"
        ) from None
    return (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)).timestamp()


def _duration(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        return _DURATION.validate_python(text)
    except ValidationError:
        raise BacktestError(f"{option}: {text!r} is no duration such as 30s") from None


def _label(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(LABEL, text):
        raise BacktestError(f"--revision-label: {text!r} is no name of a label")
    return text


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BacktestError(f"{file}: {error}") from None
    return [document for document in documents if isinstance(document, dict)]


def _valid(kind: type[_Spec], document: dict[str, Any], file: Path) -> _Spec:
    try:
        return kind.model_validate(document.get("spec"))
    except ValidationError as error:
        fault: Any = error.errors()[0]
        path = ".".join(["spec", *(str(part) for part in fault["loc"])])
        raise BacktestError(f"{file}: {path}: {fault['msg']}") from None


def _headers(pairs: list[str]) -> dict[str, str]:
    headers = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BacktestError(f"--header: {pair!r} is not NAME=VALUE")
        headers[name] = value
    return headers


def _fail(message: str) -> int:
    print(f"fairway backtest: {message}", file=sys.stderr)  # noqa: T201
    return FAILED
