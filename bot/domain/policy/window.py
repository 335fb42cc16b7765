"""When an environment takes deployments: windows that recur on a zone's clock, evaluated on instants.

A start that clocks skip moves to the instant of the change; a start that they repeat counts once, the first time. How
long a window lasts is elapsed time. A deny window beats every allow window; where there are allow windows, it is closed
outside of all of them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError
from bot.domain.when import find_zone, first_instant, in_utc, zones_like

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.ids import ServiceName
    from bot.domain.policy.recurrence import Recurrence

HORIZON = timedelta(days=732)
"""How far ahead an opening is looked for."""
NEAR = timedelta(days=40)
"""How far ahead a closing is looked for; what closes later than that is as good as open."""
LONGEST = timedelta(days=366)
"""How long a window may last."""

_NAMED = 3  # windows that one sentence names
_DAY = timedelta(days=1)  # more than any two clocks of one zone differ


class WindowKind(StrEnum):
    """Whether deployments are let in within the window, or kept out."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time that recurs. Raises `ConfigurationError` for a zone that there is not, or a duration that cannot be."""

    name: str
    kind: WindowKind
    rule: Recurrence
    """When it begins, on the clock of ``zone``."""
    duration: float
    """Seconds from then on."""
    zone: str
    """The IANA name of a time zone."""
    services: tuple[str, ...] = ("*",)
    """Globs of the services that it is for."""

    def __post_init__(self) -> None:
        """Refuse what could not be evaluated."""
        if find_zone(self.zone) is None:
            near = zones_like(self.zone)
            hint = f" Did you mean {' or '.join(near)}?" if near else " Write a place, such as Europe/Paris, or UTC."
            raise ConfigurationError(f"The window {self.name} has the zone “{self.zone}”, which there is not.{hint}")
        if not 1 <= self.duration <= LONGEST.total_seconds():
            raise ConfigurationError(f"The window {self.name} must last from one second to {LONGEST.days} days.")

    def covers(self, service: ServiceName) -> bool:
        """Whether it is for ``service``."""
        return any(fnmatchcase(service, glob) for glob in self.services)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time, with its first instant and without its last. In UTC."""

    start: datetime
    end: datetime

    def contains(self, at: datetime) -> bool:
        """Whether ``at`` is within."""
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDecision:
    """Whether deployments are let in at an instant."""

    open: bool
    name: str | None
    """The window that decides; None when none is needed or none ever opens."""
    reason: str
    """One sentence, without times: these are shown on the reader's own clock."""
    opens_at: datetime | None = None
    """Where closed: when it opens next; None if it does not within two years."""
    closes_at: datetime | None = None
    """Where open: when it closes next; None if it does not within forty days."""


def spans(window: Window, since: datetime, until: datetime) -> tuple[Span, ...]:
    """When ``window`` is on between two instants, in order and cut to them; what overlaps or touches is one span."""
    since, until = in_utc(since), in_utc(until)
    return tuple(
        Span(max(span.start, since), min(span.end, until))
        for span in _walk(window, since, until)
        if span.start < until and since < until
    )


def is_open(windows: Sequence[Window], at: datetime) -> WindowDecision:
    """Whether deployments are let in at ``at``, and until or from when. ``windows`` are those of one place."""
    at = in_utc(at)
    for window in windows:
        if window.kind is WindowKind.DENY and _on(window, at):
            reason = f"The window {window.name} keeps deployments out."
            return WindowDecision(open=False, name=window.name, reason=reason, opens_at=next_open(windows, at))
    allows = [window for window in windows if window.kind is WindowKind.ALLOW]
    inside = next((window for window in allows if _on(window, at)), None)
    if inside or not allows:
        reason = f"The window {inside.name} is open." if inside else "No window keeps deployments out."
        name = inside.name if inside else None
        return WindowDecision(open=True, name=name, reason=reason, closes_at=_next_close(windows, at))
    opens = next_open(windows, at)
    opener = next((window for window in allows if opens and _on(window, opens)), None)
    names = list(dict.fromkeys(window.name for window in allows))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return WindowDecision(
        open=False,
        name=opener.name if opener else None,
        reason=f"Deployments are let in only within {', '.join(names[:_NAMED])}{more}.",
        opens_at=opens,
    )


def next_open(windows: Sequence[Window], at: datetime) -> datetime | None:
    """The first instant from ``at`` on at which deployments are let in; None if there is none within two years."""
    at = in_utc(at)
    allows = [window for window in windows if window.kind is WindowKind.ALLOW]
    denies = [window for window in windows if window.kind is WindowKind.DENY]
    moment, end = at, at + HORIZON
    while moment < end:
        ends = [span.end for window in denies if (span := _current(window, moment, end))]
        if ends:
            moment = max(ends)
            continue
        begins = [span.start for window in allows if (span := _upcoming(window, moment, end))]
        if not allows or any(start <= moment for start in begins):
            return moment
        if not begins:
            return None
        moment = min(begins)
    return None


def _next_close(windows: Sequence[Window], at: datetime) -> datetime | None:
    """The first instant after ``at``, which is open, that is not."""
    end = at + NEAR
    allows = [window for window in windows if window.kind is WindowKind.ALLOW]
    denied = (_upcoming(window, at, end) for window in windows if window.kind is WindowKind.DENY)
    close = min((span.start for span in denied if span), default=end)
    moment = at
    while allows and moment < close:
        ends = [span.end for window in allows if (span := _current(window, moment, end))]
        if not ends:
            return moment
        moment = max(ends)
    return close if close < end else None


def _on(window: Window, at: datetime) -> bool:
    return _current(window, at, at + timedelta(seconds=1)) is not None


def _current(window: Window, at: datetime, end: datetime) -> Span | None:
    span = _upcoming(window, at, end)
    return span if span and span.start <= at else None


def _upcoming(window: Window, at: datetime, end: datetime) -> Span | None:
    """The first span that ends after ``at`` and begins before ``end``."""
    span = next(_walk(window, at, end), None)
    return span if span and span.start < end else None


def _walk(window: Window, since: datetime, until: datetime) -> Iterator[Span]:
    """The window's spans that end after ``since``, whole unless they go on after ``until``."""
    zone = find_zone(window.zone)
    first = (since - timedelta(seconds=window.duration) - _DAY).astimezone(zone)
    last = (until + _DAY).astimezone(zone)
    pending: Span | None = None
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        found = _month(window, number // 12, number % 12 + 1)
        # Only what ends after `since` can matter, and what is merged in a month is in order of its ends too.
        for span in found[bisect_right(found, since, key=_end) :]:
            if pending and span.start <= pending.end:
                pending = Span(pending.start, max(pending.end, span.end))
            else:
                if pending:
                    yield pending
                pending = span
        if pending and pending.start >= until:
            break
    if pending:
        yield pending


def _end(span: Span) -> datetime:
    return span.end


@lru_cache(maxsize=16384)
def _month(window: Window, year: int, month: int) -> tuple[Span, ...]:
    """The spans that begin in a month of the zone's calendar, merged."""
    zone = find_zone(window.zone)
    if zone is None:  # the window itself has looked
        return ()
    length = timedelta(seconds=window.duration)
    merged: list[Span] = []
    for wall in window.rule.starts(year, month):
        start = first_instant(wall, zone)
        if merged and start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, start + length))
        else:
            merged.append(Span(start, start + length))
    return tuple(merged)
