"""Puts values into NRQL, which can bind none: only characters that mean nothing to it, and only within quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from integrations._shared.template import fill, whitelisted

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.metric import Subject
    from integrations._shared.template import Slot

PROVIDER = "newrelic"
_ALLOWED = re.compile(r"[A-Za-z0-9_.:-]+")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|`[^`]*`", re.DOTALL)
_PATTERNS = re.compile(r"\br?like\s*\(?\s*$", re.IGNORECASE)
_COMMENT = re.compile(r"--|//|/\*")
_OURS = re.compile(r"\b(since|until|timeseries|compare\s+with|limit)\b", re.IGNORECASE)
_SELECT = re.compile(r"\s*(select|from)\b", re.IGNORECASE)


def nrql(query: str, *, subject: Subject, window: float, since: datetime, until: datetime, buckets: float = 0) -> str:
    """``query`` about ``subject`` from ``since`` to ``until``, in stretches of ``buckets`` seconds if that is not 0.

    Raises `ProviderRejected` when the query says itself what is said here, or when a value could change its meaning.
    """
    return spanned(check(query, subject=subject, window=window), since=since, until=until, buckets=buckets)


def spanned(text: str, *, since: datetime, until: datetime, buckets: float = 0) -> str:
    """``text``, which says no time itself, from ``since`` to ``until``."""
    span = f"SINCE {round(since.timestamp() * 1000)} UNTIL {round(until.timestamp() * 1000)}"
    return f"{text}\n{span}" + (f" TIMESERIES {round(buckets)} SECONDS" if buckets else "")


def check(query: str, *, subject: Subject, window: float) -> str:
    """``query`` with its placeholders filled and without a span of time."""
    bare = _TEXT.sub("''", query)
    if not _SELECT.match(bare) or "'" in bare.replace("''", "") or "\\" in bare:
        raise ProviderRejected(
            "The query is no NRQL: it begins with SELECT or FROM, and its quotes close.", provider=PROVIDER
        )
    if _COMMENT.search(bare):
        raise ProviderRejected("The query must have no comment in it.", provider=PROVIDER)
    if own := _OURS.search(bare):
        raise ProviderRejected(
            f"Leave {own[1].upper()} out of the query; the window of the check says it.", provider=PROVIDER
        )
    return filled(query, subject=subject, window=window)


def filled(query: str, *, subject: Subject, window: float) -> str:
    """``query`` with its placeholders filled: each must stand in single quotes, and in no pattern."""

    def put(slot: Slot) -> str:
        around = next((m for m in _TEXT.finditer(slot.template) if m.start() < slot.start < m.end()), None)
        if around is None or around[0][0] != "'":
            raise _misplaced(slot, "in single quotes, as in '{version}'")
        if _PATTERNS.search(slot.template[: around.start()]):
            raise _misplaced(slot, "in a comparison with = or IN, because LIKE and RLIKE would take it for a pattern")
        return whitelisted(
            slot, _ALLOWED, provider=PROVIDER, where="NRQL", characters="letters, digits and the four marks _ . : -"
        )

    return fill(query, subject=subject, window=str(max(1, round(window))), put=put, provider=PROVIDER)


def is_plain(value: str) -> bool:
    """Whether ``value`` may stand in quotes as it is."""
    return _ALLOWED.fullmatch(value) is not None


def _misplaced(slot: Slot, where: str) -> ProviderRejected:
    return ProviderRejected(f"{{{slot.name}}} at position {slot.start + 1} must stand {where}.", provider=PROVIDER)
