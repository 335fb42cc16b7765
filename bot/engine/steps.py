"""The steps of a deployment. Each may run again after a crash, at any point, and then finds what it did before.

The workflows decide which step comes next; a step only does one thing and tells how it ended in plain values that
outlive the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.deployment import Resolution
from bot.domain.errors import InvalidTransition, NothingToDo, ProviderError, SomebodyWasFaster
from bot.domain.history import Placement, ProvenRelease
from bot.domain.lifecycle import Phase
from bot.domain.policy.gates import GateResult, Verdict
from bot.domain.policy.lock import after_rollback
from bot.domain.policy.scope import Scope
from bot.engine.ends import End, EndKind, end
from bot.engine.patience import patiently
from bot.engine.places import remember
from bot.engine.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, LockScope
    from bot.engine.admission import Admission
    from bot.engine.baking import Baking
    from bot.engine.ledger import Ledger
    from bot.engine.rollout import Rollout
    from bot.engine.steering import Steering
    from bot.engine.stepping import Stepping
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.locks import Locks

log = logging.getLogger(__name__)

_EARLIER_REQUEST_PATIENCE = 2.0
"""Seconds that a turn waits for earlier requests which are still being planned."""


_STILL_SHOWN = 20
"""Earlier deployments among which the one is looked for whose message still offers a rollback."""


_AGAIN = GateResult(name="gates", verdict=Verdict.UNKNOWN, sentence="A gate was closed for a moment.")
"""What holds a deployment whose gate has opened again by the time it left the lock: it goes on by itself."""


class Claim(TypedDict):
    """What a turn found in the queue, in plain values that outlive the process."""

    claimed: str | None
    """The deployment whose turn it is."""
    back: list[tuple[str, int]]
    """Those that a gate keeps, each with how often it had been in the queue."""


class _StoppedError(Exception):
    """A person asked to stop before the step could close the deployment."""


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Steps:
    """What the workflows are made of."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    rollout: Rollout
    admission: Admission
    locks: Locks
    steering: Steering
    stepping: Stepping
    baking: Baking
    tracing: Tracing = field(default_factory=Tracing)
    roll_back: Callable[[DeploymentId, str], Coroutine[object, object, tuple[DeploymentId, LockScope] | None]] = field(
        init=False
    )
    """Takes a deployment back by itself, once, with the reason, and tells what is to be begun for it; set by whoever
    puts the engine together."""

    async def claim(self, scope: LockScope, turn: str) -> Claim:
        """Whose turn it is: the first in the queue for which no gate has closed becomes the one that deploys.

        Those that a gate keeps leave the queue, so that they do not hold up the others.
        """
        back: list[tuple[str, int]] = []
        deadline = asyncio.get_running_loop().time() + _EARLIER_REQUEST_PATIENCE
        while True:
            if claimed := await self.deployments.of_turn(turn):
                return Claim(claimed=claimed.id, back=back)
            queue = await self.deployments.queue(scope)
            if not queue:
                return Claim(claimed=None, back=back)
            first = queue[0]
            waited = asyncio.get_running_loop().time() >= deadline
            if not waited and await self.deployments.being_planned(scope, before=first.number):
                await asyncio.sleep(0.02)
                continue
            if stops := await self.admission.check(first):
                back.append((first.id, await self.admission.send_back(first.id, stops)))
            else:
                with contextlib.suppress(InvalidTransition):
                    await self.ledger.advance(
                        first.id,
                        Phase.DEPLOYING,
                        actor=BOT,
                        key=f"deploying:{first.times_queued}" if first.times_queued > 1 else "deploying",
                        first=lambda found: replace(found, turn=turn),
                    )
            for behind in queue[1:]:
                self.ledger.announce(behind)  # everybody has moved up

    async def send_back(self, deployment_id: DeploymentId) -> int:
        """Take a deployment whose gate closed before anything was changed out of the lock; see `Admission`."""
        deployment = await self.deployments.get(deployment_id)
        stops = await self.admission.check(deployment)
        if deployment.phase is Phase.DEPLOYING and not stops:
            stops = (_AGAIN,)  # it has opened meanwhile
        return await self.admission.send_back(deployment_id, stops)

    async def begin_verifying(self, deployment_id: DeploymentId, attempt: int) -> bool:
        """Go on to prove health; False when that is no longer what is wanted."""
        return await self._advance(deployment_id, Phase.VERIFYING, key=f"verifying:{attempt}")

    async def succeed(self, deployment_id: DeploymentId, attempt: int, unproven: str = "") -> End:
        """Close the deployment as succeeded; STOPPED when a person asked to abort it before that.

        What runs is recorded first, so that whoever sees the deployment succeeded can roll it back. ``unproven`` says
        why its health could not be proven: no rollback will choose it then. Empty where it was.
        """

        def unless_stopped(found: Deployment) -> Deployment:
            if found.request and found.request.resolution is None:
                raise _StoppedError
            return found

        before = await self._place(deployment_id, proven=not unproven)
        await self._leave_lock(deployment_id)
        try:
            await self.ledger.advance(
                deployment_id,
                Phase.SUCCEEDED,
                actor=BOT,
                key=f"succeeded:{attempt}",
                note=unproven,
                first=unless_stopped,
            )
        except _StoppedError:
            with contextlib.suppress(NothingToDo):
                await self.locks.lift(_left(deployment_id), deed=Deed(actor=BOT, at=self.ledger.now()))
            if before := before or await self._ran_before(deployment_id):
                await self.releases.place(before)
            return end(EndKind.STOPPED)
        except InvalidTransition as refusal:
            return end(EndKind.UNKNOWN, refusal.message)
        return end(EndKind.DONE)

    async def mark_succeeded(self, deployment_id: DeploymentId, attempt: int) -> None:
        """Close the deployment as succeeded on a person's word. Health was not proven: no rollback will choose it."""
        actor = await self._decider(deployment_id)
        note = f"Marked as succeeded by {actor.name}."
        await self._place(deployment_id, proven=False)
        await self._advance(deployment_id, Phase.SUCCEEDED, key=f"succeeded:{attempt}", note=note, actor=actor)
        await self.settle(deployment_id)

    async def settle(self, deployment_id: DeploymentId) -> None:
        """Carry a success over to the deployments around it: the one taken back, and those that came before."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.rollback_of:
            taken = await self.deployments.get(deployment.rollback_of)
            await self.releases.retire(deployment.service, deployment.environment, taken.release, at=deployment.since)
            await self._leave_lock(deployment_id)
            await self._advance(deployment.rollback_of, Phase.ROLLED_BACK, key=f"rolled_back:{deployment_id}")
        for other in await self.deployments.history(
            deployment.service, deployment.environment, limit=_STILL_SHOWN, before=deployment.number
        ):
            if other.phase is Phase.SUCCEEDED:
                await self.ledger.amend(other.id, lambda found: found.touch())
                break
        for other in await self.deployments.active():
            # Something else runs now, so what is to be approved there is something else too: it is looked at anew.
            same_place = (other.service, other.environment) == (deployment.service, deployment.environment)
            if same_place and other.phase is Phase.AWAITING_APPROVAL:
                await self.ledger.amend(other.id, lambda found: found.touch())

    async def _leave_lock(self, deployment_id: DeploymentId) -> None:
        """After a rollback nothing goes forward until somebody has looked.

        Before whoever waits behind it can begin. Where the lock of an earlier rollback is still there, it will do.
        """
        deployment = await self.deployments.get(deployment_id)
        if deployment.rollback_of is None:
            return
        taken = await self.deployments.get(deployment.rollback_of)
        with contextlib.suppress(SomebodyWasFaster):
            await self.locks.place(
                after_rollback(
                    id=_left(deployment_id),
                    scope=Scope(service=deployment.service, environment=deployment.environment),
                    by=deployment.requester,
                    reason=f"#{deployment.number} rolled back {taken.release.version} (#{taken.number})",
                    at=self.ledger.now(),
                )
            )

    async def _place(self, deployment_id: DeploymentId, *, proven: bool) -> Placement | None:
        """Record what runs now; what ran before, unless this is a repetition."""
        deployment = await self.deployments.get(deployment_id)
        service, environment, at = deployment.service, deployment.environment, self.ledger.now()
        if proven:
            await self.releases.prove(
                ProvenRelease(
                    service=service,
                    environment=environment,
                    release=deployment.release,
                    proven_at=at,
                    deployment=deployment_id,
                    by=deployment.requester,
                )
            )
        before = await self.releases.placements([(service, environment)])
        if before and before[0].deployment == deployment_id:
            return None
        await self.releases.place(
            Placement(
                service=service,
                environment=environment,
                release=deployment.release,
                since=at,
                deployment=deployment_id,
                by=deployment.requester,
            )
        )
        return before[0] if before else None

    async def _ran_before(self, deployment_id: DeploymentId) -> Placement | None:
        """What ran before the deployment, put together again when a crash came between recording and its end."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.previous is None:
            return None
        place, release = (deployment.service, deployment.environment), deployment.previous.release
        for other in await self.deployments.history(*place, limit=_STILL_SHOWN, before=deployment.number):
            if other.phase is Phase.SUCCEEDED and other.release.same_as(release):
                since, by = other.since, other.requester
                return Placement(
                    service=place[0], environment=place[1], release=release, since=since, deployment=other.id, by=by
                )
        return Placement(
            service=place[0], environment=place[1], release=release, since=self.ledger.now(), deployment=None, by=BOT
        )

    async def is_rollback(self, deployment_id: DeploymentId) -> bool:
        """Whether the deployment takes another one back."""
        return (await self.deployments.get(deployment_id)).is_rollback

    async def close(self, deployment_id: DeploymentId, phase: Phase, note: str, restored: bool = False) -> None:
        """End a deployment that did not succeed; what it would have taken back stands again."""
        deployment = await self.deployments.get(deployment_id)
        actor = await self._decider(deployment_id)
        if restored:
            before = deployment.previous
            left = f"{before.release.version} serves again." if before else "Nothing ran there before, nor does now."
            if before and deployment.progression and deployment.progression.got_nothing:
                left = f"{before.release.version} serves as before; nothing was switched."
            first, newline, rest = note.partition("\n")  # the first line is the summary, the rest are details
            if phase is Phase.ABORTED and deployment.request and (reason := deployment.request.reason.strip()):
                first = f"{reason.rstrip('.')}. {first}".strip()
            note = f"{first} {left}".strip() + newline + rest
        await self._advance(deployment_id, phase, key=f"closed:{phase}", note=note, actor=actor)
        await self.give_back(deployment)

    async def give_back(self, ended: Deployment) -> None:
        """Let the deployment that an unsuccessful rollback would have taken back stand again."""
        if ended.rollback_of is not None:
            last = ended.timeline[-1]
            await self._advance(
                ended.rollback_of,
                Phase.SUCCEEDED,
                key=f"given_back:{ended.id}",
                note=f"The rollback #{ended.number} came to nothing.",
                actor=last.actor,
            )

    async def need_attention(self, deployment_id: DeploymentId, attempt: int, note: str) -> None:
        """Ask a person; the lock stays held."""
        await self._advance(deployment_id, Phase.NEEDS_ATTENTION, key=f"attention:{attempt}", note=note)

    async def await_decision(self, deployment_id: DeploymentId) -> str:
        """Wait, however long, for a person's decision: a `Resolution` value, or ``abort``."""
        async for deployment in self.rollout.changes(deployment_id):
            if deployment.phase is Phase.NEEDS_ATTENTION and deployment.request:
                return deployment.request.resolution or "abort"
            if deployment.phase is not Phase.NEEDS_ATTENTION:
                return Resolution.RETRY
        raise AssertionError("a deployment's changes never end")

    async def resume(self, deployment_id: DeploymentId, attempt: int, decision: str) -> None:
        """Go on after a person's decision."""
        actor = await self._decider(deployment_id)
        note = f"{actor.name} decided: {decision.replace('_', ' ')}."
        await self._advance(
            deployment_id,
            Phase.DEPLOYING,
            key=f"resumed:{attempt}",
            note=note,
            actor=actor,
            first=lambda found: replace(
                found, attempt=attempt, handle=None, request=found.request if decision == "abort" else None
            ),
        )

    async def adopt(self, deployment_id: DeploymentId) -> None:
        """Record what the place really runs after somebody else changed it."""
        deployment = await self.deployments.get(deployment_id)
        with contextlib.suppress(ProviderError):
            target = await self.rollout.target(deployment)
            running = await patiently(target.current, patience=10)
            if running is not None:
                await remember(self.releases, deployment.service, deployment.environment, running, at=self.ledger.now())

    async def _decider(self, deployment_id: DeploymentId) -> Actor:
        """Whose word is being obeyed; the bot when it acts on its own."""
        deployment = await self.deployments.get(deployment_id)
        return deployment.request.actor if deployment.request else BOT

    async def _advance(
        self,
        deployment_id: DeploymentId,
        phase: Phase,
        *,
        key: str,
        note: str = "",
        actor: Actor = BOT,
        first: Callable[[Deployment], Deployment] = lambda deployment: deployment,
    ) -> bool:
        """Advance, or find that the deployment went another way meanwhile."""
        try:
            await self.ledger.advance(deployment_id, phase, actor=actor, key=key, note=note, first=first)
        except InvalidTransition as refusal:
            log.info("%s stays as it is: %s", deployment_id, refusal.message)
            return False
        return True


def _left(rollback: DeploymentId) -> str:
    """The id of the lock that a rollback leaves."""
    return f"after-{rollback}"
