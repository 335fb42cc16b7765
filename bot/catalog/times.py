"""The languages of time inside the catalog file: zones, rules that recur, and lengths of days. No places, no YAML.

What the domain refuses is told in the words of the file. Reading rules loads libraries: not before there is one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated
from zoneinfo import available_timezones

from pydantic import BeforeValidator, WithJsonSchema

from bot.catalog.problems import BadValue, described, nearest, quoted
from bot.domain.errors import ConfigurationError
from bot.domain.when import find_zone, zones_like

if TYPE_CHECKING:
    from bot.domain.policy.recurrence import Recurrence

_LONG = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(s|m|h|d|w)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONGEST = 366 * 86_400.0


def zone(value: object) -> str:
    """The IANA name of a time zone; raises `BadValue` with the nearest."""
    if isinstance(value, str) and find_zone(value) is not None:
        return value
    message = f"must be a time zone such as Europe/Paris or UTC, not {described(value)}"
    guess: str | None = None
    if isinstance(value, str):
        guess = next(iter(zones_like(value)), None) or nearest(value, _zones())
    raise BadValue(message, nearest=guess)


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and find_zone(name)))


def long_seconds(value: object) -> float:
    """``9h``, ``30m``, ``2d``, ``1w``; raises `BadValue`. A second to 366 days.

    Its unit must be written: 24 could be meant as hours, and a day on which nothing may happen would last 24 seconds.
    """
    match = _LONG.fullmatch(value) if isinstance(value, str) else None
    if not match:
        unit = "; write the unit too" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise BadValue(f"must be a length of time such as 30m, 9h, 2d or 1w, not {described(value)}{unit}")
    result = float(match[1]) * _UNITS[match[2]]
    if not 1 <= result <= _LONGEST:
        raise BadValue(f"must be between 1s and 366d, not {described(value)}")
    return result


def rule(value: object) -> str:
    """When something recurs, as cron or RRULE; raises `BadValue`."""
    if not isinstance(value, str):
        raise BadValue(
            f'must be a cron line such as "0 9 * * 1-5" or an RRULE, in quotes, not {described(value)}',
        )
    try:
        recurrence(value)
    except ConfigurationError as error:
        raise BadValue(in_file(error)) from None
    return value


@lru_cache(maxsize=4096)
def recurrence(text: str) -> Recurrence:
    """The rule that ``text`` says, read once; raises `ConfigurationError`."""
    from bot.domain.policy.recurrence import read_recurrence

    return read_recurrence(text)


def in_file(error: ConfigurationError) -> str:
    """What the domain refuses, as a problem begins and ends."""
    message = error.message.rstrip(".")
    return message[:1].lower() + message[1:]


def window_name(value: object) -> str:
    """What people are told when a window stops them; raises `BadValue`."""
    if isinstance(value, str) and 0 < len(value) <= 60 and value.strip() == value and value.isprintable():
        return value
    if isinstance(value, str):
        raise BadValue(f"must be a name of 1 to 60 characters without blanks around it, not {quoted(value)}")
    raise BadValue(f"must be a name such as office hours, not {described(value)}")


_ZONE = WithJsonSchema(
    {
        "type": "string",
        "pattern": r"^(UTC|GMT|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)+)$",
        "examples": ["Europe/Paris", "UTC"],
    }
)
Zone = Annotated[str, BeforeValidator(zone), _ZONE]
#: May be left out, never empty.
OptionalZone = Annotated[str | None, BeforeValidator(zone), _ZONE]
LongDuration = Annotated[
    float,
    BeforeValidator(long_seconds),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?(s|m|h|d|w)$",
            "examples": ["30m", "9h", "2d", "1w"],
        }
    ),
]
OptionalRule = Annotated[
    str | None,
    BeforeValidator(rule),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"\S",
            "examples": ["0 9 * * 1-5", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0"],
        }
    ),
]
WindowName = Annotated[
    str,
    BeforeValidator(window_name),
    WithJsonSchema({"type": "string", "pattern": r"^\S(.{0,58}\S)?$", "examples": ["office hours"]}),
]
