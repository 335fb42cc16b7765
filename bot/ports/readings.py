"""What checks have read, kept for the pictures that people look at. Nothing is decided by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.ids import DeploymentId
    from bot.domain.metric import Point, Reading, Track


class Readings(Protocol):
    """The last readings of each deployment, by check and track; old ones give way to new ones."""

    async def add(self, deployment_id: DeploymentId, check: str, track: Track, reading: Reading) -> None:
        """Keep a reading. The same check, track and instant again changes nothing."""

    async def of(self, deployment_id: DeploymentId) -> Mapping[str, Mapping[Track, Sequence[Point]]]:
        """What is kept of a deployment, by check and track, the oldest first; None where there was no data."""
