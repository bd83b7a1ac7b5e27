"""Time one evaluation of many open runs, from the provider's bytes to the verdicts."""

import argparse
import time

from fairway.adapters import memory
from tests.bench.evaluation.fleet import PLANS, SCRAPE, answer, evaluate, fleet

CHUNK = 50
"""Models per answer, as the analysis asks for them."""


def main() -> None:
    """Run and print seconds of one core; the smallest of some, for a machine is never alone."""
    parser = argparse.ArgumentParser(prog="bench-evaluation", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--looks", type=int, default=5)
    asked = parser.parse_args()
    memory.settle()
    runs, now, seconds = fleet(asked.runs), 100.0, []
    chunks = [runs[start : start + CHUNK] for start in range(0, len(runs), CHUNK)]
    for _ in range(asked.looks + 1):
        spent, size, judged = 0.0, 0, 0
        for chunk in chunks:
            bodies = {plan.name: answer(chunk, plan, now) for plan in PLANS}
            started = time.process_time()
            judged += len(evaluate(chunk, bodies, now))
            spent += time.process_time() - started
            size += sum(map(len, bodies.values()))
        seconds.append(spent)
        now += SCRAPE
    print(f"{judged} open runs, {len(PLANS)} objectives each, {size / 1e6:.1f} MB of answers, one look:")
    print(f"  the first {seconds[0]:.2f} s, then {min(seconds[1:]):.2f} s of one core")


if __name__ == "__main__":
    main()
