"""How long after a route is accepted the old weights still act: `python -m tests.bench.settle [TIMES]`.

Two Services behind one HTTPRoute, constant load, and the whole weight moved from one to the other again and again. For
each move: from the API server's answer to the last request that the former side still got, and to the first that the
new side got. The settle time of the operator must be longer than the largest of the first.
"""

import asyncio
import json
import random
import statistics
import sys
import time

from tests.e2e.harness import Manifest, Namespace, fresh_namespace
from tests.e2e.programs import kubectl
from tests.e2e.specs import IMAGE

RATE = 200.0
SIDES = ("1.0.0", "2.0.0")
LONGEST = 8.0
"""Seconds between two moves: no router takes longer, or this measurement is the least of its problems."""


def backend(ns: Namespace, side: str) -> list[Manifest]:
    """A model server of this version, and its Service."""
    name = f"side-{side[0]}"
    labels, meta = {"app": name}, {"name": name, "namespace": ns.name}
    container = {
        "name": "model",
        "image": f"{IMAGE}:1.0.0",
        "env": [{"name": "MODEL_VERSION", "value": side}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
         "spec": {"selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
    ]  # fmt: skip


def route(ns: Namespace, weights: tuple[int, int]) -> Manifest:
    """The route to both."""
    pairs = zip(SIDES, weights, strict=True)
    backends = [{"name": f"side-{side[0]}", "port": 80, "weight": weight} for side, weight in pairs]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "churn", "namespace": ns.name},
        "spec": {
            "parentRefs": [{"name": "models", "namespace": "gateways"}],
            "hostnames": [ns.host],
            "rules": [{"backendRefs": backends}],
        },
    }


async def measure(times: int) -> list[tuple[float, float]]:
    """Move the weight so many times; return (last of the former side, first of the new side), seconds after it."""
    async with fresh_namespace() as ns:
        objects = [*(each for side in SIDES for each in backend(ns, side)), route(ns, (100, 0))]
        await kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(each) for each in objects))
        await kubectl("-n", ns.name, "wait", "deploy", "--all", "--for=condition=Available", "--timeout=90s")
        await ns.answers(30)
        moves: list[tuple[float, str, str]] = []
        async with ns.load(seconds=times * (LONGEST + 2) + 20, rate=RATE) as load:
            for number in range(times):
                # At a random moment of the router's own rhythm.
                await asyncio.sleep(LONGEST + random.random())
                to = (number + 1) % 2
                weights = (100, 0) if to == 0 else (0, 100)
                await kubectl("apply", "-f", "-", stdin=json.dumps(route(ns, weights)))
                moves.append((time.time(), SIDES[1 - to], SIDES[to]))
                print(f"move {number + 1} of {times}", flush=True)
            await asyncio.sleep(LONGEST)
            samples = (await load.stop()).samples
    found = []
    for at, former, new in moves:
        late = [s.at - at for s in samples if s.version == former and at <= s.at < at + LONGEST]
        first = [s.at - at for s in samples if s.version == new and at <= s.at < at + LONGEST]
        found.append((max(late, default=0.0), min(first, default=LONGEST)))
    return found


def main() -> None:
    """Measure and print a table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    found = asyncio.run(measure(times))
    print(f"{'seconds after the write':<32}{'median':>8}{'p90':>8}{'max':>8}")
    rows = {
        "former side's last request": [late for late, _ in found],
        "new side's first request": [f for _, f in found],
    }
    for name, values in rows.items():
        ordered = sorted(values)
        p90 = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
        print(f"{name:<32}{statistics.median(values):>8.2f}{p90:>8.2f}{max(values):>8.2f}")


if __name__ == "__main__":
    main()
