"""What a metric source was told of a deployment that it shows among its graphs. Nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.ids import DeploymentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A metric source that shows a deployment among its graphs: what it was told so far, and when it is told more."""

    deployment: DeploymentId
    source: str
    """What the catalog calls it."""
    due_at: datetime
    tries: int = 0
    """How often it was tried in vain since it last took something."""
    begun_at: datetime | None = None
    """When it was told of the begin, or could not be."""
    closed_at: datetime | None = None
    """When it was told of the end too, or could not be."""
