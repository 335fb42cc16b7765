"""Tells metric sources that can show it when a deployment began and when it ended, so that it is seen in their graphs.

Whom to tell is kept until they were told or it is too late. Nothing here may make a deployment wait or fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.alert import began
from bot.domain.errors import (
    BadCommand,
    ConfigurationError,
    DeploymentArchitectError,
    ProviderError,
    StoreError,
    UnknownDeployment,
)
from bot.domain.lifecycle import Phase
from bot.domain.metric import Subject, Track
from bot.ports.metrics import SupportsMarkers

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.marker import Marker
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.markers import Markers
    from bot.ports.providers import CatalogSource, Providers

log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds that a source may take."""
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0
_TRIES = 16
"""About an hour of pauses that grow to five minutes."""
_LOOK_AT_ENDS = timedelta(seconds=30)
"""How often it is looked whether a deployment that another replica ran has ended."""


@dataclass(kw_only=True)
class Marking:
    """Markers of deployments in metric sources."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    providers: Providers
    kept: Markers
    look_every: float = 5.0
    """Seconds between two looks that nobody asked for."""
    _heard: dict[DeploymentId, bool] = field(default_factory=dict)
    """What began here and was not looked at yet, and whether it has ended."""
    _begun: set[DeploymentId] = field(default_factory=set)
    """What is known to be kept: a rollout changes often, and begins once."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, deployment: Deployment) -> None:
        """Take notice that a deployment has changed; one of the ledger's listeners. Returns at once."""
        if deployment.handle is None or began(deployment) is None:
            return
        over = deployment.phase.final
        if over or deployment.id not in self._begun:
            self._heard[deployment.id] = over
            self._came.set()

    async def run(self) -> None:
        """Tell for ever whoever is to be told."""
        with contextlib.suppress(StoreError):  # then only those are missed that began just before the process died
            for deployment in await self.deployments.active():
                self.heard(deployment)
        while True:
            self._came.clear()
            try:
                await self.look()
            except StoreError as error:
                log.warning("markers wait: %s", error.message)
            except Exception:
                log.exception("telling metric sources broke, and is tried again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.look_every):
                    await self._came.wait()

    async def look(self) -> None:
        """Keep what was heard, and tell whatever is due. Raises `StoreError`."""
        for name, over in list(self._heard.items()):
            if name not in self._begun:
                deployment = await self.deployments.get(name)
                await self.kept.open(name, await self._sources(deployment), at=self.ledger.now())
                self._begun.add(name)
            if over:
                await self.kept.hasten(name, at=self.ledger.now())
                self._begun.discard(name)
            if self._heard.get(name) is over:
                del self._heard[name]
        while due := await self.kept.due(before=self.ledger.now()):
            await asyncio.gather(*(self._serve(marker) for marker in due))

    async def _sources(self, deployment: Deployment) -> list[str]:
        """The sources that its checks use and that can show it; none when they cannot be told."""
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
            names = {check.source for check in catalog.service(deployment.service).checks}
            return [name for name in names if isinstance(self.providers.metrics(catalog, name), SupportsMarkers)]
        except (BadCommand, ConfigurationError) as error:
            log.warning("#%s is shown in no graph: %s", deployment.number, error.message)
            return []

    async def _serve(self, marker: Marker) -> None:
        """Tell one source what it is to be told next, or put that off."""
        now = self.ledger.now()
        tried = replace(marker, tries=marker.tries + 1, due_at=now + _pause(marker.tries))
        if not await self.kept.keep(marker, tried):
            return  # another replica was faster
        try:
            deployment = await self.deployments.get(marker.deployment)
        except UnknownDeployment:
            await self.kept.keep(tried, replace(tried, closed_at=now))
            return
        ended = deployment.finished_at if deployment.phase.final else None
        if marker.begun_at is not None and ended is None:
            await self.kept.keep(tried, replace(tried, tries=0, due_at=now + _LOOK_AT_ENDS))
            return
        ends = marker.begun_at is not None
        if not await self._tell(marker, deployment, ended if ends else None) and tried.tries < _TRIES:
            return
        now = self.ledger.now()
        after = replace(tried, closed_at=now) if ends else replace(tried, begun_at=now, tries=0, due_at=now)
        await self.kept.keep(tried, after)

    async def _tell(self, marker: Marker, deployment: Deployment, ended: datetime | None) -> bool:
        """Tell a source; whether it need not be tried again."""
        begin = began(deployment) or deployment.requested_at
        what = f"#{deployment.number} {deployment.service} {deployment.release.version} to {deployment.environment}"
        subject = Subject(
            service=deployment.service,
            environment=deployment.environment,
            version=deployment.release.version,
            digest=deployment.release.artifact.digest,
            track=Track.CANARY,
        )
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
            source = self.providers.metrics(catalog, marker.source)
            if not isinstance(source, SupportsMarkers):
                return True
            async with asyncio.timeout(_PATIENCE):
                await source.mark(
                    subject=subject,
                    operation=deployment.id,
                    began=begin,
                    ended=ended,
                    text=f"{what}, asked for by {deployment.requester.name}"
                    + (f": {deployment.phase.words}" if ended else ""),
                    succeeded=deployment.reached(Phase.SUCCEEDED) is not None,
                )
        except TimeoutError:
            log.info("%s was not told of #%s: no answer", marker.source, deployment.number)
            return False
        except ProviderError as error:
            log.warning("%s was not told of #%s: %s", marker.source, deployment.number, error.message)
            return not error.retryable
        except DeploymentArchitectError as error:
            log.warning("%s was not told of #%s: %s", marker.source, deployment.number, error.message)
            return False
        except Exception:
            # Whatever a source's library raises must not keep the others from being told.
            log.exception("%s was not told of #%s", marker.source, deployment.number)
            return False
        return True


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(tries, 10)))
