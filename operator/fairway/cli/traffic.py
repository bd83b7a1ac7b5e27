"""The last hour's requests, from a Prometheus that we can reach."""

import json
import math
from dataclasses import dataclass
from typing import Any

import httpx

from fairway.core.objectives import choose_edges, family, no_bucket
from fairway.core.verdict import ObjectivePlan, SeriesMatcher

WINDOW = "1h"
TIMEOUT = 5.0
ONE_REVISION = "-[a-z][a-z2-7]{9}-.*"
"""What follows the ModelDeployment's name in the names of its pods."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What Prometheus knows of one objective: requests a second, and why it could not be judged, if so."""

    rate: float = 0.0
    problem: str = ""


class Traffic:
    """Asks one Prometheus. Raises httpx.HTTPError or ValueError where that gives no usable answer."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT)

    def measure(self, namespace: str, name: str, objective: ObjectivePlan) -> Measured:
        """Return what is known of one objective of a ModelDeployment."""
        if objective.problem:
            return Measured(0.0, objective.problem)
        selector = _selector(objective, namespace, name)
        if objective.kind == "latency":
            edges = [_edge(series) for series in self._query(f"group by (le) ({selector})")]
            selector = _selector(objective, namespace, name, SeriesMatcher("le", "=", "+Inf"))
            if not edges:
                return Measured(0.0, f"no series {objective.metric} from the pods of this model: are they scraped?")
            if choose_edges(objective.edge or 0.0, edges) is None:
                return Measured(self._rate(selector), no_bucket(objective, edges))
        elif not self._query(f"group({selector})"):
            return Measured(0.0, f"no series {objective.metric} from the pods of this model: are they scraped?")
        return Measured(self._rate(selector))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _rate(self, selector: str) -> float:
        found = self._query(f"sum(rate({selector}[{WINDOW}]))")
        value = float(found[0]["value"][1]) if found else 0.0
        return value if math.isfinite(value) else 0.0

    def _query(self, query: str) -> list[dict[str, Any]]:
        answer = self._client.post("api/v1/query", data={"query": query})
        answer.raise_for_status()
        data = answer.json()
        if data.get("status") != "success" or data["data"]["resultType"] != "vector":
            raise ValueError("no usable answer")
        return list(data["data"]["result"])


def _selector(objective: ObjectivePlan, namespace: str, name: str, *more: SeriesMatcher) -> str:
    asked = family(objective)
    ours = (SeriesMatcher("namespace", "=", namespace), SeriesMatcher("pod", "=~", f"{name}{ONE_REVISION}"))
    matchers = (*ours, *asked.matchers, *more)
    inside = ",".join(f"{m.label}{m.op}{json.dumps(m.value, ensure_ascii=False)}" for m in matchers)
    return f"{asked.metric}{{{inside}}}"


def _edge(series: dict[str, Any]) -> float:
    try:
        return float(series["metric"]["le"])
    except (KeyError, ValueError):
        return math.inf
