"""Times that people type, read into instants, and the clocks that are put forward and back.

Reads no clock: what time it is, is told. A time that does not exist, exists twice or is over is refused with the way
out, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from bot.domain.errors import BadCommand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FARTHEST = timedelta(days=366)
"""How far ahead a time may lie, and how long a duration may be."""

_EXAMPLES = ("18:00", "tomorrow 9:00", "in 30m")
_HINT = "Write 18:00, tomorrow 9:00, 2026-12-01 18:00 Europe/Paris, in 30m or next-window."
_DURATION_HINT = "Write 30m, 2h, 1h30m or 1d."
_UNTIL_EXAMPLES = ("2h", "18:00", "tomorrow 9:00")
_UNTIL_HINT = "Write how long, such as 2h, or until when: 18:00, tomorrow 9:00, 2026-12-01 18:00 Europe/Paris."
_QUOTED = 40
_LONGEST = 80

_HARMLESS = str.maketrans({"<": "‹", ">": "›", "`": "'", "\n": " ", "\r": " ", "\t": " "})
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
_OFFSET = re.compile(r"z|[+-][0-9]{2}:?[0-9]{2}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATE_T_TIME = re.compile(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](?=[0-9])", re.ASCII)
_TWELVE_HOURS = re.compile(r"(?<![0-9:+-])([0-9]{1,2})(?::([0-9]{2}))?\s?([ap])\.?m(?![a-z])\.?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*", re.ASCII)
_PIECE = re.compile(r"([0-9]{1,6})\s*([a-z]+)", re.ASCII)
_PLAIN_ZONES = frozenset({"UTC", "GMT"})
_UNITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600),
        **dict.fromkeys(("d", "day", "days"), 86_400),
        **dict.fromkeys(("w", "week", "weeks"), 604_800),
    }
)


def in_utc(at: datetime) -> datetime:
    """The same instant in UTC; raises `ValueError` for a time without zone, which is no instant."""
    if at.tzinfo is None:
        raise ValueError("a time without zone is no instant")
    return at.astimezone(UTC)


def instants_of(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """The instants, in UTC, at which clocks in ``zone`` show ``wall``: none if it is skipped, two if it repeats."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return (first,)
    # Where clocks are put forward, fold=0 counts with the old offset and so comes out after fold=1.
    return (first, second) if first < second else ()


def first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """When clocks in ``zone`` first show ``wall``, in UTC; for a skipped time, the instant at which they skip it."""
    found = instants_of(wall, zone)
    if found:
        return found[0]
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def find_zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name; None if there is none. Abbreviations such as EST are none: they mislead."""
    if not _ZONE.fullmatch(name) or ("/" not in name and name.upper() not in _PLAIN_ZONES):
        return None
    if "/" not in name:
        return ZoneInfo(name.upper())
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory, such as America/Indiana
        return None


def zones_like(name: str) -> tuple[str, ...]:
    """At most three time zones that ``name`` perhaps means: by another case, by the city alone, or mistyped."""
    typed, known = name.casefold().replace(" ", "_"), _zones_by_word()
    if typed in known or "/" not in typed or len(typed) > _QUOTED:
        return known.get(typed, ())[:3]
    whole = [word for word in known if "/" in word]
    return tuple(known[word][0] for word in get_close_matches(typed, whole, n=3, cutoff=0.85))


def read_duration(text: str) -> timedelta:
    """``30m``, ``1h30m``, ``2 hours``, ``1d``; raises `BadCommand`. From a second to a year."""
    typed = text.strip().casefold()
    total, end = 0, 0
    for piece in _PIECE.finditer(typed[:_LONGEST]):
        if typed[end : piece.start()].strip(" ,") or piece[2] not in _UNITS:
            break
        total += int(piece[1]) * _UNITS[piece[2]]
        end = piece.end()
    if not end or typed[end:].strip():
        raise _refused(text, f"{_show(text)} is no length of time.", hint=_DURATION_HINT)
    if not 0 < total <= FARTHEST.total_seconds():
        message = f"{_show(text)} must be more than nothing and at most {FARTHEST.days} days."
        raise _refused(text, message, hint=_DURATION_HINT)
    return timedelta(seconds=total)


def is_length(text: str) -> bool:
    """Whether ``text`` is written as a length of time: ``30m``, ``2 hours``. It may still be too long, or nothing."""
    typed = text.strip().casefold()[: _LONGEST + 1]
    pieces = list(_PIECE.finditer(typed))
    known = bool(pieces) and all(piece[2] in _UNITS for piece in pieces)
    return known and not _PIECE.sub("", typed).strip(" ,")


def parse_when(text: str, *, now: datetime, zone: tzinfo, next_window: datetime | None = None) -> datetime:
    """The instant, in UTC, that a person means.

    ``18:00``, ``18:00 Europe/Paris``, ``tomorrow 9:00``, ``2026-12-01 18:00``, any of them with an offset such as
    ``+02:00``, ``in 30m`` and ``next-window``. ``zone`` counts where none is typed. ``next_window`` is when the
    environment is open next (now, if it is open); None if it will not open.
    Raises `BadCommand` for what cannot be read, is over, does not exist, exists twice, or is more than a year away.
    """
    now = in_utc(now)
    said = _said(text)
    if said is None:
        if next_window is None:
            raise _refused(text, "No window opens there that one could wait for.", hint="Say a time instead.")
        return max(in_utc(next_window), now)
    return _instant(said, now, zone, text)


def check_when(text: str) -> None:
    """Raise the `BadCommand` that `parse_when` would raise for ``text`` at any time and in any zone."""
    _said(text)


def parse_until(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which something ends: after ``2h``, or at any time that `parse_when` reads.

    Raises `BadCommand` as `parse_when` does; ``next-window`` is refused, because what ends is not what waits.
    """
    return _instant(_said_until(text), in_utc(now), zone, text)


