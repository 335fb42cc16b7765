"""The last question before a target is changed: may this still go forward? And proof that nobody is changing one now.

A permit is taken first and the rules are read after it. Whoever stops the line writes the rule first and looks for
permits after it. So one of both always sees the other, whatever dies in between.

A permit is given back as soon as it is certain what became of the call. What was sent may arrive although its sender
died or lost patience; then the permit stays until it runs out by itself, and until then nobody takes the change for
unmade.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.lifecycle import Phase
from bot.domain.policy.freeze import WhileRunning
from bot.domain.policy.gates import GateResult, Verdict, stopping
from bot.engine.tracing import asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.leases import Leases

WRITING = "write:"
"""What the names of permits begin with; the deployment's id follows."""
WRITE_WITHIN = 25.0
"""Seconds that one call which changes a target may take."""
_TTL = timedelta(seconds=WRITE_WITHIN + 5.0)
_LOOK_AGAIN = 0.2
"""Seconds between two looks for a permit of somebody else."""


class ClosedError(Exception):
    """Gates stop it. Never shown: what called for the permit tells people."""

    def __init__(self, stops: tuple[GateResult, ...]) -> None:
        super().__init__()
        self.stops = stops


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Permits:
    """Gives permits out, one for each call that changes a target."""

    ledger: Ledger
    deployments: Deployments
    leases: Leases
    gatekeeper: Gatekeeper
    executor: str

    @contextlib.asynccontextmanager
    async def forward(self, deployment_id: DeploymentId, attempt: int) -> AsyncIterator[None]:
        """Within it one call may change the target. Raises `ClosedError` when a gate has closed or the deployment is
        not at that attempt any more, `TimeoutError` when the call takes longer than it may.
        """
        name = f"{WRITING}{deployment_id}"
        certain = not await self._out(deployment_id)  # else an earlier call may still be on its way
        while not await self.leases.hold(name, holder=self.executor, at=self.ledger.now(), ttl=_TTL):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(_LOOK_AGAIN)  # a replica that died over it; its permit ends by itself
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                with asking("ask gates") as asked:
                    stops = await self._stops(deployment_id, attempt)
                    asked.tags["gates.closed"] = len(stops)
                if stops:
                    raise ClosedError(stops)
                before, certain = certain, False
                try:
                    yield
                except ProviderRejected:
                    certain = before
                    raise
                certain = True
        finally:
            if certain:
                await self.leases.release(name, holder=self.executor)

    async def run_out(self, deployment_id: DeploymentId) -> None:
        """Wait until nothing of the deployment is on its way to its target any more."""
        while await self._out(deployment_id):  # noqa: ASYNC110 - it ends by the clock
            await asyncio.sleep(_LOOK_AGAIN)

    async def _out(self, deployment_id: DeploymentId) -> bool:
        return f"{WRITING}{deployment_id}" in await self.leases.held(WRITING, at=self.ledger.now())

    async def _stops(self, deployment_id: DeploymentId, attempt: int) -> tuple[GateResult, ...]:
        deployment: Deployment = await self.deployments.get(deployment_id)
        if deployment.phase is not Phase.DEPLOYING or deployment.attempt != attempt:
            # A replica that was taken for dead wakes up, and another one has long gone on.
            return (GateResult(name="turn", verdict=Verdict.BLOCK, sentence="Its turn is over."),)
        if deployment.is_rollback:
            return ()
        stops = stopping(await self.gatekeeper.ask_at_last(deployment))
        return self._of_a_step(deployment, stops) if deployment.begun else stops

    async def between_steps(self, deployment: Deployment) -> tuple[GateResult, ...]:
        """What keeps a rollout under way from its next step now: it was allowed as a whole, and only what stops the
        line, or a lock that is to pause it, reaches it. Nothing keeps one that has not begun from being asked
        everything.
        """
        if deployment.is_rollback or not deployment.begun:
            return ()
        return self._of_a_step(deployment, stopping(await self.gatekeeper.ask(deployment, artifact=False)))

    def _of_a_step(self, deployment: Deployment, stops: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
        return tuple(stop for stop in stops if stop.name in self._reaching(deployment))

    def _reaching(self, deployment: Deployment) -> frozenset[str]:
        place = self.gatekeeper.catalogs.current().environments.get(deployment.environment)
        goes_on = place is not None and place.freeze_running is WhileRunning.CONTINUE
        return frozenset({"lock"}) if goes_on else frozenset({"lock", "freeze"})
