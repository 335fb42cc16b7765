"""The last question before a target is changed: may this still go forward? And proof that nobody is changing one now.

A permit is taken first and the rules are read after it. Whoever stops the line writes the rule first and looks for
permits after it. So one of both always sees the other, whatever dies in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.policy.gates import stopping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.gates import GateResult
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.leases import Leases

WRITING = "write:"
"""What the names of permits begin with; the deployment's id follows."""
WRITE_WITHIN = 25.0
"""Seconds that one call which changes a target may take."""
_TTL = timedelta(seconds=WRITE_WITHIN + 5.0)


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
    async def forward(self, deployment_id: DeploymentId) -> AsyncIterator[None]:
        """Within it one call may change the target. Raises `ClosedError` when a gate has closed, `TimeoutError` when
        the call takes longer than a permit lasts.
        """
        name = f"{WRITING}{deployment_id}"
        while not await self.leases.hold(name, holder=self.executor, at=self.ledger.now(), ttl=_TTL):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(0.2)  # a replica that died over it; its permit ends by itself
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                deployment: Deployment = await self.deployments.get(deployment_id)
                stops = stopping(await self.gatekeeper.ask(deployment, artifact=False))
                if stops:
                    raise ClosedError(stops)
                yield
        finally:
            await self.leases.release(name, holder=self.executor)