def check_until(text: str) -> None:
    """Raise the `BadCommand` that `parse_until` would raise for ``text`` at any time and in any zone."""
    _said_until(text)


def _said(text: str) -> _Spoken | timedelta | None:
    """What ``text`` says whatever time it is: a time, how long from now, or None for the next window."""
    typed = " ".join(text.split()).removeprefix("at ").strip()
    lowered = typed.casefold()
    if not typed or len(typed) > _LONGEST:
        raise _unreadable(text)
    if lowered in {"next-window", "next window"}:
        return None
    if lowered.startswith("in "):
        return read_duration(typed[3:])
    if lowered == "now":
        raise _refused(text, "Without a time it starts as soon as it can.", hint="Leave the time out.")
    return _read(typed, text)


def _said_until(text: str) -> _Spoken | timedelta:
    typed = " ".join(text.split())
    piece = _PIECE.match(typed.casefold())
    if piece and piece[2] in _UNITS:
        return read_duration(typed)
    try:
        said = None if typed.casefold() == "now" else _said(typed)
    except BadCommand as refusal:
        if refusal.suggestions != _EXAMPLES:
            raise
        raise _refused(text, refusal.message, _UNTIL_EXAMPLES, hint=_UNTIL_HINT) from None
    if said is None:
        raise _refused(text, f"{_show(text)} is no time at which this could end.", _UNTIL_EXAMPLES, hint=_UNTIL_HINT)
    return said


def _instant(said: _Spoken | timedelta, now: datetime, zone: tzinfo, text: str) -> datetime:
    if isinstance(said, timedelta):
        return now + said
    instant = _resolve(said, now, zone, text)
    if instant - now > FARTHEST:
        raise _refused(text, f"{_show(text)} is more than {FARTHEST.days} days away.", hint="Say a nearer time.")
    return instant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """What was typed, in parts."""

    at: time
    day: str | date = "today"
    dated: bool = False
    offset: timedelta | None = None
    zone: ZoneInfo | None = None


def _read(typed: str, text: str) -> _Spoken:
    at: time | None = None
    day: str | date | None = None
    offset: timedelta | None = None
    zone: ZoneInfo | None = None
    _refuse_twelve_hours(typed, text)
    for word in _DATE_T_TIME.sub(r"\1 ", typed).split():
        lowered = word.casefold()
        if (match := _TIME.fullmatch(lowered)) and at is None:
            at = _time_of(match, text)
            if match[4]:
                offset = _offset_of(match[4], text)
        elif lowered in {"today", "tomorrow"} and day is None:
            day = lowered
        elif _DATE.fullmatch(word) and day is None:
            day = _date_of(word, text)
        elif _OFFSET.fullmatch(lowered) and offset is None and at is not None:
            offset = _offset_of(lowered, text)
        elif zone is None and at is not None and word[0].isalpha():
            zone = _zone_of(word, typed, text)
        else:
            raise _unreadable(text)
    if at is None and day is not None:
        better = f"{_harmless(typed)} 9:00"
        raise _refused(text, f"{_show(text)} says no time of day.", (better,), hint=f"Write {better}, for example.")
    if at is None:
        raise _unreadable(text)
    return _Spoken(at=at, day=day or "today", dated=day is not None, offset=offset, zone=zone)


def _resolve(spoken: _Spoken, now: datetime, default: tzinfo, text: str) -> datetime:
    place: tzinfo = spoken.zone or (timezone(spoken.offset) if spoken.offset is not None else default)
    here = now.astimezone(place)
    day = spoken.day if isinstance(spoken.day, date) else here.date() + timedelta(days=spoken.day == "tomorrow")
    wall = datetime.combine(day, spoken.at)
    found = instants_of(wall, place)
    where = _name_of(place)
    if not found:
        raise _skipped(wall, place, text)
    if spoken.offset is not None:
        matching = tuple(instant for instant in found if instant.astimezone(place).utcoffset() == spoken.offset)
        if not matching:
            real = " or ".join(_offset_words(instant.astimezone(place)) for instant in found)
            said = _offset_words(datetime.combine(day, spoken.at, timezone(spoken.offset)))
            raise _refused(text, f"{where} is at {real} then, not at {said}.", hint="Leave the offset or the zone out.")
        found = matching
    if len(found) > 1:
        ways = [f"{wall:%Y-%m-%d %H:%M}{_offset_words(instant.astimezone(place))}" for instant in found]
        message = f"{wall:%H:%M} happens twice on {wall:%Y-%m-%d} in {where}: clocks are put back."
        raise _refused(text, message, ways, hint=f"Write {ways[0]} for the first time or {ways[1]} for the second.")
    if found[0] <= now:
        raise _over(wall, spoken, here, where, text)
    return found[0]


