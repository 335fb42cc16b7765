"""The changes that a strategy of several steps makes to a target, one at a time. Each may run again after a crash.

Decides nothing: `steering` says what is to be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError
from bot.domain.ids import operation_id
from bot.engine.ends import End, EndKind, end
from bot.engine.patience import patiently
from bot.engine.permits import ClosedError
from bot.ports.target import SupportsPromote, SupportsTrafficWeight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, OperationId
    from bot.domain.rollout import Handle
    from bot.engine.ledger import Ledger
    from bot.engine.permits import Permits
    from bot.engine.rollout import Rollout
    from bot.ports.deployments import Deployments


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Stepping:
    """Moves a rollout of several steps."""

    ledger: Ledger
    deployments: Deployments
    rollout: Rollout
    permits: Permits

    async def set_weight(self, deployment_id: DeploymentId, percent: int, turn: int, attempt: int) -> End:
        """Begin to send ``percent`` of the traffic to the release. ``turn`` counts the moves of this attempt."""
        deployment = await self.deployments.get(deployment_id)
        target = await self.rollout.target(deployment)
        if not isinstance(target, SupportsTrafficWeight):
            return end(EndKind.ERRORED, "Its target cannot split traffic between two releases.")
        operation = operation_id(deployment_id, f"weight{percent}-{turn}", attempt)
        release = deployment.release
        return await self._forward(
            deployment_id,
            operation,
            lambda: target.set_weight(release=release, percent=percent, operation=operation),
            attempt,
        )

    async def promote(self, deployment_id: DeploymentId, turn: int, attempt: int) -> End:
        """Begin to make the release the stable one."""
        deployment = await self.deployments.get(deployment_id)
        target = await self.rollout.target(deployment)
        if not isinstance(target, SupportsPromote):
            return end(EndKind.ERRORED, "Its target cannot make a canary the stable release.")
        operation = operation_id(deployment_id, f"promote-{turn}", attempt)
        release = deployment.release
        return await self._forward(
            deployment_id, operation, lambda: target.promote(release=release, operation=operation), attempt
        )

    async def _forward(
        self, deployment_id: DeploymentId, operation: OperationId, call: Callable[[], Awaitable[Handle]], attempt: int
    ) -> End:
        """Make one change if the gates let it. Between two steps a closed one is no end: see `EndKind.LATER`."""

        async def permitted() -> Handle:
            async with self.permits.forward(deployment_id, attempt):
                return await call()

        if attempt > 1:
            await self.permits.run_out(deployment_id)
        deployment = await self.deployments.get(deployment_id)
        if deployment.request and deployment.request.resolution is None:
            return end(EndKind.STOPPED)
        begun = deployment.begun
        try:
            made = await self.rollout.mutate(deployment, permitted, attempt)
        except ClosedError as closed:
            if not begun:
                return await self.rollout.closed(deployment, operation, attempt, closed)
            return await self._made(deployment, operation, attempt) or end(EndKind.LATER, closed.stops[0].sentence)
        except TimeoutError:
            return end(EndKind.UNKNOWN, "The target did not answer in time. It may or may not have taken the change.")
        if begun and made["kind"] == EndKind.ERRORED:
            return end(EndKind.FAILED, made["note"])  # what was begun is taken back
        return made

    async def _made(self, deployment: Deployment, operation: OperationId, attempt: int) -> End | None:
        """The end of a change that was made before a crash; None if it was not."""
        target = await self.rollout.target(deployment)
        await self.permits.run_out(deployment.id)  # until then one that was sent may still arrive
        try:
            handle = await patiently(lambda: target.find(operation=operation), patience=30)
        except ProviderError as error:
            return end(EndKind.UNKNOWN, f"{error.message} It cannot be told whether the change was begun.")
        if handle is None:
            return None
        await self.ledger.amend(deployment.id, lambda found: found.evolve(handle=handle, attempt=attempt))
        return end(EndKind.DONE)
