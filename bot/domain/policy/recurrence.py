"""When something recurs: a cron line or an iCalendar RRULE, on the clock of no zone in particular.

Knows nothing of time zones: it names wall-clock times, and `bot.domain.policy.window` turns them into instants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from croniter import croniter  # type: ignore[import-untyped]  # it comes without types
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # it comes without types

from bot.domain.errors import ConfigurationError

MOST_A_DAY = 24
"""How often a day something may recur. More is a mistake in the minutes, and would take long to compute."""

_MIDNIGHT = time()
_EARLIEST = datetime.combine(date(2000, 1, 1), _MIDNIGHT)
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS = frozenset(
    {"FREQ", "INTERVAL", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR"}
    | {"BYMINUTE", "BYSETPOS"}
)
_CRON_WORD = re.compile(r"sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|l", re.ASCII)
_CRON_FIELD = re.compile(r"[0-9*/,#-]*", re.ASCII)
_RRULE = re.compile(r"(?:DTSTART:(?P<start>[0-9]{8}T[0-9]{6})\s+)?RRULE:(?P<rule>[A-Z0-9=;,+-]+)", re.ASCII)
_UNTIL = re.compile(r"[0-9]{8}(?:T[0-9]{6})?", re.ASCII)
_DAYS = ("BYDAY=", "BYMONTHDAY=", "BYYEARDAY=", "BYWEEKNO=")
_LONGEST = 500


class RuleKind(StrEnum):
    """The language of a rule."""

    CRON = "cron"
    RRULE = "rrule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A rule that `read_recurrence` has checked."""

    kind: RuleKind
    text: str

    def starts(self, year: int, month: int) -> tuple[datetime, ...]:
        """The wall-clock times without zone of that month, in order, each once."""
        return _starts(self, year, month)


def read_recurrence(text: str) -> Recurrence:
    """The rule that ``text`` says; raises `ConfigurationError`.

    Five cron fields (minute, hour, day of month, month, day of week; if both days are given, either will do), or
    ``RRULE:…`` by day, week, month or year, with ``DTSTART:20260105T090000`` before it where the rule counts from a
    day. Where a rule leaves it open it is midnight, Monday, the first of the month.
    """
    line = " ".join(text.split())
    if not line or len(line) > _LONGEST:
        raise ConfigurationError(f"A rule has between 1 and {_LONGEST} characters.")
    if line.upper().startswith(("RRULE", "DTSTART", "FREQ")):
        rule = Recurrence(kind=RuleKind.RRULE, text=_check_rrule(line.upper()))
    else:
        rule = Recurrence(kind=RuleKind.CRON, text=_check_cron(line))
    if not _ever_begins(rule):
        raise ConfigurationError(f"The rule “{line}” never begins: there is no such day.")
    return rule


def _check_cron(line: str) -> str:
    fields = line.casefold().split()
    if len(fields) != 5:
        raise ConfigurationError(
            f"The rule “{line}” must be five cron fields, such as 0 9 * * 1-5, or begin with RRULE:."
        )
    for field in fields:
        if not _CRON_FIELD.fullmatch(_CRON_WORD.sub("", field)):
            raise ConfigurationError(f"The rule “{line}” cannot be read: “{field}” is no cron field.")
    try:
        minutes, hours, *_ = croniter.expand(" ".join(fields))[0]
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(f"The rule “{line}” cannot be read as cron: {error}.") from error
    _check_often(line, len(_numbers(minutes, 60)) * len(_numbers(hours, 24)))
    return " ".join(fields)


def _check_rrule(line: str) -> str:
    match = _RRULE.fullmatch(line if "RRULE:" in line else f"RRULE:{line}")
    if not match:
        raise ConfigurationError(f"The rule “{line}” must look like RRULE:FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0.")
    parts: dict[str, str] = {}
    for part in match["rule"].strip(";").split(";"):
        name, _, value = part.partition("=")
        if name in parts or name not in _PARTS or not value:
            why = "is there twice" if name in parts else "is not one that a window can have"
            raise ConfigurationError(f"The rule “{line}” cannot be read: {name or part} {why}.")
        parts[name] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise ConfigurationError(f"The rule “{line}” needs FREQ= with one of {', '.join(_FREQUENCIES)}.")
    interval = parts.get("INTERVAL", "1")
    if not interval.isdigit() or not 1 <= int(interval) <= 1000:
        raise ConfigurationError(f"The rule “{line}” has INTERVAL={interval}; it must be from 1 to 1000.")
    if int(interval) > 1 and not match["start"]:
        raise ConfigurationError(f"The rule “{line}” has an INTERVAL; put DTSTART:20260105T090000 before it.")
    _check_often(line, (parts.get("BYHOUR", "").count(",") + 1) * (parts.get("BYMINUTE", "").count(",") + 1))
    try:
        start = _start_of(match[0]) or _EARLIEST
        _until(match["rule"])
        rrulestr(_series_of(match[0]), dtstart=start)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigurationError(f"The rule “{line}” cannot be read as RRULE: {error}.") from error
    if start < _EARLIEST or start.year > 9000 or start.second:
        raise ConfigurationError(f"The rule “{line}” must start on a whole minute after the year 1999.")
    return match[0]


