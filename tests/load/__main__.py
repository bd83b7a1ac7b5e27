"""The command: `python -m tests.load http://127.0.0.1:30080 --host churn.models.example --rate 100 --for 60s`."""

import argparse
import asyncio
import json
import re
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.load.generator import Load, Plan
from tests.load.result import Result


def duration(text: str) -> float:
    """Read 90, 90s, 2m or 1h30m as seconds."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a duration such as 90s or 2m is needed")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse(arguments: list[str]) -> tuple[Plan, Path | None]:
    """Turn the command line into a plan and the file for the JSON dump; exits with a usage message."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Constant-rate load on a model server.")
    parser.add_argument("url", help="http://ADDRESS[:PORT][/predict]; loopback and cluster addresses only")
    parser.add_argument("--host", help="the Host header that the gateway routes by")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default: 100)")
    parser.add_argument("--for", dest="seconds", type=duration, default=60.0, help="how long (default: 60s)")
    parser.add_argument("--timeout", type=duration, default=15.0, help="of one request (default: 15s)")
    parser.add_argument("--connections", type=int, default=64, help="at most so many (default: 64)")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="one more header")
    parser.add_argument("--body", type=Path, help="file with the JSON to send (default: examples/churn/sample.json)")
    parser.add_argument("--json", dest="dump", type=Path, help="write summary and timeline to this file")
    chosen = parser.parse_args(arguments)
    parts = urlsplit(chosen.url)
    url = chosen.url if parts.path not in {"", "/"} else parts._replace(path="/predict").geturl()
    try:
        plan = Plan(
            url=url,
            host=chosen.host,
            rate=chosen.rate,
            seconds=chosen.seconds,
            timeout=chosen.timeout,
            connections=chosen.connections,
            headers={name.strip(): value.strip() for name, _, value in (x.partition(":") for x in chosen.header)},
            **({"body": chosen.body.read_bytes()} if chosen.body else {}),
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return plan, chosen.dump


async def load_until_signalled(plan: Plan) -> Result:
    """Run the plan; SIGINT and SIGTERM end it early, with the answers of what is in flight."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Load(plan) as load:
        ends = [asyncio.create_task(load.wait()), asyncio.create_task(stopped.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        return await load.stop()


def main(arguments: list[str]) -> int:
    """Run and print the summary; 0 when nothing was lost or left unsent, else 1."""
    plan, dump = parse(arguments)
    result = asyncio.run(load_until_signalled(plan))
    print(json.dumps(result.summary(), indent=1))
    if dump:
        dump.write_text(result.dump() + "\n")
    return 1 if result.lost or result.unsent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
