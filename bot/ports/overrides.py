"""Recorded exceptions: overrides of freezes, and broken glass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.audit import Deed
    from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
    from bot.domain.policy.override import Override


class Overrides(Protocol):
    """Exceptions as rows. Every change is audited, with ``override`` set, and raises the policy epoch.

    Raises `StoreError`.
    """

    async def add(self, override: Override, *, deed: Deed) -> Override:
        """Record an exception that somebody asks for; again with the same id changes nothing."""

    async def get(self, override_id: str) -> Override:
        """That one; raises `NothingToDo` when there is none."""

    async def second(self, override_id: str, *, by: Actor, deed: Deed) -> Override:
        """Record that a second person agrees; the same person again changes nothing.

        Raises `SomebodyWasFaster` when somebody else has agreed already, `NothingToDo` when it is used or void.
        """

    async def use(self, override_id: str, *, deployment: DeploymentId, deed: Deed) -> Override:
        """Bind it to the one deployment that passes by it; the same deployment again changes nothing.

        Raises `SomebodyWasFaster` when another deployment has used it, `NothingToDo` when there is none of that id, it
        is void or is for something else, and `UnknownDeployment`.
        """

    async def review(self, override_id: str, *, by: Actor, deed: Deed) -> Override:
        """Record that somebody has looked at it afterwards. Raises `SomebodyWasFaster` when somebody has already."""

    async def of_place(self, service: ServiceName, environment: EnvironmentName, digest: str) -> Sequence[Override]:
        """Those for that artifact in that place, the newest first."""

    async def of_deployment(self, deployment_id: DeploymentId) -> Sequence[Override]:
        """Those that a deployment has used."""

    async def to_review(self) -> Sequence[Override]:
        """Broken glass that was used and that nobody has reviewed, the oldest first."""
