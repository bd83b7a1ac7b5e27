"""Every verb: what it takes, what it is for, an example, and the module that does it, imported when it is asked for."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairway.cli import arguments

Arguments = Callable[[argparse.ArgumentParser], None]
SEE, STEER, FORESEE, MORE = "See", "Steer", "Foresee", "More"


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. Its module has ``run(session, options) -> exit code``."""

    name: str
    group: str
    help: str
    examples: Sequence[str]
    module: str
    arguments: Arguments = field(default=lambda _parser: None)


def verbs() -> tuple[Verb, ...]:
    """Return every verb, in the order of the help."""
    return _VERBS


_VERBS = (
    Verb(
        "list",
        SEE,
        "all ModelDeployments",
        ("fairway list", "fairway list -A -o wide"),
        "fairway.cli.listing",
        arguments.listing,
    ),
    Verb(
        "status",
        SEE,
        "what serves, what is tried, and what is waited for",
        ("fairway status churn", "fairway status churn --watch"),
        "fairway.cli.see",
        arguments.status,
    ),
    Verb(
        "history",
        SEE,
        "who ran when, made from what",
        ("fairway history churn",),
        "fairway.cli.history",
        arguments.history,
    ),
    Verb(
        "why",
        SEE,
        "a decision in one paragraph, with its numbers",
        ("fairway why churn", "fairway why churn 1.2.0"),
        "fairway.cli.why",
        arguments.why,
    ),
    Verb("events", SEE, "what has happened", ("fairway events churn",), "fairway.cli.events", arguments.events),
    Verb(
        "logs",
        SEE,
        "what the candidate or stable prints",
        ("fairway logs churn", "fairway logs churn stable -f"),
        "fairway.cli.logs",
        arguments.logs,
    ),
    Verb(
        "promote",
        STEER,
        "end the current step now",
        ("fairway promote churn", "fairway promote churn --full"),
        "fairway.cli.steer",
        arguments.promote,
    ),
    Verb(
        "abort",
        STEER,
        "end the run: the candidate is out",
        ("fairway abort churn",),
        "fairway.cli.steer",
        arguments.steer,
    ),
    Verb(
        "retry", STEER, "try a rejected version again", ("fairway retry churn",), "fairway.cli.steer", arguments.steer
    ),
    Verb(
        "rollback",
        STEER,
        "return to the version before this one",
        ("fairway rollback churn",),
        "fairway.cli.steer",
        arguments.steer,
    ),
    Verb(
        "approve",
        STEER,
        "say yes to what waits for a person",
        ('fairway approve churn -m "reviewed with risk"',),
        "fairway.cli.steer",
        arguments.approval,
    ),
    Verb(
        "deny",
        STEER,
        "say no: the candidate is out",
        ('fairway deny churn -m "drift in region 7"',),
        "fairway.cli.steer",
        arguments.approval,
    ),
    Verb(
        "restart",
        STEER,
        "replace the pods one by one",
        ("fairway restart churn", "fairway restart churn --upgrade-runtime"),
        "fairway.cli.steer",
        arguments.restart,
    ),
    Verb("pause", STEER, "hold the run where it is", ("fairway pause churn",), "fairway.cli.steer", arguments.steer),
    Verb("resume", STEER, "let a paused run go on", ("fairway resume churn",), "fairway.cli.steer", arguments.steer),
    Verb(
        "wait",
        STEER,
        "wait for a state, for scripts and pipelines",
        (
            "fairway wait churn --for ready",
            "fairway wait churn --for uptodate --timeout 30m",
            "fairway wait churn --for step=2",
        ),
        "fairway.cli.await_goal",
        arguments.wait,
    ),
    Verb(
        "lint",
        FORESEE,
        "check a file against the schema and the cluster",
        ("fairway lint -f churn.yaml",),
        "fairway.cli.lint",
        arguments.lint,
    ),
    Verb(
        "plan",
        FORESEE,
        "what applying a file would do, and how long it would take",
        ("fairway plan -f churn.yaml", "fairway plan -f churn.yaml --prometheus http://localhost:9090"),
        "fairway.cli.plan",
        arguments.plan,
    ),
    Verb(
        "render",
        FORESEE,
        "the objects that would be written",
        ("fairway render -f churn.yaml",),
        "fairway.cli.render",
        arguments.render,
    ),
    Verb(
        "backtest",
        FORESEE,
        "try objectives on recorded metrics",
        ("fairway backtest -f churn.yaml --prometheus http://localhost:9090 --from 2h --candidate bq7d2k4mxa",),
        "fairway.cli.backtest",
        arguments.backtest,
    ),
    Verb(
        "completion",
        MORE,
        "print what makes your shell complete verbs and names",
        ('eval "$(fairway completion bash)"',),
        "fairway.cli.complete",
        arguments.completion,
    ),
    Verb("version", MORE, "print the version", ("fairway version",), "fairway.cli.version"),
)
