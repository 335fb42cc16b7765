"""Watches a release for a while after it has succeeded, and says when it is to be rolled back. Changes no target."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.analysis import countdown as counting
from bot.domain.analysis.judgement import Verdict
from bot.domain.analysis.standing import standing_of
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression, looks_of
from bot.domain.strategy.position import start

if TYPE_CHECKING:
    from collections.abc import Sequence
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
                    return ""
                if countdown is not None and countdown.state is counting.CountdownState.FIRED:
                    return countdown.why
                now = self.ledger.now()
                running = countdown is not None and not countdown.state.over
                if (now >= ends and not running) or (countdown is not None and not countdown.armed):
                    return ""
                look_at = ends
                with contextlib.suppress(_MovedError):
                    look_at = await self._look(deployment, service, since=succeeded.at, at=now)
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

    async def _look(self, deployment: Deployment, service: Service, *, since: datetime, at: datetime) -> datetime:
        """Look at what is due; when to look again. Raises `_MovedError` when a person was faster."""
        was = deployment.progression or Progression(position=start(since))
        watches = await self.checking.look(
            deployment, was.watches(service.checks), since=since, before=was.before, at=at, stable=False
        )
        standing = standing_of(watches, at)
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