def _check_often(line: str, times: int) -> None:
    if times > MOST_A_DAY:
        raise ConfigurationError(f"The rule “{line}” begins {times} times a day; {MOST_A_DAY} is the most.")


def _ever_begins(rule: Recurrence) -> bool:
    if rule.kind is RuleKind.CRON:
        try:
            croniter(rule.text, _EARLIEST, ret_type=datetime).get_next()
        except ValueError:
            return False
        return True
    # The library looks until the year 9999, however long that takes. The calendar repeats after 400 years, so the same
    # rule is asked near that end.
    start = _start_of(rule.text) or _EARLIEST.replace(year=1972)
    late = start.replace(year=start.year + (9999 - start.year) // 400 * 400)
    return next(iter(rrulestr(_series_of(rule.text), dtstart=late)), None) is not None


@lru_cache(maxsize=8192)
def _starts(rule: Recurrence, year: int, month: int) -> tuple[datetime, ...]:
    first = datetime.combine(date(year, month, 1), _MIDNIGHT)
    after = datetime.combine(date(year + month // 12, month % 12 + 1, 1), _MIDNIGHT)
    read = _cron_starts if rule.kind is RuleKind.CRON else _rrule_starts
    return tuple(sorted(set(read(rule.text, first, after))))


def _cron_starts(text: str, first: datetime, after: datetime) -> list[datetime]:
    """The days from the library, and its times of day on each of them: asking it for every start takes long."""
    minutes, hours, *_ = croniter.expand(text)[0]
    times = [time(hour, minute) for hour in _numbers(hours, 24) for minute in _numbers(minutes, 60)]
    days = text.split(" ", 2)[2]
    found: list[datetime] = []
    try:
        cron = croniter(f"0 0 {days}", first - timedelta(seconds=1), ret_type=datetime)
        while (day := cron.get_next()) < after:
            found += (datetime.combine(day, moment) for moment in times)
    except ValueError:  # nothing comes any more
        pass
    return found


def _numbers(field: list[int | str], size: int) -> list[int]:
    """The numbers of one field as the library writes it: ``*`` is all of them."""
    return list(range(size)) if "*" in field else [number for number in field if isinstance(number, int)]


def _rrule_starts(text: str, first: datetime, after: datetime) -> list[datetime]:
    rule = text.partition("RRULE:")[2]
    start = _start_of(text)
    anchored = start or _anchor(rule, first)
    # Bounded at both ends, as the library would look for the next one until the year 9999.
    ends = after - timedelta(seconds=1)
    if said := _until(rule):
        ends = min(ends, said)
    if anchored > ends:
        return []
    series = rrulestr(_series_of(text), dtstart=anchored).replace(until=ends)
    return [occurrence for occurrence in series if occurrence >= first]


def _until(rule: str) -> datetime | None:
    """The last moment of a rule; a day counts whole. Raises `ValueError`."""
    value = next((part[6:] for part in rule.split(";") if part.startswith("UNTIL=")), None)
    if value is None:
        return None
    if not _UNTIL.fullmatch(value):
        raise ValueError("UNTIL is a local time, such as 20261231T180000")
    return datetime.fromisoformat(value) if "T" in value else datetime.combine(date.fromisoformat(value), time.max)


def _series_of(text: str) -> str:
    """The rule without its beginning and end, and with its weekday where only a beginning would tell."""
    rule = text.partition("RRULE:")[2]
    parts = [part for part in rule.split(";") if part and not part.startswith("UNTIL=")]
    if not text.startswith("DTSTART") and "FREQ=WEEKLY" in parts and not any(p.startswith(_DAYS) for p in parts):
        parts.append("BYDAY=MO")
    return ";".join(parts)


def _start_of(text: str) -> datetime | None:
    match = _RRULE.fullmatch(text)
    if not match or not match["start"]:
        return None
    return datetime.fromisoformat(match["start"])


def _anchor(rule: str, first: datetime) -> datetime:
    """Where to begin counting so that the period of ``first`` is whole: BYSETPOS counts within one."""
    if "FREQ=YEARLY" in rule:
        return first.replace(month=1)
    if "FREQ=WEEKLY" in rule:
        return first - timedelta(days=first.weekday() + 14)
    return first
