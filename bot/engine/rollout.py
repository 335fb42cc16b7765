"""The steps that touch a target. Each may run again after a crash, at any point, and then finds what it did before.

Reading is repeated freely; a change carries its operation id, under which the target makes it once.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import OutcomeUnknown, ProviderError, ProviderRejected
from bot.domain.ids import operation_id
from bot.domain.lifecycle import Phase
from bot.domain.rollout import NOTHING_RAN, Outcome, OutcomeKind, Progress
from bot.domain.strategy.plan import How
from bot.domain.strategy.plan import plan as steps_of
from bot.engine.ends import End, EndKind, end
from bot.engine.patience import patiently
from bot.engine.permits import ClosedError
from bot.engine.places import remember
from bot.engine.tracing import asking
from bot.ports.target import ChecksSteps, SupportsAbort, SupportsRollback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, OperationId
    from bot.domain.rollout import Handle, Running
    from bot.engine.ledger import Ledger
    from bot.engine.permits import Permits
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource, Providers
    from bot.ports.target import Target

_OF_OUTCOME = {
    OutcomeKind.SUCCEEDED: EndKind.DONE,
    OutcomeKind.FAILED: EndKind.FAILED,
    OutcomeKind.ROLLED_BACK_BY_PLATFORM: EndKind.PUT_BACK,
    OutcomeKind.SUPERSEDED: EndKind.SUPERSEDED,
    OutcomeKind.TIMED_OUT: EndKind.FAILED,
    OutcomeKind.DELETED: EndKind.UNKNOWN,
}


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Rollout:
    """What is done to a target, and what is seen there."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    permits: Permits
    look_again: float = 1.0
    """Seconds between two looks for a person's word that another replica has taken."""

    async def plan(self, deployment_id: DeploymentId) -> End:
        """Find out what would change, without changing it."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.plan is not None or deployment.phase is not Phase.REQUESTED:
            return end(EndKind.DONE)
        target = await self.target(deployment)
        try:
            plan = await patiently(lambda: target.plan(release=deployment.release), patience=20)
            if isinstance(target, ChecksSteps) and not deployment.is_rollback:
                paced, weights = target, await self._weights(deployment)
                await patiently(lambda: paced.check_steps(weights=weights), patience=20)
        except ProviderError as error:
            return end(EndKind.ERRORED, f"It could not be planned: {error.message} Nothing was changed.")
        await self.ledger.amend(deployment_id, lambda found: found.evolve(plan=plan))
        return end(EndKind.DONE)

    async def _weights(self, deployment: Deployment) -> list[int]:
        """Where its strategy stops on the way; nowhere for one without steps."""
        catalog = await self.catalogs.at(deployment.catalog_revision)
        strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
        return [step.weight for step in steps_of(strategy) if step.how is How.WEIGHT]

    async def record_previous(self, deployment_id: DeploymentId) -> End:
        """Write down what runs now, before anything is changed."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.previous_recorded:
            return await self._recorded(deployment)
        target = await self.target(deployment)
        plan = deployment.plan
        try:
            running = await patiently(target.current, patience=30)
            if plan is None or plan.warnings or _other_release(running, plan.current):
                # It was planned while others were in front; now that it is its turn, what was seen then is past.
                plan = await patiently(lambda: target.plan(release=deployment.release), patience=30)
        except ProviderError as error:
            return end(EndKind.ERRORED, f"What runs now could not be read: {error.message} Nothing was changed.")
        # Remembering can be repeated; once what ran is recorded, this step is not.
        if running is not None:
            await remember(self.releases, deployment.service, deployment.environment, running, at=self.ledger.now())
        await self.ledger.amend(deployment_id, lambda found: found.evolve(plan=plan).record_previous(running))
        return await self._recorded(deployment)

    async def _recorded(self, deployment: Deployment) -> End:
        """What the workflow has to know of the strategy."""
        catalog = await self.catalogs.at(deployment.catalog_revision)
        strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
        service = catalog.service(deployment.service)
        return End(
            kind=EndKind.DONE,
            note="",
            in_steps=steps_of(strategy)[0].how is How.WEIGHT,
            bakes=bool(service.checks) and service.bake > 0 and not deployment.is_rollback,
        )

    async def apply(self, deployment_id: DeploymentId, attempt: int) -> End:
        """Begin the change under this attempt's operation id."""
        deployment = await self.deployments.get(deployment_id)
        if deployment.request and deployment.request.resolution is None and deployment.handle is None:
            return end(EndKind.STOPPED)
        target = await self.target(deployment)
        operation = operation_id(deployment_id, "apply", attempt)

        async def forward() -> Handle:
            async with self.permits.forward(deployment_id, attempt):
                if deployment.is_rollback and isinstance(target, SupportsRollback):
                    return await target.roll_back(release=deployment.release, operation=operation)
                return await target.apply(release=deployment.release, operation=operation)

        if attempt > 1:
            await self.permits.run_out(deployment_id)
        try:
            return await self.mutate(deployment, forward, attempt)
        except ClosedError as closed:
            return await self.closed(deployment, operation, attempt, closed)
        except TimeoutError:
            return end(EndKind.UNKNOWN, "The target did not answer in time. It may or may not have taken the change.")

    async def closed(self, deployment: Deployment, operation: OperationId, attempt: int, closed: ClosedError) -> End:
        """What a gate that closed at the last moment means: a change that was begun before a crash is followed on."""
        target = await self.target(deployment)
        await self.permits.run_out(deployment.id)  # until then one that was sent may still arrive
        try:
            begun = await patiently(lambda: target.find(operation=operation), patience=30)
        except ProviderError as error:
            return end(EndKind.UNKNOWN, f"{error.message} It cannot be told whether the change was begun.")
        if begun is not None:
            await self.ledger.amend(deployment.id, lambda found: found.evolve(handle=begun, attempt=attempt))
            return end(EndKind.DONE)
        why = closed.stops[0].sentence
        if attempt > 1:  # an earlier attempt may have left something behind, so it cannot just wait
            return end(EndKind.UNKNOWN, f"{why} It was not tried again.")
        return end(EndKind.CLOSED, why)

    async def restore(self, deployment_id: DeploymentId, attempt: int) -> End:
        """Begin to bring back what ran before."""
        await self.permits.run_out(deployment_id)  # else a change that is on its way would come after it
        deployment = await self.deployments.get(deployment_id)
        target = await self.target(deployment)
        operation = operation_id(deployment_id, "restore", attempt)
        if isinstance(target, SupportsAbort) and await self._stands_beside(deployment, target, attempt):
            taking = target  # the stable release still runs: there is nothing to be put back
            return await self.mutate(
                deployment, lambda: taking.take_back(to=deployment.previous, operation=operation), attempt
            )
        return await self.mutate(
            deployment, lambda: target.restore(to=deployment.previous, operation=operation), attempt
        )

    async def _stands_beside(self, deployment: Deployment, target: Target, attempt: int) -> bool:
        """Whether what ran before is still the stable release, with this one beside it."""
        position = deployment.progression.position if deployment.progression else None
        if position is None or position.promoted:
            return False
        if position.weight < 100 and attempt == 1:
            return True
        try:  # it may have been promoted although nobody could be told
            running = await patiently(target.current, patience=10)
        except ProviderError:
            return True
        return running is None or not running.release.same_as(deployment.release)

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
        target = await self.target(deployment)
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

    async def verify(self, deployment_id: DeploymentId) -> End:
        """Prove that the release serves in good health: several looks in a row, within a deadline.

        Where no instance of it is wanted, as many looks say so, there is nothing to prove: the end has `NOTHING_RAN`.
        """
        deployment = await self.deployments.get(deployment_id)
        target = await self.target(deployment)
        check = (await self.catalogs.at(deployment.catalog_revision)).service(deployment.service).health

        async def prove() -> End:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + check.deadline
            passed, idle, wrong = 0, 0, "no look was possible"
            while max(passed, idle) < check.passes:
                # Only looking counts against the deadline: a slow database says nothing about the release.
                left = deadline - loop.time()
                if left <= 0:
                    return end(EndKind.FAILED, f"Health was not proven within {check.deadline:g} s: {wrong}")
                try:
                    async with asyncio.timeout(max(left, check.timeout)):
                        health = await target.health(release=deployment.release, check=check)
                except (ProviderError, TimeoutError) as error:
                    passed, idle, wrong = 0, 0, getattr(error, "message", "the look took too long")
                else:
                    said = f"{health.healthy} of {health.instances} instances healthy"
                    passed = passed + 1 if health.ok else 0
                    idle = idle + 1 if health.none_wanted else 0
                    wrong = said if health.ok else health.message or said
                    before = loop.time()
                    await self._show(deployment_id, Progress(done=passed, total=check.passes, message=wrong))
                    deadline += loop.time() - before
                if max(passed, idle) < check.passes:
                    await asyncio.sleep(check.interval)
            return end(EndKind.DONE, NOTHING_RAN if idle else "")

        return await self._unless_stopped(deployment_id, prove())

    async def mutate(self, deployment: Deployment, call: Callable[[], Awaitable[Handle]], attempt: int) -> End:
        try:
            with asking("change target") as asked, asked.expecting(ClosedError, "closed"):
                handle = await patiently(call, patience=60)
        except ProviderRejected as error:
            return end(EndKind.ERRORED, error.message)
        except OutcomeUnknown as error:
            return end(EndKind.UNKNOWN, error.message)
        except ProviderError as error:
            return end(EndKind.UNKNOWN, f"{error.message} It may or may not have taken the change.")
        await self.ledger.amend(deployment.id, lambda found: found.evolve(handle=handle, attempt=attempt))
        return end(EndKind.DONE)

    async def _show(self, deployment_id: DeploymentId, progress: Progress) -> None:
        await self.ledger.amend(
            deployment_id, lambda found: found if found.progress == progress else found.evolve(progress=progress)
        )

    async def target(self, deployment: Deployment) -> Target:
        catalog: Catalog = await self.catalogs.at(deployment.catalog_revision)
        return self.providers.target(catalog, deployment.service, deployment.environment)

    async def _unless_stopped(self, deployment_id: DeploymentId, work: Awaitable[End]) -> End:
        """The end of ``work``, or STOPPED as soon as a person asks to abort."""

        async def stopped() -> End:
            async for deployment in self.changes(deployment_id):
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

    async def changes(self, deployment_id: DeploymentId) -> AsyncIterator[Deployment]:
        """The deployment now, and again whenever it may have changed."""
        with self.ledger.woken_by(deployment_id) as woken:
            while True:
                woken.clear()
                yield await self.deployments.get(deployment_id)
                # Not `wait_for`: on Python 3.11 it swallows a cancellation that meets the event being set.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.look_again):
                        await woken.wait()


def _other_release(running: Running | None, planned: Running | None) -> bool:
    if running is None or planned is None:
        return running is not planned
    return not running.release.same_as(planned.release)
