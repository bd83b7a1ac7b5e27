"""The local time zone, which people's times are shown in."""

import contextlib
import os
import time
from collections.abc import Iterator


@contextlib.contextmanager
def utc() -> Iterator[None]:
    """Let the local time be UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
