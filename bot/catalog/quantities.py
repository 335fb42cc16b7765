"""The numbers of rollouts inside the catalog file: shares, weights, and how long something is watched or waited for.

No places, no YAML. What a number must be beside another one is for the domain to say.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from bot.catalog.problems import BadValue, described

if TYPE_CHECKING:
    from collections.abc import Callable

_PERCENTAGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?%")
_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LARGEST = 1e15
_DAY = 86_400.0


def percentage(text: str) -> float | None:
    """``2%`` as 0.02; None when it is no percentage."""
    match = _PERCENTAGE.fullmatch(text)
    return float(Decimal(match[1]) / 100) if match else None


def number(value: object) -> float:
    """A number, or a percentage such as ``2%`` for 0.02; raises `BadValue`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and abs(value) <= _LARGEST:
        return float(value)
    found = percentage(value) if isinstance(value, str) else None
    if found is None:
        raise BadValue(f"must be a number such as 250, or a percentage such as 2%, not {described(value)}")
    return found


def difference(value: object) -> float:
    """`number`, but none below nothing."""
    found = number(value)
    if found < 0:
        raise BadValue(f"must be at least 0, not {described(value)}")
    return found


def weight(value: object) -> int:
    """``20`` or ``20%`` of the traffic, 1 to 100; raises `BadValue`."""
    found: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (share := percentage(value)) is not None:
        found = round(share * 100, 6)
    if found is None or found != int(found) or not 1 <= found <= 100:
        raise BadValue(f"must be a whole number of per cent from 1 to 100, not {described(value)}")
    return int(found)


def length(value: object, *, least: str, most: str) -> float:
    """Seconds in ``30s``, ``5m``, ``1h``, ``2d``, ``500ms`` or a number; raises `BadValue` outside of the bounds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str) and (match := _LENGTH.fullmatch(value)):
        found = float(match[1]) * _UNITS[match[2]]
    else:
        raise BadValue(f"must be a duration such as 30s, 5m or 1h, or a number of seconds, not {described(value)}")
    if not _bound(least) <= found <= _bound(most):
        raise BadValue(f"must be between {least} and {most}, not {described(value)}")
    return found


def _bound(text: str) -> float:
    match = _LENGTH.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else float(text)


def _between(least: str, most: str) -> Callable[[object], float]:
    return lambda value: length(value, least=least, most=most)


def _spans(least: float, most: float, *examples: str) -> WithJsonSchema:
    text: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$"}
    return WithJsonSchema(
        {"oneOf": [text, {"type": "number", "minimum": least, "maximum": most}], "examples": [*examples]}
    )


def _numbers(least: float, *examples: object) -> WithJsonSchema:
    text: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?%$"}
    return WithJsonSchema(
        {"oneOf": [{"type": "number", "minimum": least, "maximum": _LARGEST}, text], "examples": [*examples]}
    )


#: May be left out, never empty.
OptionalNumber = Annotated[float | None, BeforeValidator(number), _numbers(-_LARGEST, "2%", 0.02, 250)]
Difference = Annotated[float, BeforeValidator(difference), _numbers(0, "1%", 0.01, 20)]
Weight = Annotated[
    int,
    BeforeValidator(weight),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 100},
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?%$"},
            ],
            "examples": [20, "20%"],
        }
    ),
]
#: How long something is watched; nothing is allowed.
Bake = Annotated[float, BeforeValidator(_between("0", "24h")), _spans(0, _DAY, "30s", "5m")]
#: From a second to a day.
Look = Annotated[float, BeforeValidator(_between("1s", "24h")), _spans(1, _DAY, "30s", "5m")]
OptionalLook = Annotated[float | None, BeforeValidator(_between("1s", "24h")), _spans(1, _DAY, "30s", "5m")]
#: How long people are waited for.
Patience = Annotated[float, BeforeValidator(_between("1s", "7d")), _spans(1, 7 * _DAY, "30m", "2d")]
