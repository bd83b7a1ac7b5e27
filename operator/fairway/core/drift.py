"""Whether an object still says what we want it to say."""

import re
from decimal import Decimal
from typing import Any

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_QUANTITY = re.compile(rf"^({_NUMBER})(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|n|u)?$")
_SCALE = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9, "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15, "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30, "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50, "Ei": Decimal(2) ** 60,
}  # fmt: skip
_WHOLE = frozenset({"selector", "nodeSelector", "parentRefs", "rules"})
"""What Kubernetes' schemas call atomic and leaves as it was written: one more entry, such as a route's filter, means
something else."""


def says(live: Any, wanted: Any) -> bool:
    """Whether ``live`` holds everything in ``wanted``, and in what is a whole nothing else.

    Quantities compare by value, lists element by element.
    """
    if live == wanted:
        return True  # most parts are, and this is the fastest way to know
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(_holds(live, key, value) for key, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(live, (list, tuple))
            and len(live) == len(wanted)
            and all(says(one, other) for one, other in zip(live, wanted, strict=True))
        )
    return _same_quantity(live, wanted)


def _holds(live: dict[str, Any], key: str, wanted: Any) -> bool:
    if key not in live:
        return wanted in ({}, [], None)
    return bool(live[key] == wanted) if key in _WHOLE else says(live[key], wanted)


def _same_quantity(live: Any, wanted: Any) -> bool:
    if isinstance(live, bool) or isinstance(wanted, bool):
        return False
    one, other = _value(live), _value(wanted)
    return one is not None and one == other


def _value(text: Any) -> Decimal | None:
    match = _QUANTITY.match(str(text))
    return Decimal(match[1]) * _SCALE[match[2] or ""] if match else None
