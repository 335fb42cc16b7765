"""Fills a query's placeholders so that no value can change what the query means. Knows no query language.

Each source says what a value may be and how it is written where it stands; this module finds the places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.metric import Subject

PLACEHOLDER = re.compile(r"\{(service|environment|version|digest|track|window)\}")
_LONGEST = 512
_LONGEST_QUERY = 8192


@dataclass(frozen=True, slots=True)
class Slot:
    """One placeholder in a query."""

    name: str
    value: str
    start: int
    """Where it stands in the template."""
    template: str


def fill(query: str, *, subject: Subject, window: str, put: Callable[[Slot], str], provider: str) -> str:
    """``query`` with each placeholder replaced by what ``put`` makes of it.

    ``window`` is the length of time as the language writes it, put in as it is. Raises `ProviderRejected` when a value
    is nothing that a name could be; ``put`` may raise it too.
    """
    if len(query) > _LONGEST_QUERY:
        raise ProviderRejected(f"The query is longer than {_LONGEST_QUERY} characters.", provider=provider)

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name == "window":
            return window
        value = str(getattr(subject, name))
        if not value or len(value) > _LONGEST or not value.isprintable():
            raise ProviderRejected(
                f"The {name} of this release cannot be asked about: {shown(value)}.", provider=provider
            )
        return put(Slot(name, value, match.start(), query))

    return PLACEHOLDER.sub(replace, query)


def whitelisted(slot: Slot, allowed: re.Pattern[str], *, provider: str, where: str, characters: str) -> str:
    """The slot's value if all of it matches ``allowed``; raises `ProviderRejected` else."""
    if not allowed.fullmatch(slot.value):
        raise ProviderRejected(
            f"The {slot.name} {shown(slot.value)} cannot stand in {where}, which allows only {characters}.",
            provider=provider,
        )
    return slot.value


def shown(value: str) -> str:
    """``value`` for a message: quoted, harmless and short."""
    return repr(value if len(value) <= 60 else value[:59] + "…") if value else "it is empty"
