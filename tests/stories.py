"""What ModelDeployments look like from outside, moment by moment: recorded by tests, judged by other tests.

Tests over the simulated cluster and on the real one leave their stories in build/stories; ``python -m tests.stories``
keeps one moment of each kind in tests/data/statuses, so that those who judge need not wait for those who record.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "build/stories"
SAMPLE = ROOT / "tests/data/statuses"
MOST_STORIES = 400

Moment = dict[str, Any]
"""A ModelDeployment as a client sees it."""


class Stories:
    """Collects stories; of those that look alike, one is kept."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str, str], list[Moment]] = {}

    def saw(self, world: int, model: Moment) -> None:
        """Take one moment of a model in one world; a moment like the one before says nothing new.

        A model that is deleted and made anew under its name begins a story of its own.
        """
        meta = model["metadata"]
        story = self._open.setdefault((world, meta["name"], meta["uid"]), [])
        if not story or looks(story[-1]) != looks(model):
            story.append(model)

    def write(self, name: str) -> None:
        """Write all stories to one file, over those of an earlier session of the same name."""
        different = {tuple(map(looks, story)): story for story in self._open.values()}
        RECORDED.mkdir(parents=True, exist_ok=True)
        with (RECORDED / f"{re.sub(r'[^A-Za-z0-9_]+', '-', name)}.jsonl").open("w", encoding="utf-8") as file:
            for story in [*different.values()][:MOST_STORIES]:
                file.write(json.dumps([_bare(moment) for moment in story]) + "\n")


def looks(model: Moment) -> str:
    """Return what tells a moment from others: generations, phase, conditions, and where the run is."""
    status, spec = model.get("status", {}), model["spec"]
    run = status.get("run") or {}
    conditions = [(c["type"], c["status"], c["reason"]) for c in status.get("conditions", ())]
    at = [run.get(key) for key in ("id", "step", "stage", "full")], len(run.get("approvals", ()))
    generations = model["metadata"].get("generation"), status.get("observedGeneration")
    return repr((generations, status.get("phase"), conditions, at, spec.get("paused"), spec.get("state")))


def _bare(model: Moment) -> Moment:
    meta = {key: value for key, value in model["metadata"].items() if key != "managedFields"}
    status = {key: value for key, value in model.get("status", {}).items() if key != "evidence"}
    return {**model, "metadata": meta, **({"status": status} if status else {})}


def recorded() -> Iterator[tuple[str, list[Moment]]]:
    """Return every story that earlier tests have left here, with its name."""
    for path in sorted(RECORDED.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            yield f"{path.stem}/{number}", json.loads(line)


def sample() -> dict[str, Moment]:
    """Return the committed moments by name."""
    files = sorted(SAMPLE.glob("*.yaml"))
    return {path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for path in files}


def _kind(model: Moment) -> str:
    """Return a file's name for all moments that should be judged alike."""
    status = model.get("status", {})
    if model["metadata"].get("generation") != status.get("observedGeneration"):
        return f"stale-{status.get('phase', 'new')}".lower()
    held = [c for c in status["conditions"] if c["status"] == "True" and c["type"] in _ABNORMAL]
    told = [f"{c['type']}-{c['reason']}" for c in held]
    ready = next(c["status"] for c in status["conditions"] if c["type"] == "Ready")
    at = (status.get("run") or {}).get("stage")
    return "-".join([status["phase"], *([at] if at else []), f"Ready-{ready}", *told]).lower()


_ABNORMAL = {"Reconciling", "Paused", "Stalled", "RolledBack", "Degraded", "Unsupported"}


def choose(stories: Iterable[tuple[str, list[Moment]]]) -> dict[str, Moment]:
    """Return one moment of each kind."""
    chosen: dict[str, Moment] = {}
    for _, story in stories:
        for moment in story:
            chosen.setdefault(_kind(moment), moment)
    return chosen


def main() -> None:
    """Add what is recorded to the committed sample, where it has none of its kind."""
    SAMPLE.mkdir(parents=True, exist_ok=True)
    for name, moment in choose(recorded()).items():
        path = SAMPLE / f"{name}.yaml"
        if not path.exists():
            path.write_text(yaml.safe_dump(moment, sort_keys=False, width=120), encoding="utf-8")


if __name__ == "__main__":
    main()
