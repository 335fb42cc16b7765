"""The steps of a deployment. Each may run again after a crash, at any point, and then finds what it did before.

The workflows decide which step comes next; a step only does one thing and tells how it ended in plain values that
outlive the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

from bot.domain.actor import BOT
from bot.domain.deployment import Resolution
from bot.domain.errors import (
    InvalidTransition,
    OutcomeUnknown,
    ProviderError,
    ProviderRejected,
)
from bot.domain.history import Placement, ProvenRelease
from bot.domain.ids import operation_id
from bot.domain.lifecycle import Phase
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from bot.engine.patience import patiently
from bot.engine.places import remember

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.domain.actor import Actor
    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, LockScope
    from bot.domain.rollout import Handle
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource, Providers
    from bot.ports.target import Target

log = logging.getLogger(__name__)

_EARLIER_REQUEST_PATIENCE = 2.0
"""Seconds that a turn waits for earlier requests which are still being planned."""


class EndKind(StrEnum):
    """How a step ended."""

    DONE = "done"
    #: A check said no; the target was changed.
    FAILED = "failed"
    #: It broke before anything was changed.
    ERRORED = "errored"
    #: A person asked to stop.
    STOPPED = "stopped"
    #: The target runs something else that nobody here put there.
    SUPERSEDED = "superseded"
    #: The platform put the earlier release back by itself.
    PUT_BACK = "put_back"
    #: It cannot be told what the target runs.
    UNKNOWN = "unknown"


class End(TypedDict):
    """The end of a step, as the workflow's journal keeps it."""

    kind: str
    note: str


def end(kind: EndKind, note: str = "") -> End:
    """How a step ended, with the sentence for people."""
    return End(kind=kind.value, note=note)


_OF_OUTCOME = {
    OutcomeKind.SUCCEEDED: EndKind.DONE,
    OutcomeKind.FAILED: EndKind.FAILED,
    OutcomeKind.ROLLED_BACK_BY_PLATFORM: EndKind.PUT_BACK,
    OutcomeKind.SUPERSEDED: EndKind.SUPERSEDED,
    OutcomeKind.TIMED_OUT: EndKind.FAILED,
    OutcomeKind.DELETED: EndKind.UNKNOWN,
}


class _StoppedError(Exception):
    """A person asked to stop before the step could close the deployment."""


