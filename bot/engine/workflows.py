"""Which step comes next, durably. A workflow decides only by what its steps returned, so a replay decides the same.

Two workflows make a deployment. *Intake* plans it and brings it into the queue of its environment; *due* and *wait* do
so for one whose time has come, and for one that had to leave the queue. A *turn* is one place in that queue: when the
environment is free it takes whoever is first then, and holds the environment until that deployment has ended. Turns
and deployments are equal in number but not bound to each other, which is what lets a rollback go first and an aborted
request leave nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from dbos import DBOS, DBOSConfiguredInstance, SetEnqueueOptions, SetWorkflowID

from bot.domain.deployment import Resolution
from bot.domain.errors import DeploymentArchitectError, StoreError
from bot.domain.ids import DeploymentId, LockScope
from bot.domain.lifecycle import Phase
from bot.engine.ends import End, EndKind, end

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.engine.steps import Steps

T = TypeVar("T")

log = logging.getLogger(__name__)

_ENDS = {
    "done": EndKind.DONE,
    "stopped": EndKind.STOPPED,
    "failed": EndKind.FAILED,
    "superseded": EndKind.SUPERSEDED,
}

QUEUE = "turns"


@DBOS.dbos_class()
class Workflows(DBOSConfiguredInstance):
    """The two workflows, bound to the steps of this process."""

    def __init__(self, steps: Steps) -> None:
        super().__init__("workflows")
        self.steps = steps

    @DBOS.workflow(name="intake", max_recovery_attempts=None)
    async def intake(self, deployment_id: str, scope: str) -> None:  # noqa: ARG002 - of the journals of older builds
        """Plan a deployment and put it in the queue."""
        deployment = DeploymentId(deployment_id)
        planned = await _or_unknown(self._step("plan", self.steps.rollout.plan, deployment))
        if planned["kind"] != EndKind.DONE:
            await self._step("close", self.steps.close, deployment, Phase.ERRORED, planned["note"])
            return
        await self._until_queued(deployment)

    @DBOS.workflow(name="due", max_recovery_attempts=None)
    async def due(self, deployment_id: str, version: int) -> None:
        """Take up a deployment whose time has come; ``version`` is that of the time."""
        deployment = DeploymentId(deployment_id)
        if await self._step("fire", self.steps.admission.fire, deployment, version):
            await self._until_queued(deployment)

    @DBOS.workflow(name="wait", max_recovery_attempts=None)
    async def wait(self, deployment_id: str) -> None:
        """Bring a deployment that had to leave the queue back into it, once it may."""
        await self._until_queued(DeploymentId(deployment_id))

    async def _until_queued(self, deployment: DeploymentId) -> None:
        """Wait until the deployment is in the queue, and see to it that there is a turn for it."""
        place = await self._step("queue", self.steps.admission.settle, deployment)
        if not place:
            return
        turn, scope = place
        with SetWorkflowID(turn), SetEnqueueOptions(queue_partition_key=scope):
            await DBOS.enqueue_workflow_async(QUEUE, self.turn, scope)

    async def _wait(self, deployment: str, times_queued: int) -> None:
        with SetWorkflowID(waiting(deployment, times_queued)):
            await DBOS.start_workflow_async(self.wait, deployment)

    @DBOS.workflow(name="turn", max_recovery_attempts=None)
    async def turn(self, scope: str) -> str | None:
        """Run whoever is first in the queue of ``scope``; returns its id."""
        turn = DBOS.workflow_id
        assert turn is not None
        claim = await self._step("claim", self.steps.claim, LockScope(scope), turn)
        for sent_back, times_queued in claim["back"]:
            await self._wait(sent_back, times_queued)
        claimed = claim["claimed"]
        if claimed is None:
            return None
        deployment = DeploymentId(claimed)
        recorded = await _or_unknown(self._step("record previous", self.steps.rollout.record_previous, deployment))
        if recorded["kind"] != EndKind.DONE:
            await self._step("close", self.steps.close, deployment, Phase.ERRORED, recorded["note"])
            return claimed
        # What an older build has recorded says nothing of strategies: there was one.
        await self._until_closed(deployment, in_steps=recorded.get("in_steps", False))
        if recorded.get("bakes", False):
            with SetWorkflowID(f"{deployment}:bake"):
                await DBOS.start_workflow_async(self.bake, deployment)
        return claimed

    @DBOS.workflow(name="bake", max_recovery_attempts=None)
    async def bake(self, deployment_id: str) -> None:
        """Watch the checks for a while after a success; a release that fails them is rolled back, once."""
        deployment = DeploymentId(deployment_id)
        if why := await self._step("bake", self.steps.baking.bake, deployment):
            rollback = await self._step("roll back", self.steps.roll_back, deployment, why)
            if rollback is not None:
                with SetWorkflowID(f"{rollback[0]}:intake"):
                    await DBOS.start_workflow_async(self.intake, *rollback)

    async def _until_closed(self, deployment: DeploymentId, *, in_steps: bool) -> None:
        attempt = 1
        came_to = await _or_unknown(self._deploy(deployment, attempt, in_steps=in_steps))
        while still_open := await _or_unknown(self._close(deployment, attempt, came_to)):
            await self._step("ask a person", self.steps.need_attention, deployment, attempt, still_open["note"])
            decision = await self._step("await decision", self.steps.await_decision, deployment)
            if decision == Resolution.MARK_SUCCEEDED:
                await self._step("mark succeeded", self.steps.mark_succeeded, deployment, attempt)
                return
            attempt += 1
            await self._step("resume", self.steps.resume, deployment, attempt, decision)
            if decision == Resolution.RETRY:
                came_to = await _or_unknown(self._deploy(deployment, attempt, in_steps=in_steps))
            elif decision == Resolution.ROLL_BACK:
                came_to = end(EndKind.SENT_BACK, "A person decided to roll it back.")
            else:
                came_to = end(EndKind.STOPPED)

    async def _deploy(self, deployment: DeploymentId, attempt: int, *, in_steps: bool) -> End:
        """Bring the release there and prove it healthy."""
        if in_steps:
            rolled_out = await self._step_by_step(deployment, attempt)
        else:
            rolled_out = await self._step("apply", self.steps.rollout.apply, deployment, attempt)
            if rolled_out["kind"] == EndKind.DONE:
                rolled_out = await self._step("watch", self.steps.rollout.watch, deployment)
        if rolled_out["kind"] != EndKind.DONE:
            return rolled_out
        await self._step("begin verifying", self.steps.begin_verifying, deployment, attempt)
        verified = await self._step("verify", self.steps.rollout.verify, deployment)
        if verified["kind"] != EndKind.DONE:
            return verified
        return await self._step("succeed", self.steps.succeed, deployment, attempt, verified["note"])

    async def _step_by_step(self, deployment: DeploymentId, attempt: int) -> End:
        """Do what the strategy says next, until nothing is left to do or it is to be taken back."""
        turn = 1
        while True:
            ordered = await self._step("next move", self.steps.steering.next, deployment)
            match ordered["kind"]:
                case "weight":
                    step, percent = self.steps.stepping.set_weight, ordered["percent"]
                    moved = await self._step("set weight", step, deployment, percent, turn, attempt)
                case "promote":
                    moved = await self._step("promote", self.steps.stepping.promote, deployment, turn, attempt)
                case kind:
                    return end(_ENDS.get(kind, EndKind.UNKNOWN), ordered["note"])
            if moved["kind"] == EndKind.LATER:
                continue  # nothing was changed, so what comes of it in the end is the same operation
            if moved["kind"] == EndKind.DONE:
                moved = await self._step("watch", self.steps.rollout.watch, deployment)
            if moved["kind"] != EndKind.DONE:
                return moved
            await self._step("reached", self.steps.steering.reached, deployment, ordered)
            turn += 1

    async def _close(self, deployment: DeploymentId, attempt: int, came_to: End) -> End | None:
        """End the deployment as it deserves; what a person must look at first, if there is such a thing."""
        kind, note = came_to["kind"], came_to["note"]
        if kind == EndKind.DONE:
            await self._step("settle", self.steps.settle, deployment)
        elif kind == EndKind.ERRORED:
            await self._step("close", self.steps.close, deployment, Phase.ERRORED, note)
        elif kind == EndKind.CLOSED:
            await self._wait(deployment, await self._step("send back", self.steps.send_back, deployment))
        elif kind == EndKind.SUPERSEDED:
            await self._step("adopt", self.steps.adopt, deployment)
            await self._step("close", self.steps.close, deployment, Phase.SUPERSEDED, note)
        elif kind == EndKind.PUT_BACK:
            await self._step("close", self.steps.close, deployment, Phase.FAILED, note)
        elif kind == EndKind.UNKNOWN or (kind == EndKind.FAILED and await self._is_rollback(deployment)):
            return came_to  # a rollback never puts the bad release back by itself
        else:
            back = await self._step("restore", self.steps.rollout.restore, deployment, attempt)
            if back["kind"] == EndKind.DONE:
                back = await self._step("watch the restore", self.steps.rollout.watch_restore, deployment)
            if back["kind"] != EndKind.DONE:
                failure = f"What ran before could not be put back: {back['note']}"
                return end(EndKind.UNKNOWN, " ".join(filter(None, [note, failure])))
            phase = Phase.ABORTED if kind == EndKind.STOPPED else Phase.FAILED
            await self._step("close", self.steps.close, deployment, phase, note, True)
        return None

    async def _is_rollback(self, deployment: DeploymentId) -> bool:
        return await self._step("is a rollback", self.steps.is_rollback, deployment)

    async def _step(
        self, name: str, function: Callable[..., Coroutine[object, object, T]], subject: str, *arguments: object
    ) -> T:
        """Run one step whose result the journal keeps; after a crash the step in flight runs again.

        A database that is away is waited for: a step can be repeated, and a deployment must not end because of it.
        """

        async def outlasting(*given: object) -> T:
            pause = 0.5
            with self.steps.tracing.step(DeploymentId(subject), name) as findings:
                while True:
                    try:
                        result = await function(*given)
                    except StoreError as error:
                        log.warning("the step %r waits for the database: %s", name, error.message)
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, 10.0)
                    else:
                        findings.came_to(result)
                        return result

        return await DBOS.run_step_async({"name": name}, outlasting, subject, *arguments)


def waiting(deployment: str, times_queued: int) -> str:
    """The name of the workflow that waits with a deployment which had to leave the queue for the so-manieth time."""
    return f"{deployment}:wait:{times_queued}"


async def _or_unknown(work: Coroutine[object, object, T]) -> T | End:
    """What the work comes to; where the bot itself broke, that it cannot be told, so that a person is asked.

    What a step raised is in the journal too: a replay takes the same turn.
    """
    try:
        return await work
    except DeploymentArchitectError as error:
        return end(EndKind.UNKNOWN, error.message)
    except Exception as error:
        log.exception("a deployment's workflow broke")
        return end(EndKind.UNKNOWN, f"The bot itself broke ({type(error).__name__}); its log says more.")
