"""What the bot needs, looked at before anything is deployed: settings, catalog, database, Slack, clusters, places.

Changes nothing, anywhere. Every look has a deadline, and one that fails keeps no other from being taken.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import DeploymentArchitectError
from bot.domain.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bot.bootstrap import RegisteredProviders
    from bot.domain.catalog import Catalog, Environment, Service
    from bot.settings import Settings

    Look = Callable[[], Awaitable[Sequence[Finding]]]

log = logging.getLogger(__name__)

_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found about one thing."""

    about: str
    findings: tuple[Finding, ...]
    group: str = "The bot"
    """What it belongs to, for who reads of many things."""
    part: str = ""
    """What it is called within that; empty: as it is called anyway."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it. What only tells less is not wrong."""
        return not any(finding.wrong for finding in self.findings)


@dataclass(kw_only=True)
class Doctor:
    """Looks at everything, a few at a time, in the order in which it is told."""

    config: Path
    database: str
    """Its address."""
    timeout: float = 10.0
    """Seconds that one look may take."""
    waiting: list[str] = field(default_factory=list)
    """What is being looked at now."""
    done: int = 0
    total: int = 0
    _broken: set[str] = field(default_factory=set)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def examine(self) -> list[Looked]:
        """Everything that was found. Raises nothing but what ends the process."""
        from bot.bootstrap import RegisteredProviders

        providers = RegisteredProviders()
        try:
            settings, own = self._settings()
            if settings is not None:
                providers.door = settings.door
            catalog, file = await self._catalog()
            first = [own, file]
            places = catalog.places() if catalog else []
            services = list(catalog.services.values()) if catalog else []
            clusters = list(catalog.clusters) if catalog else []
            previews = list(catalog.previews) if catalog else []
            self.total = 4 + len(clusters) + len(services) + len(places) + len(previews)
            self.done = 2
            looks = [self._look("database", self._database), self._look("slack", lambda: self._slack(settings))]
            if catalog is not None:
                looks += [self._cluster(catalog, providers, name) for name in clusters]
            second = await asyncio.gather(*looks)
            third: list[Looked] = []
            if catalog is not None:
                third = await asyncio.gather(
                    *(self._images(catalog, providers, service) for service in services),
                    *(self._place(catalog, providers, *place) for place in places),
                    *(self._previews(catalog, providers, name) for name in previews),
                )
            return [*first, *second, *third]
        finally:
            await providers.clusters.close()

    def _settings(self) -> tuple[Settings | None, Looked]:
        from bot.settings import read_settings

        try:
            settings = read_settings()
        except DeploymentArchitectError as error:
            lines = error.message.splitlines()
            wrong = (Finding(ok=False, what=line.rstrip("."), fix="see docs/operate.md") for line in lines)
            return None, Looked(about="settings", findings=tuple(wrong))
        mode = "HTTP mode" if settings.http_mode else "Socket Mode"
        what = f"every variable is good; Slack reaches the bot in {mode}"
        return settings, Looked(about="settings", findings=(Finding(ok=True, what=what),))

    async def _catalog(self) -> tuple[Catalog | None, Looked]:
        from bot.bootstrap import check_catalog
        from bot.catalog.problems import CatalogError

        try:
            catalog = await asyncio.to_thread(check_catalog, self.config)
        except CatalogError as error:
            wrong = tuple(Finding(ok=False, what=str(problem).rstrip(".")) for problem in error.problems)
            return None, Looked(about="catalog", findings=wrong)
        except DeploymentArchitectError as error:
            return None, Looked(about="catalog", findings=(_wrong(error),))
        what = f"{self.config} is good, revision {catalog.revision[:12]}"
        return catalog, Looked(about="catalog", findings=(Finding(ok=True, what=what),))

    async def _database(self) -> Sequence[Finding]:
        from bot.store.address import read_address
        from bot.store.engine import Database
        from bot.store.migrations import check_schema, revision_of

        address = read_address(self.database)
        if address.path is not None and not address.path.exists():
            return [await asyncio.to_thread(_place_for, address.path)]
        async with await Database.open(self.database, read_only=True) as database:
            if await revision_of(database) is None:
                what = f"{database.shown} answers and is empty; the first start makes its tables"
                return [Finding(ok=True, what=what)]
            await check_schema(database)
            return [Finding(ok=True, what=f"{database.shown} answers and has this build's schema")]

    async def _slack(self, settings: Settings | None) -> Sequence[Finding]:
        if settings is None:
            return [Finding(ok=False, what="not looked at, because the settings are not good")]
        from bot.slack.app import SlackTokens
        from bot.slack.probe import look

        tokens = SlackTokens(
            bot=settings.slack_bot_token.get_secret_value(),
            app=settings.slack_app_token.get_secret_value() if settings.slack_app_token else None,
            api_url=settings.slack_api_url,
        )
        return await look(tokens)

    async def _cluster(self, catalog: Catalog, providers: RegisteredProviders, name: str) -> Looked:
        async def look() -> Sequence[Finding]:
            version = await providers.clusters.version(catalog, name)
            return [Finding(ok=True, what=f"answers, Kubernetes {version}")]

        looked = await self._look(f"cluster {name}", look, group="Clusters", part=name)
        if not looked.ok:
            self._broken.add(name)
        return looked

    async def _images(self, catalog: Catalog, providers: RegisteredProviders, service: Service) -> Looked:
        async def look() -> Sequence[Finding]:
            newest = await providers.images(catalog, service.name).versions(limit=1)
            if not newest:
                return [Finding(ok=True, what="can be read; there is no version yet")]
            return [Finding(ok=True, what=f"can be read; the newest is {newest[0]}")]

        return await self._look(f"versions of {service.name}", look, group=f"Service {service.name}", part="versions")

    async def _place(
        self, catalog: Catalog, providers: RegisteredProviders, service: Service, environment: Environment
    ) -> Looked:
        from bot.ports.target import Examines

        reference = service.targets[environment.name]

        async def look() -> Sequence[Finding]:
            cluster = providers.clusters.of(catalog, reference)
            if cluster is not None and cluster.name in self._broken:
                return [Finding(ok=False, what=f"not looked at, because the cluster {cluster.name} cannot be used")]
            target = providers.target(catalog, service.name, environment.name)
            if not isinstance(target, Examines):
                return [Finding(ok=True, what=f"a target of type {reference.kind} asks for no rights")]
            return await target.examine()

        about = f"{service.name} in {environment.name}"
        return await self._look(about, look, group=f"Service {service.name}", part=environment.name)

    async def _previews(self, catalog: Catalog, providers: RegisteredProviders, name: str) -> Looked:
        from bot.bootstrap import SharedPreviews
        from bot.ports.target import Examines

        async def look() -> Sequence[Finding]:
            cluster = str(catalog.previews[name].options.get("cluster"))
            if cluster in self._broken:
                return [Finding(ok=False, what=f"not looked at, because the cluster {cluster} cannot be used")]
            every = SharedPreviews(clusters=providers.clusters).every(catalog)
            found = dict(zip(catalog.previews, every, strict=True))[name]
            if not isinstance(found, Examines):
                return [Finding(ok=True, what="previews of this type ask for no rights")]
            return await found.examine()

        return await self._look(f"previews {name}", look, group="Previews", part=name)

    async def _look(self, about: str, look: Look, *, group: str = "The bot", part: str = "") -> Looked:
        """One look within its time; whatever goes wrong is a finding."""
        async with self._turns:
            self.waiting.append(about)
            try:
                async with asyncio.timeout(self.timeout):
                    findings = tuple(await look())
            except DeploymentArchitectError as error:
                findings = (_wrong(error),)
            except TimeoutError:
                findings = (Finding(ok=False, what=f"no answer within {self.timeout:g} s"),)
            except Exception as error:
                # A provider that breaks must not hide what the others say.
                log.debug("the look at %s broke", about, exc_info=True)
                findings = (Finding(ok=False, what=f"it broke while it was looked at: {type(error).__name__}"),)
            finally:
                self.waiting.remove(about)
                self.done += 1
        return Looked(about=about, findings=findings, group=group, part=part)


def _wrong(error: DeploymentArchitectError) -> Finding:
    return Finding(ok=False, what=error.message.rstrip("."))


def _place_for(path: Path) -> Finding:
    """Whether a SQLite database that is not there yet can be made there."""
    folder = next((parent for parent in path.parents if parent.exists()), path.parent)
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding(ok=True, what=f"there is no database {path} yet; the first start makes it")
    return Finding(
        ok=False,
        what=f"there is no database {path} yet, and it may not be made in {folder}",
        fix="name a folder with DATA_DIR that the bot may write to, or a database with DATABASE_URL",
    )
