"""Argo CD's own reading of our ConfigMap: health, actions and diff, by the program in tests/argocd/go."""

import atexit
import json
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/bin/argocd-oracle"
CONFIG = ROOT / "manifests/argocd/argocd-cm.yaml"
Object = dict[str, Any]
LATE, TRIES = "context deadline exceeded", 5
"""Argo CD gives Lua one second of the clock, which a busy machine may spend elsewhere."""


def ask(questions: Iterable[Object]) -> list[Any]:
    """Return Argo CD's answers, in order; an error is a failure, with Argo CD's words."""
    asked = list(questions)
    answers = _once(asked)
    for _ in range(TRIES):
        late = [at for at, answer in enumerate(answers) if LATE in answer.get("error", "")]
        for at, answer in zip(late, _once([asked[at] for at in late]) if late else (), strict=True):
            answers[at] = answer
    errors = [answer["error"] for answer in answers if "error" in answer]
    assert not errors, errors
    return [answer["answer"] for answer in answers]


def _once(questions: list[Object]) -> list[Object]:
    program = _started()
    assert program.stdin is not None
    assert program.stdout is not None
    answers = []
    for question in questions:
        program.stdin.write(json.dumps(question) + "\n")
        program.stdin.flush()
        line = program.stdout.readline()
        assert line, f"Argo CD's code has ended with {program.wait()}"
        answers.append(json.loads(line))
    return answers


@cache
def _started() -> subprocess.Popen[str]:
    """Start the program, once for all questions: it reads its settings as slowly as Argo CD does."""
    assert PROGRAM.exists(), "Argo CD's code is not there: `make unit` builds it into build/bin"
    program = subprocess.Popen([PROGRAM, CONFIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(program.communicate)
    return program


def health(objects: Iterable[Object]) -> list[str]:
    """Return the health of each object."""
    return [answer["status"] for answer in ask({"ask": "health", "object": each} for each in objects)]


def offered(each: Object) -> dict[str, bool]:
    """Return every action by name, and whether it can be taken."""
    (answer,) = ask([{"ask": "actions", "object": each}])
    return {action["name"]: not action.get("disabled", False) for action in answer}


def run(action: str, each: Object) -> Object:
    """Return the object as the action leaves it."""
    (answer,) = ask([{"ask": "run", "action": action, "object": each}])
    return dict(answer)


def accept(application: Object) -> None:
    """Fail unless Argo CD knows every field of an Application."""
    ask([{"ask": "application", "object": application}])


def out_of_sync(live: Object, desired: Object) -> bool:
    """Whether Argo CD would call the application out of sync."""
    (answer,) = ask([{"ask": "diff", "object": live, "desired": desired}])
    return bool(answer)
