"""The time that a deployment waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.ids import DeploymentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A deployment's time."""

    deployment: DeploymentId
    at: datetime
    expires: datetime
    """From then on it is too late, and it expires instead."""
    by: Actor
    """Who set this time."""
    version: int = 1
    """Rises with every change; what a button compares."""
