"""Which metric sources are still to be told of which deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.ids import DeploymentId
    from bot.domain.marker import Marker


class Markers(Protocol):
    """Markers as rows, so that a source that is away for a while misses none. Raises `StoreError`."""

    async def open(self, deployment_id: DeploymentId, sources: Sequence[str], *, at: datetime) -> None:
        """Have these sources told of a deployment, from ``at`` on; again it changes nothing."""

    async def due(self, *, before: datetime, limit: int = 50) -> Sequence[Marker]:
        """Those that are to be told something then, or looked at, the longest due first."""

    async def hasten(self, deployment_id: DeploymentId, *, at: datetime) -> None:
        """Have those of a deployment looked at then, if they are not just being tried again."""

    async def keep(self, was: Marker, now: Marker) -> bool:
        """Write down how one stands if it still stood as it ``was``; whether it did."""
