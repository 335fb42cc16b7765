"""Puts values into PromQL: as the text of label matchers and nowhere else. Parses no more of PromQL than that takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from integrations._shared.template import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.metric import Subject
    from integrations._shared.template import Slot

PROVIDER = "prometheus"
_MATCHER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\s*(=~|!~|!=|=)\s*$")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_OPEN_BRACE = re.compile(r"[{,]\s*$")


def promql(query: str, *, subject: Subject, window: float) -> str:
    """``query`` about ``subject``. Raises `ProviderRejected` when a placeholder stands where it could change that."""

    def put(slot: Slot) -> str:
        found = next((text for text in _texts(slot.template) if text[0] < slot.start < text[1]), None)
        if found is None:
            raise _misplaced(slot, 'in quotes, as in version="{version}"')
        start, _ = found
        if slot.template[start] == "`":
            raise _misplaced(slot, "in double or single quotes, because nothing can be escaped in others")
        before = slot.template[:start]
        matcher = _MATCHER.search(before)
        if matcher is None or not _OPEN_BRACE.search(before[: matcher.start()]):
            raise _misplaced(slot, 'as the value of a label, as in version="{version}"')
        value = slot.value
        if matcher[1] in ("=~", "!~"):
            value = _SPECIAL.sub(r"\\\g<0>", value)
        return _escaped(value, slot.template[start])

    return fill(query, subject=subject, window=duration(window), put=put, provider=PROVIDER)


def duration(seconds: float) -> str:
    """A length of time as PromQL writes it; never less than a millisecond."""
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _escaped(value: str, quote: str) -> str:
    # PromQL knows the escape of the quote around the text only; that of the other one is an error.
    return value.replace("\\", "\\\\").replace(quote, "\\" + quote)


def _misplaced(slot: Slot, where: str) -> ProviderRejected:
    return ProviderRejected(
        f"{{{slot.name}}} at position {slot.start + 1} of the query must stand {where}.", provider=PROVIDER
    )


def _texts(query: str) -> Iterator[tuple[int, int]]:
    """Where each quoted text begins and ends, its quotes included. Comments hold none."""
    at = 0
    while at < len(query):
        mark = query[at]
        if mark == "#":
            end = query.find("\n", at)
            at = len(query) if end < 0 else end
        elif mark in "\"'`":
            start, at = at, at + 1
            while at < len(query) and query[at] != mark:
                at += 2 if query[at] == "\\" and mark != "`" else 1
            yield start, at
        at += 1
