"""Incidents that another system tells of: each may lock a place for as long as it is open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_TITLE = 200


class IncidentState(StrEnum):
    """How an incident stands."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What was told of an incident."""

    id: str
    """As the other system calls it, such as INC-42."""
    state: IncidentState
    service: str | None = None
    environment: str | None = None
    """Names that are None mean all of them."""
    title: str = ""
    url: str = ""
    """Where it can be read about; nothing in it can be relied on."""

    @property
    def reason(self) -> str:
        """Why its place is locked, in one line."""
        shown = "".join(character if character.isprintable() else " " for character in self.title)
        title = " ".join(shown.split())
        if len(title) > _LONGEST_TITLE:
            title = f"{title[: _LONGEST_TITLE - 1].rstrip()}…"
        return f"Incident {self.id}: {title}" if title else f"Incident {self.id}"
