"""The environment switches: what version this server says it is, and how it misbehaves on request."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DEFAULT_VERSION = "0.0.0-dev"
# Goes into a header and is read back as a version, so nothing that needs quoting.
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}")


class SwitchError(ValueError):
    """A switch holds a value that cannot be meant; the text names the switch, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Crash:
    """When to die: `start`, at the N-th `request`, or `after` some seconds."""

    when: Literal["start", "request", "after"]
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """All switches, parsed. Times in seconds, shares in 0..1."""

    version: str = DEFAULT_VERSION
    error_share: float = 0.0
    latency: float = 0.0
    latency_share: float = 1.0
    load_seconds: float = 0.0
    model_format: str = "sklearn"
    crash: Crash | None = None
    port: int = 8080

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Switches":
        """Read the switches from an environment; an empty value counts as absent. Raises SwitchError."""
        return cls(
            version=_version(env.get("MODEL_VERSION") or DEFAULT_VERSION),
            error_share=_number(env, "FAULT_ERROR_SHARE", 0.0, 1.0),
            latency=_number(env, "FAULT_LATENCY", 0.0, 120.0),
            latency_share=_number(env, "FAULT_LATENCY_SHARE", 1.0, 1.0),
            load_seconds=_number(env, "LOAD_SECONDS", 0.0, 3600.0),
            model_format=_format(env.get("MODEL_FORMAT") or "sklearn"),
            crash=_crash(env.get("FAULT_CRASH", "").strip()),
            port=_port(env.get("PORT") or "8080"),
        )


def _version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise SwitchError(f"MODEL_VERSION={text!r}: up to 63 letters, digits and . + _ - are allowed")
    return text


def _format(text: str) -> str:
    if text not in ("sklearn", "json"):
        raise SwitchError(f"MODEL_FORMAT={text!r}: sklearn or json is needed")
    return text


def _number(env: Mapping[str, str], name: str, default: float, highest: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= highest:  # also catches NaN, which compares false with everything
        raise SwitchError(f"{name}={text!r}: a number from 0 to {highest:g} is needed")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):  # noqa: PLR2004
        raise SwitchError(f"PORT={text!r}: a number from 1 to 65535 is needed")
    return int(text)


def _crash(text: str) -> Crash | None:
    if not text:
        return None
    if text == "start":
        return Crash("start")
    if match := re.fullmatch(r"request:([1-9][0-9]{0,8})", text):
        return Crash("request", float(match[1]))
    if match := re.fullmatch(r"after:([0-9]{1,6}(?:\.[0-9]{1,3})?)", text):
        return Crash("after", float(match[1]))
    raise SwitchError(f"FAULT_CRASH={text!r}: start, request:N (N from 1) or after:SECONDS is needed")
