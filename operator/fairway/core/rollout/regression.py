"""The samples say that the revision breaks its promise."""

from fairway.api.status import Status
from fairway.core.rollout.rollback import give_back, roll_back
from fairway.core.rollout.situation import Situation, Transition
from fairway.core.showing import regression_words


def regressed(s: Situation) -> Transition | None:
    """Roll back on Regressed: in a run to stable, in the watch window to the former revision."""
    reading, status = s.reading, s.status
    if reading is None or reading.state != "Regressed":
        return None
    words = regression_words(reading)
    rollout = s.spec.rollout
    if status.run and reading.run == status.run.id and status.stable and status.run.stage != "RollingBack":
        held = rollout is not None and rollout.on_regression == "Pause"
        return None if held else roll_back(s, "Regressed", words)
    if status.former and reading.run == watch_id(status.former.run):
        return None if breaches_pause(s) else give_back(s, "Regressed", words)
    return None


def breaches_pause(s: Situation) -> bool:
    """Whether a breach in the watch window is left to people."""
    watch = s.spec.rollout.watch if s.spec.rollout else None
    return watch is not None and watch.on_breach == "Pause"


def analysed(status: Status) -> str | None:
    """Name of the analysis that speaks about what is under way; None between runs."""
    if status.run:
        return status.run.id
    return watch_id(status.former.run) if status.former else None


def watch_id(run: str) -> str:
    """Name of the analysis that goes on in the watch window of a promoted run."""
    return f"{run}/watch"
