"""Simulate all scenarios; print a table and write build/analysis.json."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.analysis.measure import Result, measure
from tests.bench.analysis.report import document, text
from tests.bench.analysis.scenario import BOUNDARY, BROKEN, HEALTHY, NULLS, Scenario

TARGET = Path("build/analysis.json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run; the exit code says whether a good candidate was rolled back."""
    parser = argparse.ArgumentParser(prog="bench-analysis", description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="runs of each scenario")
    parser.add_argument("--more", type=int, default=2000, help="runs of each null and each boundary")
    parser.add_argument("--to", type=Path, default=TARGET, help="where the JSON goes")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    healthy = _all(HEALTHY, asked.runs) + _all(NULLS, asked.more)
    broken, edges = _all(BROKEN, asked.runs), _all(BOUNDARY, asked.more)
    print(text(healthy, broken, edges))
    asked.to.parent.mkdir(parents=True, exist_ok=True)
    asked.to.write_text(json.dumps(document(healthy, broken, edges), indent=1) + "\n", encoding="utf-8")
    print(f"\n{asked.to}, in {time.monotonic() - started:.0f} s")
    sys.exit(1 if any(result.regressed.count for result in healthy) else 0)


def _all(scenarios: tuple[Scenario, ...], runs: int) -> list[Result]:
    results = []
    for scenario in scenarios:
        print(f"  {scenario.name} ...", file=sys.stderr, flush=True)
        results.append(measure(scenario, runs))
    return results


if __name__ == "__main__":
    main()
