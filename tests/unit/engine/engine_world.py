"""A store in a file, a catalog and a clock that tests set, for use cases that are tested without the durable runtime.

Only the outside world is made up: targets that say what they are told to say.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from bot.domain.actor import BOT, Actor, Door, Membership
from bot.domain.catalog import Catalog, Environment, ProviderRef, QueuePolicy, Service
from bot.domain.deployment import Deployment, Moment
from bot.domain.history import Event, Placement, ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName, new_deployment_id
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, Rule
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Running
from bot.engine.gatekeeper import Gatekeeper
from bot.engine.ledger import Ledger
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bot.domain.policy.window import Window
    from bot.ports.people import People
    from bot.ports.target import Target

CHECKOUT, WEB = ServiceName("checkout"), ServiceName("web")
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")
NOON = datetime(2031, 5, 14, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def person(name: str) -> Actor:
    return Actor(workspace="T1", id=f"U0{name.upper()}", name=name)


ADA, GRACE, LINUS = person("Ada"), person("Grace"), person("Linus")
EVERYTHING = Rule(role="owner", users=frozenset({GRACE.id}), actions=frozenset(Action))
DEPLOYS = Rule(role="deployer", users=frozenset({ADA.id, LINUS.id}), actions=frozenset({Action.DEPLOY}))


def member(actor: Actor, *groups: str, door: Door | None = Door.COMMAND) -> Membership:
    return Membership(actor=actor, groups=frozenset(groups), door=door)


def release(version: str = "v1.2", *, digest: str | None = None, service: ServiceName = CHECKOUT) -> Release:
    artifact = Artifact(digest=digest or f"sha256:{service}-{version}", location=f"images/{version}")
    return Release(service=service, version=version, artifact=artifact)


def catalog(
    *,
    rules: tuple[Rule, ...] = (EVERYTHING, DEPLOYS),
    windows: tuple[Window, ...] = (),
    queue: QueuePolicy = QueuePolicy.ALL,
    zone: str = "UTC",
    services: Mapping[str, tuple[EnvironmentName, ...]] | None = None,
) -> Catalog:
    """Two services in two environments; the windows and the queue are production's."""
    runs = services or {CHECKOUT: (STAGING, PRODUCTION), WEB: (STAGING, PRODUCTION)}
    place = ProviderRef(kind="local")
    return Catalog(
        revision="c1",
        channel="#deploys",
        zone=zone,
        rules=rules,
        services={
            ServiceName(name): Service(name=ServiceName(name), targets=dict.fromkeys(there, place), images=place)
            for name, there in runs.items()
        },
        environments={
            STAGING: Environment(name=STAGING),
            PRODUCTION: Environment(name=PRODUCTION, protected=True, windows=windows, queue=queue),
        },
    )


@dataclass
class SomeTarget:
    """A platform that runs what it was told, or fails, or hangs."""

    runs: Running | Exception | None = None
    hangs: bool = False
    looks: int = 0

    async def current(self) -> Running | None:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.runs, Exception):
            raise self.runs
        return self.runs


@dataclass
class World:
    """What the use cases under test are built from."""

    store: Store
    catalog: Catalog
    ledger: Ledger
    time: datetime = NOON
    targets: dict[tuple[ServiceName, EnvironmentName], SomeTarget] = field(default_factory=dict)

    def current(self) -> Catalog:
        return self.catalog

    async def at(self, revision: str) -> Catalog:
        return self.catalog

    def target(self, _: Catalog, service: ServiceName, environment: EnvironmentName) -> Target:
        return cast("Target", self.targets.setdefault((service, environment), SomeTarget()))

    def images(self, _: Catalog, service: ServiceName) -> Any:
        raise AssertionError("nothing here looks versions up")

    @property
    def gatekeeper(self) -> Gatekeeper:
        return Gatekeeper(
            ledger=self.ledger,
            releases=self.store.releases,
            catalogs=self,
            providers=self,
            people=cast("People", None),  # who may is asked about members whose groups are known
            locks=self.store.locks,
            freezes=self.store.freezes,
            ballots=self.store.ballots,
            overrides=self.store.overrides,
        )

    async def deployed(
        self,
        *phases: Phase,
        service: ServiceName = CHECKOUT,
        environment: EnvironmentName = STAGING,
        what: Release | None = None,
        begin: datetime | None = None,
        every: timedelta = MINUTE,
        by: Actor = ADA,
        rollback_of: DeploymentId | None = None,
    ) -> Deployment:
        """A stored deployment that went through these phases, one each minute."""
        name, at = new_deployment_id(), begin or self.time
        made = Deployment(
            id=name,
            number=0,
            service=service,
            environment=environment,
            scope=LockScope(f"{service}@{environment}"),
            release=what or release(service=service),
            requester=by,
            channel="C1",
            catalog_revision="c1",
            origin=name,
            rollback_of=rollback_of,
            timeline=(Moment(phase=Phase.REQUESTED, at=at, actor=by),),
        )
        event = Event(deployment=name, key="requested", kind="requested", actor=by, at=at, after=Phase.REQUESTED)
        found = await self.store.deployments.add(made, event=event)
        for number, phase in enumerate(phases, 1):
            found = await self.ledger.advance(name, phase, actor=BOT, key=f"{phase}:{number}", at=at + number * every)
        return found

    async def runs(
        self,
        what: Release,
        environment: EnvironmentName = STAGING,
        *,
        since: datetime | None = None,
        proven: bool = True,
        deployment: DeploymentId | None = None,
    ) -> Placement:
        """Record that this runs there, and that it was proven."""
        at = since or self.time
        placement = Placement(
            service=what.service, environment=environment, release=what, since=at, deployment=deployment, by=ADA
        )
        await self.store.releases.place(placement)
        if proven:
            await self.store.releases.prove(
                ProvenRelease(
                    service=what.service,
                    environment=environment,
                    release=what,
                    proven_at=at,
                    deployment=deployment or new_deployment_id(),
                    by=ADA,
                )
            )
        return placement

    def set(self, **changes: Any) -> None:
        """Another catalog."""
        self.catalog = replace(self.catalog, **changes)


def running(what: Release) -> Running:
    return Running(release=what, healthy=1, instances=1)


@contextlib.asynccontextmanager
async def open_world(folder: Path, **about: Any) -> AsyncIterator[World]:
    """A world whose clock stands at noon until a test sets `World.time`."""
    async with Store.open(f"sqlite:///{folder / 'bot.db'}", replica="one") as store:
        ledger = Ledger(deployments=store.deployments)
        world = World(store=store, catalog=catalog(**about), ledger=ledger)
        ledger.now = lambda: world.time
        yield world
