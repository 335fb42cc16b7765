"""Reads the numbers that checks are about, judges them and keeps them. Decides nothing about the release."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.analysis.judge import judge_once
from bot.domain.errors import DeploymentArchitectError
from bot.domain.metric import Reading, Subject, Track
from bot.engine.tracing import asking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.analysis.check import Check
    from bot.domain.analysis.watch import Watch
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.release import Release
    from bot.engine.ledger import Ledger
    from bot.ports.providers import CatalogSource, Providers
    from bot.ports.readings import Readings

log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds that one answer of a metric source may take."""
_PAST = timedelta(seconds=1)


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Checking:
    """Looks at the checks of a deployment."""

    ledger: Ledger
    catalogs: CatalogSource
    providers: Providers
    readings: Readings

    async def before(
        self, deployment: Deployment, service: Service, *, at: datetime | None = None
    ) -> Mapping[str, Reading]:
        """What each check says of what ran before the deployment, at ``at`` (None: now); nothing where nothing ran."""
        if deployment.previous is None:
            return {}
        release, at = deployment.previous.release, at or self.ledger.now()
        read = await asyncio.gather(
            *(self._read(deployment, check, release, Track.STABLE, at) for check in service.checks)
        )
        return {check.name: reading for check, reading in zip(service.checks, read, strict=True)}

    async def look(
        self,
        deployment: Deployment,
        watches: Sequence[Watch],
        *,
        since: datetime,
        before: Mapping[str, Reading],
        at: datetime,
        alone: bool = False,
        weight: int = 100,
    ) -> tuple[Watch, ...]:
        """The watches after whatever look is due at ``at``. ``alone``, it is the stable release and nothing is beside
        it. ``weight`` is how many per cent of the traffic it gets: with none, whatever needs traffic is not looked at;
        with all of it, what ran before is kept and gets none, so there is nothing to compare with.
        """
        track = Track.STABLE if alone else Track.CANARY

        async def one(watch: Watch) -> Watch:
            check = watch.check
            if at < watch.next_look(since) or (weight == 0 and check.needs_traffic):
                return watch
            reads = [self._read(deployment, check, deployment.release, track, at)]
            if weight < 100 and not alone and deployment.previous is not None:
                reads.append(self._read(deployment, check, deployment.previous.release, Track.STABLE, at))
            canary, *others = await asyncio.gather(*reads)
            stable = others[0] if others else None
            if stable is not None:
                await self._keep(deployment, check, Track.STABLE, stable)
            await self._keep(deployment, check, Track.CANARY, canary)
            return watch.seen(judge_once(check, canary, stable, before.get(check.name), at=at))

        return tuple(await asyncio.gather(*(one(watch) for watch in watches)))

    async def _read(
        self, deployment: Deployment, check: Check, release: Release, track: Track, at: datetime
    ) -> Reading:
        with asking(
            "query metric", metric_check=check.name, metric_source=check.source, metric_track=track.value
        ) as asked:
            reading = await self._ask(deployment, check, release, track, at)
            asked.tags["deployment.step.outcome"] = "no data" if reading.value is None else "read"
            return reading

    async def _ask(self, deployment: Deployment, check: Check, release: Release, track: Track, at: datetime) -> Reading:
        """The number, or why there is none: a source that does not answer says nothing about the release."""
        subject = Subject(
            service=deployment.service,
            environment=deployment.environment,
            version=release.version,
            digest=release.artifact.digest,
            track=track,
        )
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
            source = self.providers.metrics(catalog, check.source)
            past = at if at < self.ledger.now() - _PAST else None  # what is now, a source need not be told
            async with asyncio.timeout(_PATIENCE):
                return await source.read(check.query, subject=subject, window=check.window, at=past)
        except TimeoutError:
            return Reading(value=None, at=at, why=f"{check.source} did not answer within {_PATIENCE:g} s")
        except DeploymentArchitectError as error:
            log.info("%s of #%s could not be read: %s", check.name, deployment.number, error.message)
            return Reading(value=None, at=at, why=error.message)
        except Exception as error:  # a plugin's mistake says nothing about the release either
            log.exception("the metric source %s broke", check.source)
            return Reading(value=None, at=at, why=f"{check.source} broke ({type(error).__name__}); the log says more")

    async def _keep(self, deployment: Deployment, check: Check, track: Track, reading: Reading) -> None:
        await self.readings.add(deployment.id, check.name, track, reading)
