"""When deployments that wait for their time are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.audit import Deed
    from bot.domain.ids import DeploymentId
    from bot.domain.schedule import Schedule


class Schedules(Protocol):
    """Due instants as rows, at most one open for each deployment. Every change is audited. Raises `StoreError`."""

    async def set(self, deployment_id: DeploymentId, *, at: datetime, expires: datetime, deed: Deed) -> Schedule:
        """Give a deployment its time; the same again changes nothing.

        Raises `SomebodyWasFaster` when it has another one, `UnknownDeployment`, and `ValueError` unless it expires
        after it is due.
        """

    async def of(self, deployment_id: DeploymentId) -> Schedule | None:
        """The time that a deployment waits for."""

    async def due(self, *, before: datetime, limit: int = 100) -> Sequence[Schedule]:
        """Those that are due at ``before`` or earlier, expired ones too, the longest due first."""

    async def all(self) -> Sequence[Schedule]:
        """Every one that is open, in the order of their times."""

    async def move(
        self, deployment_id: DeploymentId, *, at: datetime, expires: datetime, deed: Deed, version: int | None = None
    ) -> Schedule:
        """Change the time; the same again changes nothing.

        Raises `NothingToDo` when none is waited for and `SomebodyWasFaster` when it is not at ``version`` any more.
        """

    async def cancel(self, deployment_id: DeploymentId, *, deed: Deed, version: int | None = None) -> Schedule:
        """Take the time away. Raises like `move`."""

    async def close(
        self, deployment_id: DeploymentId, *, deed: Deed, expired: bool = False, version: int | None = None
    ) -> bool:
        """Record that the time came, or that it came too late.

        False when somebody has done it before, and when it is another time by now than that of ``version``.
        """
