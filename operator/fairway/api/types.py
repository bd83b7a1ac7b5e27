"""Scalar types of the API: strings for people on the wire, plain numbers in the core."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.types import JsonValue

DURATION = r"^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
LATENCY = r"^[0-9]{1,6}(\.[0-9]{1,6})?(us|ms|s)$"
PERCENT = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"
SEMVER = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
)
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_LENGTH = 40
HOSTNAME = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUANTITY = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
QUANTITY_LENGTH = 32
_HOST = r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?)"
# A host has no place for user and password, and a path in a claim none for two dots.
MODEL_URI = (
    rf"^(https://{_HOST}([/?][!-~]*)?"
    rf"|oci://{_HOST}(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)+(:[A-Za-z0-9_][-A-Za-z0-9_.]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
    r"|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/\.?[-A-Za-z0-9_~+=,@%:][-A-Za-z0-9_~+=,@%:.]*)*/?)$"
)
NUMBER = r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
PATH = r"^/[-A-Za-z0-9/._~%]*$"
DIRECTORY = r"^(/\.?[-A-Za-z0-9_~][-A-Za-z0-9_~.]*)+$"

POSITIVE = "must be more than zero"
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Api(BaseModel):
    """What every part of a resource shares: camelCase on the wire, immutable, unknown fields are errors."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")


class Tolerant(Api):
    """A part that an older or newer operator may have written: unknown fields are dropped."""

    model_config = ConfigDict(extra="ignore")


def _duration(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    match = re.fullmatch(DURATION, value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError("not a duration: use hours, minutes and seconds such as 90s, 2m or 1h30m")
    hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError(POSITIVE)
    return value


def format_duration(seconds: float) -> str:
    """Write seconds the way the API reads them: ``90`` is ``1m30s``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (secs, "s")) if n) or "0s"


def _latency(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    match = (
        re.match(r"^([0-9.]+)(us|ms|s)$", value) if isinstance(value, str) and re.fullmatch(LATENCY, value) else None
    )
    if match is None:
        raise ValueError("not a latency: use a number with us, ms or s, such as 50ms")
    return float(match[1]) * _UNITS[match[2]]


def format_latency(seconds: float) -> str:
    """Write a latency in the unit a person would choose: ``0.05`` is ``50ms``."""
    unit = "s" if seconds >= 1 else "ms" if seconds >= 1e-3 else "us"  # noqa: PLR2004
    return f"{seconds / _UNITS[unit]:.4g}{unit}"


def _percent(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str) or not re.fullmatch(PERCENT, value) or float(value[:-1]) > 100:  # noqa: PLR2004
        raise ValueError("not a percentage between 0% and 100%, such as 1% or 0.5%")
    return float(value[:-1]) / 100


def format_percent(fraction: float) -> str:
    """Write a fraction as the API reads it: ``0.01`` is ``1%``."""
    return f"{fraction * 100:.4g}%"


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str) or not re.fullmatch(NUMBER, value):
        raise ValueError("not a number: write it as text, such as '0.2' or '-10'")
    return float(value)


def format_number(number: float) -> str:
    """Write a number the way the API reads it, without an exponent: ``0.2`` is ``0.2``."""
    text = f"{number:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _quantity(value: Any) -> int | str:
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    text = isinstance(value, str) and len(value) <= QUANTITY_LENGTH and re.fullmatch(QUANTITY, value)
    if not number and not text:
        raise ValueError("not a quantity: use a number, with a unit where needed, such as 2, 500m or 1Gi")
    return cast("int | str", value)


def _time(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        raise ValueError("not a time: use RFC 3339 such as 2026-01-31T12:00:00Z")  # noqa: TRY004  pydantic passes TypeError on
    return datetime.fromisoformat(value).timestamp()


def format_time(epoch: float) -> str:
    """RFC 3339 in UTC with milliseconds, so that a stored time survives a round trip through the core."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def keyed_by(key: str) -> dict[str, JsonValue]:
    """Mark a list whose items ``key`` tells apart: unique, and owned item by item in server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def require_distinct(values: Iterable[str], what: str = "names") -> None:
    """Refuse a list in which two items have the same name."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} must differ, but {value!r} is there twice")
        seen.add(value)


def _schema(kind: str, **rest: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **rest})


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    _schema("string", pattern=DURATION, minLength=2, maxLength=16),
]
"""Seconds; on the wire ``90s``, ``2m``, ``1h30m``."""
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
"""A duration where zero makes no sense."""
Latency = Annotated[
    float,
    BeforeValidator(_latency),
    AfterValidator(_positive),
    PlainSerializer(format_latency, return_type=str),
    _schema("string", pattern=LATENCY, maxLength=16),
]
"""Seconds, more than zero; on the wire ``50ms``."""
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    PlainSerializer(format_percent, return_type=str),
    _schema("string", pattern=PERCENT, maxLength=12),
]
"""A fraction in 0..1; on the wire ``1%``."""
Number = Annotated[
    float,
    BeforeValidator(_number),
    PlainSerializer(format_number, return_type=str),
    _schema("string", pattern=NUMBER, maxLength=20),
]
"""Any number; on the wire text such as ``0.2``, as YAML and JSON readers disagree about floating point."""
Time = Annotated[
    float,
    BeforeValidator(_time),
    PlainSerializer(format_time, return_type=str),
    _schema("string", format="date-time"),
]
"""Seconds since the epoch; on the wire RFC 3339."""
Semver = Annotated[str, StringConstraints(pattern=SEMVER, max_length=63)]
Name = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=63)]
ObjectName = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN, min_length=1, max_length=253)]
"""The name of an object of another kind, which may have dots."""
Quantity = Annotated[
    int | str,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": QUANTITY, "maxLength": QUANTITY_LENGTH},
            ]
        }
    ),
]
"""An amount as Kubernetes writes it, such as ``500m`` or ``1Gi``; never negative."""
Directory = Annotated[str, StringConstraints(pattern=DIRECTORY, max_length=256)]
"""An absolute path in a container, the root excluded: what is mounted hides what is there."""
Text = Annotated[str, StringConstraints(max_length=1024)]
Short = Annotated[str, StringConstraints(max_length=256)]
Port = Annotated[int, Field(ge=1, le=65535)]
Weight = Annotated[int, Field(ge=1, le=100)]
