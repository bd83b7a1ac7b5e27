"""Time one evaluation of many open runs, from the provider's bytes to the verdicts."""

import argparse
import time

from tests.bench.evaluation.fleet import PLANS, SCRAPE, answer, evaluate, fleet


def main() -> None:
    """Run and print seconds of one core; the smallest of some, for a machine is never alone."""
    parser = argparse.ArgumentParser(prog="bench-evaluation", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--looks", type=int, default=5)
    asked = parser.parse_args()
    runs, now, seconds = fleet(asked.runs), 100.0, []
    for _ in range(asked.looks + 1):
        bodies = {plan.name: answer(runs, plan, now) for plan in PLANS}
        started = time.process_time()
        readings = evaluate(runs, bodies, now)
        seconds.append(time.process_time() - started)
        now += SCRAPE
    size = sum(map(len, bodies.values()))
    print(f"{len(readings)} open runs, {len(PLANS)} objectives each, {size / 1e6:.1f} MB of answers, one look:")
    print(f"  the first {seconds[0]:.2f} s, then {min(seconds[1:]):.2f} s of one core")


if __name__ == "__main__":
    main()
