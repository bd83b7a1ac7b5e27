"""Who was given how much, when: as the status says, and as the live HTTPRoute says. Times are epoch seconds."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairway.api.rollout import ALL
from fairway.api.status import Status

Points = list[tuple[float, int]]
"""Weights from these moments on; only changes are kept."""


@dataclass(slots=True)
class Record:
    """The weights that were seen. The route knows revisions only; the status knows their versions."""

    by_version: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    by_revision: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)

    def see_status(self, status: Status, at: float) -> None:
        """Note the weights of a status."""
        tracks = [track for track in (status.stable, status.candidate) if track]
        self.versions.update({track.revision: track.version for track in tracks})
        # A first revision has its weight before it has pods, and nobody to share it with.
        _note(self.by_version, {t.version: t.weight for t in tracks} if status.stable else {}, at)

    def see_route(self, route: Mapping[str, Any], at: float) -> None:
        """Note the weights of an HTTPRoute; its backends are named <model>-<revision>."""
        backends = [ref for rule in route["spec"].get("rules", ()) for ref in rule.get("backendRefs", ())]
        _note(self.by_revision, {ref["name"].rpartition("-")[2]: ref.get("weight", 1) for ref in backends}, at)

    def climb(self, version: str) -> list[int]:
        """The weights that a version was given on its way, in order: from above 0 up to 100 or to the fall."""
        steps: list[int] = []
        for _, weight in self.by_version.get(version, ()):
            if steps and (weight == 0 or steps[-1] == ALL):
                break
            steps += [weight] if weight else []
        return steps

    def had_weight(self, version: str) -> bool:
        """Whether status or route ever gave it a request."""
        return bool(self.climb(version)) or any(weight for _, weight in self._routed(version))

    def status_zero(self, version: str) -> float | None:
        """When the status took its last weight away; None if it had none or has some."""
        return _zero(self.by_version.get(version, []))

    def route_zero(self, version: str) -> float | None:
        """The same of the live HTTPRoute."""
        return _zero(self._routed(version))

    def _routed(self, version: str) -> Points:
        return next(
            (self.by_revision[r] for r, v in self.versions.items() if v == version and r in self.by_revision), []
        )


def _note(points: dict[str, Points], weights: Mapping[str, int], at: float) -> None:
    gone = dict.fromkeys(points.keys() - weights.keys(), 0)
    for key, weight in {**gone, **weights}.items():
        if not points[key] or points[key][-1][1] != weight:
            points[key].append((at, weight))


def _zero(points: Points) -> float | None:
    if not points or points[-1][1] != 0 or not any(weight for _, weight in points):
        return None
    return points[-1][0]
