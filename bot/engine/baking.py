"""Watches a release for a while after it has succeeded, and says when it is to be rolled back. Changes no target."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from bot.domain.actor import BOT
from bot.domain.analysis import countdown as counting
from bot.domain.analysis.judgement import Verdict
from bot.domain.analysis.standing import standing_of
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression, looks_of
from bot.domain.strategy.position import start

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime

    from bot.domain.analysis.countdown import Countdown
    from bot.domain.analysis.standing import Standing
    from bot.domain.analysis.watch import Watch
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.engine.checking import Checking
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource

T = TypeVar("T")

_SOON = timedelta(seconds=30)


class _MovedError(Exception):
    """The row has changed since it was looked at."""


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Baking:
    """The time after a success."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    checking: Checking
    look_again: float = 1.0
    """Seconds between two looks for what another replica has done."""

    async def bake(self, deployment_id: DeploymentId) -> str:
        """Watch until the time is over; why it is to be rolled back, or nothing if it may stay."""
        deployment = await self.deployments.get(deployment_id)
        service = (await self.catalogs.at(deployment.catalog_revision)).service(deployment.service)
        succeeded = deployment.reached(Phase.SUCCEEDED)
        if succeeded is None or not service.checks or service.bake <= 0:
            return ""
        ends = succeeded.at + timedelta(seconds=service.bake)
        with self.ledger.woken_by(deployment_id) as woken:
            while True:
                woken.clear()
                deployment = await self.deployments.get(deployment_id)
                countdown = deployment.countdown
                if not await self._serves(deployment):
                    await self._leave(deployment)
                    return ""
                if countdown is not None and countdown.state is counting.CountdownState.FIRED:
                    return countdown.why
                now = self.ledger.now()
                running = countdown is not None and not countdown.state.over
                if (now >= ends and not running) or (countdown is not None and not countdown.armed):
                    return ""
                look_at = ends
                with contextlib.suppress(_MovedError):
                    look_at = await self._look(deployment, service, woken, since=succeeded.at, at=now)
                pause = max(0.02, min(self.look_again, (look_at - self.ledger.now()).total_seconds()))
                # Not `wait_for`: on Python 3.11 it swallows a cancellation that meets the event being set.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await woken.wait()

    async def _serves(self, deployment: Deployment) -> bool:
        """Whether it is still what runs there, and nobody is taking it back."""
        if deployment.phase is not Phase.SUCCEEDED:
            return False
        placements = await self.releases.placements([(deployment.service, deployment.environment)])
        return bool(placements) and placements[0].deployment == deployment.id

    async def _leave(self, deployment: Deployment) -> None:
        """Somebody else has taken it back, or put another in its place: nothing is counted down for it any more."""
        countdown, now = deployment.countdown, self.ledger.now()
        if countdown is None or countdown.state.over:
            return
        by = deployment.timeline[-1].actor if deployment.phase is not Phase.SUCCEEDED else BOT

        def ended(found: Deployment) -> Deployment:
            if found.countdown is None or found.countdown.state.over:
                return found
            return replace(found.touch(), countdown=counting.cancel(found.countdown, by, now).countdown)

        await self.ledger.amend(deployment.id, ended)

    async def _first(self, deployment: Deployment, service: Service, since: datetime) -> Progression:
        """That of a release that came in one go, with what its checks said before the change began."""
        begun = deployment.reached(Phase.DEPLOYING)
        before = await self.checking.before(deployment, service, at=begun.at if begun else None)
        return Progression(position=start(since), before=before)

    async def _look(
        self, deployment: Deployment, service: Service, woken: asyncio.Event, *, since: datetime, at: datetime
    ) -> datetime:
        """Look at what is due; when to look again. Raises `_MovedError` when a person was faster."""
        was = deployment.progression
        running = deployment.countdown if deployment.countdown and not deployment.countdown.state.over else None

        async def see() -> tuple[Progression, tuple[Watch, ...]]:
            first = was or await self._first(deployment, service, since)
            watches = first.watches(service.checks)
            seen = await self.checking.look(deployment, watches, since=since, before=first.before, at=at, alone=True)
            return first, seen

        left = (running.deadline - at).total_seconds() if running else None
        if (found := await _unless(woken, see(), left)) is None:
            if woken.is_set() or running is None:
                raise _MovedError
            was = was or Progression(position=start(since))
            found = was, was.watches(service.checks)
        was, watches = found
        at = max(at, self.ledger.now()) if running else at
        # What people have taken upon themselves when they let it go on, they have for this time too.
        waived = ((one.check, one.verdict) for one in was.position.waived)
        standing = standing_of(watches, at).waiving(waived)
        countdown = _counted(deployment.countdown, standing, service, at)
        kept = replace(was, looks=looks_of(watches))
        if kept != deployment.progression or countdown != deployment.countdown:

            def unless_moved(found: Deployment) -> Deployment:
                if (found.progression, found.countdown) != (deployment.progression, deployment.countdown):
                    raise _MovedError
                return replace(found.touch(), version=found.version + 1, progression=kept, countdown=countdown)

            if countdown != deployment.countdown:
                note = countdown.why if countdown else ""
                await self.ledger.amend_as(deployment.id, unless_moved, kind="countdown", actor=BOT, at=at, note=note)
            else:
                await self.ledger.amend(deployment.id, unless_moved)
        return _next(watches, countdown, since, at)


async def _unless(woken: asyncio.Event, work: Coroutine[object, object, T], within: float | None) -> T | None:
    """What the work comes to; None as soon as somebody has said something, or when it takes longer than that."""
    working, waking = asyncio.ensure_future(work), asyncio.ensure_future(woken.wait())
    try:
        await asyncio.wait({working, waking}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, waking):
            task.cancel()
        await asyncio.gather(working, waking, return_exceptions=True)


def _counted(countdown: Countdown | None, standing: Standing, service: Service, at: datetime) -> Countdown | None:
    """The countdown after what the checks say now."""
    failing = standing.verdict is Verdict.FAIL
    if countdown is None or countdown.state is counting.CountdownState.RECOVERED:
        if not failing:
            return countdown
        countdown = counting.begin(standing.sentence, at=at, seconds=service.countdown, last=countdown)
    if countdown is None:
        return None
    countdown = counting.fire(countdown, at).countdown  # from its deadline on, recovering comes too late
    return countdown if failing else counting.recovered(countdown, at).countdown


def _next(watches: Sequence[Watch], countdown: Countdown | None, since: datetime, at: datetime) -> datetime:
    times = [at + _SOON, *(watch.next_look(since) for watch in watches)]
    if countdown is not None and not countdown.state.over:
        times.append(countdown.deadline)
    return min(times)