@dataclass(kw_only=True)
class Steps:
    """What the workflows are made of."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    look_again: float = 1.0
    """Seconds between two looks for a person's word that another replica has taken."""

    async def plan(self, deployment_id: DeploymentId) -> End:
        """Find out what would change, without changing it."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.plan is not None or deployment.phase is not Phase.REQUESTED:
            return end(EndKind.DONE)
        target = await self._target(deployment)
        try:
            plan = await patiently(lambda: target.plan(release=deployment.release), patience=20)
        except ProviderError as error:
            return end(EndKind.ERRORED, f"It could not be planned: {error.message} Nothing was changed.")
        await self.ledger.amend(deployment_id, lambda found: found.evolve(plan=plan))
        return end(EndKind.DONE)

    async def queue(self, deployment_id: DeploymentId) -> bool:
        """Take a place in the environment's queue; False when the deployment has ended meanwhile."""
        return await self._advance(deployment_id, Phase.QUEUED, key="queued")

    async def claim(self, scope: LockScope, turn: str) -> DeploymentId | None:
        """Whose turn it is: the first in the queue becomes the one that deploys. None when nobody waits."""
        deadline = asyncio.get_running_loop().time() + _EARLIER_REQUEST_PATIENCE
        while True:
            if claimed := await self.deployments.of_turn(turn):
                return claimed.id
            queue = await self.deployments.queue(scope)
            if not queue:
                return None
            first = queue[0]
            waited = asyncio.get_running_loop().time() >= deadline
            if not waited and await self.deployments.being_planned(scope, before=first.number):
                await asyncio.sleep(0.02)
                continue
            with contextlib.suppress(InvalidTransition):
                await self.ledger.advance(
                    first.id,
                    Phase.DEPLOYING,
                    actor=BOT,
                    key="deploying",
                    first=lambda found: replace(found, turn=turn),
                )

    async def record_previous(self, deployment_id: DeploymentId) -> End:
        """Write down what runs now, before anything is changed."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.previous_recorded:
            return end(EndKind.DONE)
        target = await self._target(deployment)
        try:
            running = await patiently(target.current, patience=30)
        except ProviderError as error:
            return end(EndKind.ERRORED, f"What runs now could not be read: {error.message} Nothing was changed.")
        await self.ledger.amend(deployment_id, lambda found: found.record_previous(running))
        if running is not None:
            await remember(self.releases, deployment.service, deployment.environment, running, at=self.ledger.now())
        return end(EndKind.DONE)

    async def apply(self, deployment_id: DeploymentId, attempt: int) -> End:
        """Begin the change under this attempt's operation id."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.request and deployment.request.resolution is None and deployment.handle is None:
            return end(EndKind.STOPPED)
        target = await self._target(deployment)
        operation = operation_id(deployment_id, "apply", attempt)
        return await self._mutate(
            deployment, lambda: target.apply(release=deployment.release, operation=operation), attempt
        )

    async def restore(self, deployment_id: DeploymentId, attempt: int) -> End:
        """Begin to bring back what ran before."""
        deployment = await self.deployments.get(deployment_id)
        target = await self._target(deployment)
        operation = operation_id(deployment_id, "restore", attempt)
        return await self._mutate(
            deployment, lambda: target.restore(to=deployment.previous, operation=operation), attempt
        )

    async def watch(self, deployment_id: DeploymentId) -> End:
        """Follow the change until the target says how it ended, or a person asks to stop."""
        return await self._unless_stopped(deployment_id, self._follow(deployment_id))

    async def watch_restore(self, deployment_id: DeploymentId) -> End:
        """Follow the way back; nobody can stop that."""
        return await self._follow(deployment_id)

    async def _follow(self, deployment_id: DeploymentId) -> End:
        deployment = await self.deployments.get(deployment_id)
        if deployment.handle is None:
            return end(EndKind.UNKNOWN, "The change under way has no handle to be followed by.")
        target = await self._target(deployment)
        service = (await self.catalogs.at(deployment.catalog_revision)).service(deployment.service)
        try:
            async with asyncio.timeout(service.deadline):
                while True:
                    try:
                        async for seen in target.observe(handle=deployment.handle):
                            if isinstance(seen, Outcome):
                                return end(_OF_OUTCOME[seen.kind], seen.message)
                            await self._show(deployment_id, seen)
                    except ProviderError as error:
                        if not error.retryable:
                            return end(EndKind.UNKNOWN, error.message)
                        await self._show(deployment_id, Progress(done=0, total=0, message=f"waiting: {error.message}"))
                        await asyncio.sleep(error.retry_after or 1.0)
        except TimeoutError:
            return end(EndKind.FAILED, f"It was not done within {service.deadline / 60:g} minutes.")

    async def begin_verifying(self, deployment_id: DeploymentId, attempt: int) -> bool:
        """Go on to prove health; False when that is no longer what is wanted."""
        return await self._advance(deployment_id, Phase.VERIFYING, key=f"verifying:{attempt}")

    async def verify(self, deployment_id: DeploymentId) -> End:
        """Prove that the release serves in good health: several looks in a row, within a deadline."""
        deployment = await self.deployments.get(deployment_id)
        target = await self._target(deployment)
        check = (await self.catalogs.at(deployment.catalog_revision)).service(deployment.service).health

        async def prove() -> End:
            passed, wrong = 0, "no look was possible"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(check.deadline):
                    while passed < check.passes:
                        if passed:
                            await asyncio.sleep(check.interval)
                        try:
                            health = await target.health(release=deployment.release, check=check)
                        except ProviderError as error:
                            passed, wrong = 0, error.message
                            await asyncio.sleep(check.interval)
                            continue
                        passed = passed + 1 if health.ok else 0
                        if health.ok:
                            text = f"{health.healthy} of {health.instances} instances healthy"
                            await self._show(deployment_id, Progress(done=passed, total=check.passes, message=text))
                        else:
                            wrong = health.message or f"{health.healthy} of {health.instances} instances healthy"
                            await self._show(deployment_id, Progress(done=0, total=check.passes, message=wrong))
                            await asyncio.sleep(check.interval)
                    return end(EndKind.DONE)
            return end(EndKind.FAILED, f"Health was not proven within {check.deadline:g} s: {wrong}")

        return await self._unless_stopped(deployment_id, prove())

    async def succeed(self, deployment_id: DeploymentId, attempt: int) -> End:
        """Close the deployment as succeeded; STOPPED when a person asked to abort it before that."""

        def unless_stopped(found: Deployment) -> Deployment:
            if found.request and found.request.resolution is None:
                raise _StoppedError
            return found

        try:
            await self.ledger.advance(
                deployment_id, Phase.SUCCEEDED, actor=BOT, key=f"succeeded:{attempt}", first=unless_stopped
            )
        except _StoppedError:
            return end(EndKind.STOPPED)
        except InvalidTransition as refusal:
            return end(EndKind.UNKNOWN, refusal.message)
        return end(EndKind.DONE)

    async def mark_succeeded(self, deployment_id: DeploymentId, attempt: int) -> None:
        """Close the deployment as succeeded on a person's word. Health was not proven: no rollback will choose it."""
        actor = await self._decider(deployment_id)
        note = f"Marked as succeeded by {actor.name}."
        await self._advance(deployment_id, Phase.SUCCEEDED, key=f"succeeded:{attempt}", note=note, actor=actor)
        await self._settle(deployment_id, proven=False)

    async def settle(self, deployment_id: DeploymentId) -> None:
        """Record what a succeeded deployment means for its place, and for the deployment that it takes back."""
        await self._settle(deployment_id, proven=True)

    async def is_rollback(self, deployment_id: DeploymentId) -> bool:
        """Whether the deployment takes another one back."""
        return (await self.deployments.get(deployment_id)).is_rollback

    async def _settle(self, deployment_id: DeploymentId, *, proven: bool) -> None:
        deployment = await self.deployments.get(deployment_id)
        at = deployment.since
        place = (deployment.service, deployment.environment)
        if proven:
            await self.releases.prove(
                ProvenRelease(
                    service=deployment.service,
                    environment=deployment.environment,
                    release=deployment.release,
                    proven_at=at,
                    deployment=deployment_id,
                    by=deployment.requester,
                )
            )
        before = await self.releases.placements([place])
        await self.releases.place(
            Placement(
                service=deployment.service,
                environment=deployment.environment,
                release=deployment.release,
                since=at,
                deployment=deployment_id,
                by=deployment.requester,
            )
        )
        if deployment.rollback_of:
            taken = await self.deployments.get(deployment.rollback_of)
            await self.releases.retire(*place, taken.release, at=at)
            await self._advance(
                deployment.rollback_of, Phase.ROLLED_BACK, key=f"rolled_back:{deployment_id}", note="", actor=BOT
            )
        for other in {placement.deployment for placement in before} - {None, deployment_id, deployment.rollback_of}:
            if other is not None:
                await self.ledger.amend(other, lambda found: found.touch())
        await self.ledger.amend(deployment_id, lambda found: found.touch())

    async def close(self, deployment_id: DeploymentId, phase: Phase, note: str) -> None:
        """End a deployment that did not succeed; what it would have taken back stands again."""
        deployment = await self.deployments.get(deployment_id)
        actor = await self._decider(deployment_id)
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
        async for deployment in self._changes(deployment_id):
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
            target = await self._target(deployment)
            running = await patiently(target.current, patience=10)
            if running is not None:
                await remember(self.releases, deployment.service, deployment.environment, running, at=self.ledger.now())

    async def _mutate(self, deployment: Deployment, call: Callable[[], Awaitable[Handle]], attempt: int) -> End:
        try:
            handle = await patiently(call, patience=60)
        except ProviderRejected as error:
            return end(EndKind.ERRORED, error.message)
        except OutcomeUnknown as error:
            return end(EndKind.UNKNOWN, error.message)
        except ProviderError as error:
            return end(EndKind.UNKNOWN, f"{error.message} It may or may not have taken the change.")
        await self.ledger.amend(deployment.id, lambda found: found.evolve(handle=handle, attempt=attempt))
        return end(EndKind.DONE)

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

    async def _show(self, deployment_id: DeploymentId, progress: Progress) -> None:
        await self.ledger.amend(
            deployment_id, lambda found: found if found.progress == progress else found.evolve(progress=progress)
        )

    async def _target(self, deployment: Deployment) -> Target:
        catalog: Catalog = await self.catalogs.at(deployment.catalog_revision)
        return self.providers.target(catalog, deployment.service, deployment.environment)

    async def _unless_stopped(self, deployment_id: DeploymentId, work: Awaitable[End]) -> End:
        """The end of ``work``, or STOPPED as soon as a person asks to abort."""

        async def stopped() -> End:
            async for deployment in self._changes(deployment_id):
                if deployment.request and deployment.request.resolution is None:
                    return end(EndKind.STOPPED)
            raise AssertionError("a deployment's changes never end")

        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(stopped())
        try:
            done, _ = await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return stopping.result() if stopping in done else working.result()
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _changes(self, deployment_id: DeploymentId) -> AsyncIterator[Deployment]:
        """The deployment now, and again whenever it may have changed."""
        with self.ledger.woken_by(deployment_id) as woken:
            while True:
                woken.clear()
                yield await self.deployments.get(deployment_id)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), self.look_again)
