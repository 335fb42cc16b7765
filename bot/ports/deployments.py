"""Where deployments, their events and what they proved are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.history import Event, Placement, ProvenRelease
    from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
    from bot.domain.release import Release


class Deployments(Protocol):
    """Deployments as rows that change by compare-and-swap. Raises `StoreError` when the database does not answer."""

    async def add(
        self,
        deployment: Deployment,
        *,
        event: Event,
        taking_back: DeploymentId | None = None,
        change: Callable[[Deployment], Deployment] | None = None,
        taking_back_event: Event | None = None,
        override: str | None = None,
    ) -> Deployment:
        """Store a new deployment under the next number.

        If one of the same ``origin`` is there already, that one is returned and nothing is stored.

        With ``taking_back``, that deployment is changed by ``change`` in the same transaction; what ``change`` raises
        means that nothing was stored. With ``override``, the id of an exception, that one is bound to the deployment in
        the same transaction, by who did the ``event``; what `Overrides.use` raises means that nothing was stored.
        """

    async def get(self, deployment_id: DeploymentId) -> Deployment:
        """That deployment; raises `UnknownDeployment`."""

    async def by_number(self, number: int) -> Deployment:
        """The deployment that people call #``number``; raises `UnknownDeployment`."""

    async def update(
        self,
        deployment_id: DeploymentId,
        change: Callable[[Deployment], Deployment],
        *,
        event: Callable[[Deployment, Deployment], Event] | None = None,
        key: str | None = None,
    ) -> Deployment:
        """Compare-and-swap: read, ``change``, write if nobody wrote meanwhile, else read again.

        With ``key`` the act is done at most once: if an event of that key exists, the deployment is returned as it is.
        What ``change`` raises is passed on and nothing is written.
        """

    async def active(self) -> Sequence[Deployment]:
        """Every deployment whose work is not over, oldest first."""

    async def queue(self, scope: LockScope) -> Sequence[Deployment]:
        """Those that wait for ``scope``, in the order in which they will have it: rollbacks first, then by number."""

    async def being_planned(self, scope: LockScope, *, before: int) -> bool:
        """Whether a request for ``scope`` with a number below ``before`` is still being planned."""

    async def holder(self, scope: LockScope) -> Deployment | None:
        """The deployment that has ``scope`` for itself now."""

    async def waiting(self, service: ServiceName, environment: EnvironmentName) -> Sequence[Deployment]:
        """Those of exactly that place that are planned and wait (approval, time, gate, turn), oldest first."""

    async def held(self) -> Sequence[Deployment]:
        """Every deployment that a gate keeps from going on, oldest first."""

    async def ended(
        self,
        *,
        since: datetime,
        until: datetime,
        service: ServiceName | None = None,
        environment: EnvironmentName | None = None,
    ) -> Sequence[Deployment]:
        """What `bot.domain.dora` counts in the period from ``since`` up to, and without, ``until``; oldest first.

        Those whose own work ended in it, however it ended and whenever it began, and those that somebody first asked to
        take back in it, whenever they had succeeded. Rollbacks too. Each comes whole, so that a lead time that began
        before the period and a restore that ended after it are all there; in which period they count is for `dora`.
        """

    async def of_turn(self, turn: str) -> Deployment | None:
        """The deployment that a turn has claimed."""

    async def history(
        self, service: ServiceName, environment: EnvironmentName | None, *, limit: int, before: int | None = None
    ) -> Sequence[Deployment]:
        """Past and present deployments, newest first; ``before`` a number, for the next page."""

    async def events(self, deployment_id: DeploymentId) -> Sequence[Event]:
        """What happened to a deployment, oldest first."""


class Releases(Protocol):
    """What runs where, and what was proven healthy there."""

    async def placements(
        self, keys: Collection[tuple[ServiceName, EnvironmentName]] | None = None
    ) -> Sequence[Placement]:
        """What runs where, for the given places or for all."""

    async def place(self, placement: Placement) -> None:
        """Record what runs in a place now."""

    async def prove(self, proven: ProvenRelease) -> None:
        """Record that a release was proven healthy; once for each deployment."""

    async def retire(
        self, service: ServiceName, environment: EnvironmentName, release: Release, *, at: datetime
    ) -> None:
        """Record that a release was taken back there: no rollback will choose it."""

    async def proven(
        self, service: ServiceName, environment: EnvironmentName, release: Release
    ) -> Sequence[ProvenRelease]:
        """The proof of exactly ``release`` there, else those of the last few releases; none that was taken back."""

    async def rollback_target(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        *,
        other_than: Release,
        exactly: Release | None = None,
    ) -> ProvenRelease | None:
        """The release proven healthy last that is not ``other_than`` nor was taken back; only ``exactly`` if given."""
