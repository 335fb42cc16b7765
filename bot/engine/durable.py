"""The durable runtime: DBOS configured for this product, its one queue, and the recovery of replicas that died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID

from bot.domain.errors import StoreError
from bot.domain.lifecycle import Phase
from bot.engine.admission import turn_of
from bot.engine.workflows import QUEUE, Workflows, waiting

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, LockScope
    from bot.engine.ledger import Ledger
    from bot.engine.steps import Steps
    from bot.ports.leases import Leases

log = logging.getLogger(__name__)

SCHEMA = "1"
"""Which shape the workflows have. A new build resumes what an older one began as long as this stays; raise it never,
use DBOS patching where a workflow must change its shape."""

_ALIVE = "executor:"
_LEASE = timedelta(seconds=15)
_BEAT = 5.0
_CONNECTIONS_TO_FILE = 4


@dataclass(kw_only=True)
class Durable:
    """Starts, stops and watches over the durable workflows of this process."""

    steps: Steps
    ledger: Ledger
    leases: Leases
    database_url: str
    executor: str
    """Names this replica; a replica that starts under the same name takes up its own work at once."""
    polling: float = 0.05
    """Seconds between two looks into the queue: the time that the lock takes to change hands."""

    def __post_init__(self) -> None:
        # SQLite has one writer. Many connections would not queue for it but sleep and try again, longer each time,
        # while it is free; a few, which many threads wait for, are several times as fast.
        in_file = self.database_url.startswith("sqlite")
        config = DBOSConfig(
            name="deployment-architect",
            system_database_url=self.database_url,
            application_version=SCHEMA,
            executor_id=self.executor,
            log_level="WARNING",
            notification_listener_polling_interval_sec=0.5,
            max_executor_threads=32,
            db_engine_kwargs={"pool_size": _CONNECTIONS_TO_FILE, "pool_pre_ping": False} if in_file else None,
        )
        DBOS(config=config)
        self._workflows = Workflows(self.steps)

    async def start(self) -> None:
        """Bring the runtime up; work that this replica left is resumed in the background."""
        DBOS.launch()
        await DBOS.register_queue_async(QUEUE, partition_concurrency=1, polling_interval_sec=self.polling)
        await self.sweep()

    async def stop(self) -> None:
        """Stop taking work. What runs is resumed by the next start, from its last finished step."""
        with contextlib.suppress(StoreError):  # then the others find out in time that it is gone
            await self.leases.release(_ALIVE + self.executor, holder=self.executor)
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)

    async def begin(self, deployment_id: DeploymentId, scope: LockScope) -> None:
        """Start the intake of a deployment; starting it again changes nothing."""
        with SetWorkflowID(f"{deployment_id}:intake"):
            await DBOS.start_workflow_async(self._workflows.intake, deployment_id, scope)

    async def fire(self, deployment_id: DeploymentId, version: int) -> None:
        """Take up a deployment whose time has come; however many replicas do so, it is done once for each time."""
        with SetWorkflowID(f"{deployment_id}:due:{version}"):
            await DBOS.start_workflow_async(self._workflows.due, deployment_id, version)

    async def _wait(self, deployment: Deployment) -> None:
        """Make sure that somebody waits with a deployment that had to leave the queue."""
        with SetWorkflowID(waiting(deployment.id, deployment.times_queued)):
            await DBOS.start_workflow_async(self._workflows.wait, deployment.id)

    async def _take_turn(self, turn: str, scope: LockScope) -> None:
        """Make sure that there is such a turn; nothing happens to one that was or is being taken."""
        with SetWorkflowID(turn), SetEnqueueOptions(queue_partition_key=scope):
            await DBOS.enqueue_workflow_async(QUEUE, self._workflows.turn, scope)

    async def sweep(self) -> None:
        """Finish what a process that died had accepted but not begun, or ended but not given back.

        The journal and our own tables are two stores: a deployment that one has lost sight of is found by the other.
        """
        deployments = self.steps.deployments
        active = await deployments.active()
        for deployment in active:
            if deployment.phase is Phase.REQUESTED:
                await self.begin(deployment.id, deployment.scope)
            elif deployment.phase is Phase.QUEUED:
                await self._take_turn(turn_of(deployment), deployment.scope)
            elif deployment.phase in {Phase.HELD, Phase.AWAITING_APPROVAL} and deployment.times_queued:
                await self._wait(deployment)
            elif deployment.turn is not None:
                await self._take_turn(deployment.turn, deployment.scope)
        under_way = {deployment.rollback_of for deployment in active}
        for placement in await self.steps.releases.placements():
            if placement.deployment is None or placement.deployment in under_way:
                continue
            taken = await deployments.get(placement.deployment)
            if taken.phase is Phase.ROLLING_BACK:
                for other in await deployments.history(taken.service, taken.environment, limit=10):
                    if other.rollback_of == taken.id and other.phase is not Phase.SUCCEEDED:
                        await self.steps.give_back(other)
                        break

    async def watch_over(self) -> None:
        """Beat for this replica, and take over the work of replicas whose heart stopped. Runs for ever."""
        while True:
            try:
                await self._beat()
            except StoreError as error:
                log.warning("no heartbeat: %s", error.message)
            await asyncio.sleep(_BEAT)

    async def _beat(self) -> None:
        now = self.ledger.now()
        await self.leases.hold(_ALIVE + self.executor, holder=self.executor, at=now, ttl=_LEASE)
        for name in await self.leases.expired(_ALIVE, at=now):
            dead = name.removeprefix(_ALIVE)
            if dead == self.executor:
                continue
            # Taking the lease first makes one survivor, not all of them, resume the work.
            if await self.leases.hold(name, holder=self.executor, at=now, ttl=_LEASE):
                log.warning("replica %s stopped beating; its deployments are resumed here", dead)
                await asyncio.to_thread(DBOS._recover_pending_workflows, [dead])  # noqa: SLF001 - no public door
                await self.leases.drop(name)
                await self.sweep()
