"""What runs where: taken over from the targets, so that the first deployment from here already knows the way back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.errors import DeploymentArchitectError
from bot.domain.history import Placement, ProvenRelease

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.rollout import Running
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import Providers

log = logging.getLogger(__name__)

_AT_ONCE = 8


async def remember(
    releases: Releases, service: ServiceName, environment: EnvironmentName, running: Running, *, at: datetime
) -> None:
    """Record a release that runs and that nobody deployed from here; once it was seen healthy one can go back to it."""
    known = await releases.placements([(service, environment)])
    if known and known[0].release.same_as(running.release):
        return
    if running.all_healthy:
        await releases.prove(
            ProvenRelease(
                service=service,
                environment=environment,
                release=running.release,
                proven_at=at,
                deployment=None,
                by=BOT,
            )
        )
    await releases.place(
        Placement(service=service, environment=environment, release=running.release, since=at, deployment=None, by=BOT)
    )


async def take_stock(
    catalog: Catalog, *, providers: Providers, releases: Releases, deployments: Deployments, ledger: Ledger
) -> None:
    """Look once at every place of the catalog that nothing is known about. A place that does not answer is left."""
    known = {(placement.service, placement.environment) for placement in await releases.placements()}
    busy = {(deployment.service, deployment.environment) for deployment in await deployments.active()}
    unknown = [
        (service.name, environment.name)
        for service, environment in catalog.places()
        if (service.name, environment.name) not in known | busy
    ]
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def look(service: ServiceName, environment: EnvironmentName) -> None:
        async with at_once:
            try:
                running = await providers.target(catalog, service, environment).current()
                if running is not None:
                    await remember(releases, service, environment, running, at=ledger.now())
            except DeploymentArchitectError as error:
                log.warning("what %s runs in %s could not be read: %s", service, environment, error.message)

    await asyncio.gather(*(look(*place) for place in unknown))
