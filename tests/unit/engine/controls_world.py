"""The world of `engine_world` with everything that locks, freezes and exceptions are made of.

Made up are only what is outside: versions in a registry, people in a workspace, and the durable runtime, which is told
what to begin.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from engine_world import ADA, CHECKOUT, GRACE, HOUR, LINUS, PRODUCTION, World, member, open_world, person, release

from bot.domain.actor import BOT
from bot.domain.deployment import Hold
from bot.domain.errors import RevisionNotFound
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, Rule
from bot.domain.policy.scope import Scope
from bot.engine.freezing import Freezing
from bot.engine.locking import Locking
from bot.engine.orders import Order, Orders
from bot.engine.overriding import Overriding
from bot.engine.requests import Requests
from bot.engine.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bot.domain.actor import Actor, Membership
    from bot.domain.catalog import Catalog, Environment
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, LockScope, ServiceName
    from bot.domain.notice import Notice, NoticeKind
    from bot.domain.release import Release
    from bot.engine.durable import Durable
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.insight import Insight
    from bot.ports.people import People

MALLORY = person("Mallory")
OWNERS = Rule(role="owner", users=frozenset({GRACE.id, LINUS.id}), actions=frozenset(Action))
DEVELOPERS = Rule(
    role="developer", users=frozenset({ADA.id}), actions=frozenset({Action.DEPLOY, Action.LOCK, Action.ROLLBACK})
)
IN_PRODUCTION = Scope(environment=PRODUCTION)
THERE = Scope(service=CHECKOUT, environment=PRODUCTION)


class SomePeople:
    """A workspace in which everybody is active and nobody in a group."""

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        return member(actor)

    async def in_groups(self, groups: object) -> Sequence[str]:
        return []


@dataclass
class SomeImages:
    """A registry with a few versions; somebody may push another artifact under the same one."""

    service: ServiceName
    versions: dict[str, Release]

    async def resolve(self, *, version: str) -> Release:
        if version not in self.versions:
            raise RevisionNotFound(f"There is no {version} of {self.service}.")
        return self.versions[version]

    async def has(self, *, release: Release) -> bool:
        return release in self.versions.values()


@dataclass
class Begun:
    """Stands for the durable runtime: what it was told to begin."""

    ids: list[DeploymentId] = field(default_factory=list)

    async def begin(self, deployment_id: DeploymentId, scope: LockScope) -> None:
        self.ids.append(deployment_id)


@dataclass
class Controls(World):
    """The use cases under test, as they are wired, and whom they woke."""

    woken: list[str] = field(default_factory=list)
    begun: Begun = field(default_factory=Begun)
    versions: dict[str, Release] = field(default_factory=lambda: {"v1.2": release("v1.2"), "v1.3": release("v1.3")})

    def images(self, _: Catalog, service: ServiceName) -> Any:
        return SomeImages(service, self.versions)

    async def freed(self, scope: Scope) -> None:
        self.woken.append(scope.words)

    @property
    def gatekeeper(self) -> Gatekeeper:
        return replace(super().gatekeeper, people=cast("People", SomePeople()))

    @cached_property
    def locking(self) -> Locking:
        return Locking(
            ledger=self.ledger,
            deployments=self.store.deployments,
            catalogs=self,
            locks=self.store.locks,
            notices=self.store.notices,
            gatekeeper=self.gatekeeper,
            freed=self.freed,
        )

    @cached_property
    def freezing(self) -> Freezing:
        return Freezing(
            ledger=self.ledger,
            deployments=self.store.deployments,
            catalogs=self,
            freezes=self.store.freezes,
            overrides=self.store.overrides,
            leases=self.store.leases,
            notices=self.store.notices,
            gatekeeper=self.gatekeeper,
            freed=self.freed,
        )

    @cached_property
    def overriding(self) -> Overriding:
        orders = Orders(
            deployments=self.store.deployments,
            releases=self.store.releases,
            catalogs=self,
            providers=self,
            gatekeeper=self.gatekeeper,
            overrides=self.store.overrides,
            insight=cast("Insight", None),  # for dry runs only
        )
        requests = Requests(
            ledger=self.ledger,
            deployments=self.store.deployments,
            releases=self.store.releases,
            catalogs=self,
            providers=self,
            gatekeeper=self.gatekeeper,
            orders=orders,
            schedules=self.store.schedules,
            durable=cast("Durable", self.begun),
        )
        return Overriding(
            ledger=self.ledger,
            deployments=self.store.deployments,
            catalogs=self,
            providers=self,
            overrides=self.store.overrides,
            notices=self.store.notices,
            gatekeeper=self.gatekeeper,
            requests=requests,
            freed=self.freed,
        )

    def upkeep(self) -> Upkeep:
        """That of one replica, which has looked after nothing yet."""
        return Upkeep(
            ledger=self.ledger,
            deployments=self.store.deployments,
            catalogs=self,
            locks=self.store.locks,
            freezes=self.store.freezes,
            overrides=self.store.overrides,
            locking=self.locking,
            freezing=self.freezing,
            overriding=self.overriding,
            freed=self.freed,
        )

    async def told(self, *kinds: NoticeKind) -> list[Notice]:
        """What is to be told, of these kinds or of all."""
        return [one for one in await self.store.notices.untold(limit=500) if not kinds or one.kind in kinds]

    async def held(self, gate: str = "freeze", *, resumes: bool = False, **about: Any) -> Deployment:
        """A deployment that a gate holds."""
        made = await self.deployed(**{"environment": PRODUCTION, **about})
        hold = Hold(gate=gate, sentence="No.", resumes=resumes, expires=self.time + 24 * HOUR)
        return await self.ledger.advance(
            made.id,
            Phase.HELD,
            actor=BOT,
            key="held",
            at=self.time,
            first=lambda found: replace(found, hold=hold),
        )

    async def under_way(self, **about: Any) -> Deployment:
        """A deployment that has the place and has begun to change it."""
        made = await self.deployed(Phase.QUEUED, Phase.DEPLOYING, **{"environment": PRODUCTION, **about})
        return await self.ledger.amend(made.id, lambda found: found.record_previous(None))

    def change(self, **about: Any) -> None:
        """Another production."""
        environments: dict[Any, Environment] = dict(self.catalog.environments)
        environments[PRODUCTION] = replace(environments[PRODUCTION], **about)
        self.set(environments=environments)

    async def acts(self) -> list[str]:
        """What the audit says was done; the chain must be whole."""
        assert (await self.store.audit.verify()).ok
        rows = [line async for piece in self.store.audit.export(format="csv") for line in piece.splitlines()]
        column = rows[0].split(",").index("act")
        return [row.split(",")[column] for row in rows[1:]]


def order(actor: Actor = GRACE, **changes: Any) -> Order:
    made = Order(
        service=CHECKOUT,
        version="v1.2",
        environment=PRODUCTION,
        requester=member(actor),
        origin="slack:1",
        reason="the site is down",
    )
    return replace(made, **changes)


@contextlib.asynccontextmanager
async def open_controls(folder: Path) -> AsyncIterator[Controls]:
    """A world in which Ada develops, Grace and Linus own, and Mallory may do nothing."""
    async with open_world(folder, rules=(OWNERS, DEVELOPERS)) as world:
        controls = Controls(store=world.store, catalog=world.catalog, ledger=world.ledger)
        controls.ledger.now = lambda: controls.time
        yield controls