def _over(wall: datetime, spoken: _Spoken, here: datetime, where: str, text: str) -> BadCommand:
    if spoken.dated:
        said = f"{wall:%Y-%m-%d %H:%M} in {where} is over: it is {here:%Y-%m-%d %H:%M} there."
        return _refused(text, said, hint="Say a time to come.")
    zone = f" {where}" if spoken.zone else _offset_words(here) if spoken.offset is not None else ""
    better = f"tomorrow {wall:%H:%M}{zone}"
    said = f"{wall:%H:%M} in {where} is over for today: it is {here:%H:%M} there."
    return _refused(text, said, (better,), hint=f"Did you mean {better}?")


def _skipped(wall: datetime, place: tzinfo, text: str) -> BadCommand:
    where = _name_of(place)
    there = first_instant(wall, place).astimezone(place)
    last = (first_instant(wall, place) - timedelta(seconds=1)).astimezone(place).replace(tzinfo=None)
    before = last + timedelta(seconds=1)
    better = f"{there:%Y-%m-%d %H:%M} {where}"
    said = f"{wall:%H:%M} does not exist on {wall:%Y-%m-%d} in {where}"
    return _refused(
        text,
        f"{said}: clocks are put forward from {before:%H:%M} to {there:%H:%M}.",
        (better,),
        hint=f"Did you mean {better}?",
    )


def _time_of(match: re.Match[str], text: str) -> time:
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise _refused(text, f"{_show(match[0])} is no time of day.", hint="Hours go from 0 to 23, minutes to 59.")
    return time(hour, minute, second)


def _date_of(word: str, text: str) -> date:
    try:
        day = date.fromisoformat(word)
    except ValueError:
        day = None
    if day is None or not 1900 <= day.year <= 9000:
        raise _refused(text, f"{word} is no day of the calendar.", hint="Write year-month-day.")
    return day


def _offset_of(word: str, text: str) -> timedelta:
    if word == "z":
        return timedelta()
    hours, minutes = int(word[1:3]), int(word[-2:])
    if hours > 14 or minutes > 59:
        raise _refused(text, f"{_show(word)} is no offset from UTC.", hint="Offsets look like +02:00.")
    return timedelta(hours=hours, minutes=minutes) * (-1 if word[0] == "-" else 1)


def _zone_of(word: str, typed: str, text: str) -> ZoneInfo:
    zone = find_zone(word)
    if zone:
        return zone
    if not _ZONE.fullmatch(word):
        raise _unreadable(text)
    near = zones_like(word)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Write a place, such as Europe/Paris, or UTC."
    better = [_harmless(typed.replace(word, name)) for name in near]
    raise _refused(text, f"There is no time zone {_show(word)}.", better, hint=hint)


def _refuse_twelve_hours(typed: str, text: str) -> None:
    match = _TWELVE_HOURS.search(typed.casefold())
    if match and 1 <= int(match[1]) <= 12:
        hour = int(match[1]) % 12 + (12 if match[3] == "p" else 0)
        better = _harmless(f"{typed[: match.start()]}{hour:02}:{match[2] or '00'}{typed[match.end() :]}")
        raise _refused(text, f"{_show(text)} is not read: hours go from 0 to 23.", (better,), hint=f"Write {better}.")


def _offset_words(moment: datetime) -> str:
    text = f"{moment:%z}"
    return f"{text[:3]}:{text[3:5]}"


def _name_of(place: tzinfo) -> str:
    return place.key if isinstance(place, ZoneInfo) else str(place)


def _unreadable(text: str) -> BadCommand:
    return _refused(text, f"{_show(text)} is no time that can be read.", _EXAMPLES, hint=_HINT)


def _refused(text: str, message: str, suggestions: Sequence[str] = (), *, hint: str | None = None) -> BadCommand:
    return BadCommand(message, token=_clip(text), suggestions=suggestions, hint=hint or _HINT)


# Like the grammar's own quoting, which cannot be imported: the grammar reads times with this module.
def _harmless(text: str) -> str:
    return text.translate(_HARMLESS)


def _clip(text: str) -> str:
    line = _harmless(text)
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"


def _show(text: str) -> str:
    return f"“{_clip(text)}”"


@lru_cache(maxsize=1)
def _zones_by_word() -> Mapping[str, tuple[str, ...]]:
    words: dict[str, list[str]] = {}
    for name in sorted(available_timezones()):
        if find_zone(name) and not name.startswith(("Etc/", "posix/", "right/")):
            for word in {name.casefold(), name.rpartition("/")[2].casefold()}:
                words.setdefault(word, []).append(name)
    return MappingProxyType({word: tuple(names) for word, names in words.items()})
