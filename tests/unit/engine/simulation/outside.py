"""The outside world: targets, images, people and the configuration. Strict fakes; everything else is the real thing.

A target carries a change out once for each operation id, tells `Watch` of it at that instant, and does not care whether
whoever asked for it still lives or still waits: a request that was sent arrives.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from bot.domain.actor import Actor, Membership
from bot.domain.catalog import Catalog, Environment, HealthCheck, ProviderRef, QueuePolicy, Service
from bot.domain.errors import (
    ConfigurationError,
    IdentityUnknown,
    NotAuthorized,
    OutcomeUnknown,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RevisionNotFound,
)
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.freeze import WhileRunning
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Progress, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from unit.engine.simulation.replica import Life
    from unit.engine.simulation.world import World

T = TypeVar("T")

PEOPLE = ("Ada", "Grace", "Hedy", "Linus", "Mallory")
_GROUPS = {
    "Ada": ("devs",),
    "Grace": ("devs", "managers", "ops"),
    "Hedy": ("devs", "managers"),
    "Linus": ("devs", "ops"),
    "Mallory": (),
    "Root": ("devs", "managers", "ops"),
}
SERVICES = tuple(map(ServiceName, ("checkout", "search")))
STAGING, PRODUCTION = map(EnvironmentName, ("staging", "production"))
ENVIRONMENTS = (STAGING, PRODUCTION)
VERSIONS = ("v1", "v2", "v3", "bad", "sick")
"""``bad`` fails to come up, ``sick`` comes up and is not healthy."""
_WORK = frozenset(
    {Action.DEPLOY, Action.ROLLBACK, Action.ABORT, Action.RESOLVE, Action.LOCK, Action.UNLOCK, Action.RUN_NEXT}
)


def actor(name: str) -> Actor:
    """That person."""
    return Actor(workspace="T1", id=f"U{name}", name=name)


def release(service: str, version: str, build: int = 1) -> Release:
    """A version of a service; another build of it is another artifact."""
    artifact = Artifact(digest=f"sha256:{service}-{version}-{build}", location=f"{service}:{version}")
    return Release(service=ServiceName(service), version=version, artifact=artifact)


def catalog(
    *,
    revision: str = "r1",
    quorum: int = 1,
    group: str | None = None,
    expires: float = 1800.0,
    shared_lock: bool = False,
    queue: QueuePolicy = QueuePolicy.ALL,
    freeze_running: WhileRunning = WhileRunning.CONTINUE,
    rules: Sequence[Rule] = (),
    after: EnvironmentName | None = None,
) -> Catalog:
    """Two services in two environments, of which production asks for approval."""
    health = HealthCheck(interval=0.5, timeout=2.0, passes=2, deadline=15.0)
    targets = {name: ProviderRef(kind="fake") for name in ENVIRONMENTS}
    approval = ApprovalRule(quorum=quorum, group=group, fallback="ops" if group else None, expires=expires)
    return Catalog(
        revision=revision,
        channel="#deploys",
        admin_channel="#ops",
        services={
            name: Service(name=name, targets=targets, images=ProviderRef(kind="fake"), health=health, deadline=60.0)
            for name in SERVICES
        },
        environments={
            STAGING: Environment(name=STAGING, queue=queue, shared_lock=shared_lock, freeze_running=freeze_running),
            PRODUCTION: Environment(
                name=PRODUCTION,
                protected=True,
                queue=queue,
                shared_lock=shared_lock,
                approval=approval,
                freeze_running=freeze_running,
                after=after,
            ),
        },
        rules=(
            Rule(role="developer", groups=frozenset({"devs"}), actions=_WORK),
            Rule(role="manager", groups=frozenset({"managers"}), actions=frozenset({Action.APPROVE})),
            Rule(
                role="operator",
                groups=frozenset({"ops"}),
                actions=frozenset({Action.CONFIGURE, Action.OVERRIDE_FREEZE, Action.BREAK_GLASS, Action.SCHEDULE}),
            ),
            *rules,
        ),
    )


def nobody_may(action: Action) -> Rule:
    """A row that takes a right from everybody."""
    return Rule(role="nobody", effect=Effect.DENY, groups=frozenset({"devs"}), actions=frozenset({action}))


@dataclass
class Catalogs:
    """The configuration, now and as it was."""

    world: World
    now: Catalog
    past: dict[str, Catalog] = field(default_factory=dict)

    def current(self) -> Catalog:
        """The last good one."""
        return self.now

    async def at(self, revision: str) -> Catalog:
        """The one of that revision."""
        if revision == self.now.revision:
            return self.now
        if revision not in self.past:
            raise ConfigurationError(f"The configuration {revision} is gone.")
        return self.past[revision]

    def reload(self, fresh: Catalog) -> None:
        """Put another one in force."""
        self.past[self.now.revision] = self.now
        self.now = fresh
        self.world.watch.remember()


@dataclass
class People:
    """Who is who, as the place tells where people talk. It may not answer, and somebody may be gone."""

    world: World
    unknown: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def door(self, name: str) -> Membership:
        """Somebody at one of the doors."""
        if name in self.unknown:
            raise IdentityUnknown
        if name in self.gone:
            raise NotAuthorized(f"{name} is deactivated.")
        return Membership(actor=actor(name), groups=frozenset(_GROUPS[name]))

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        """The actor with their groups now."""
        await asyncio.sleep(0)
        if actor.name in self.unknown and for_rollback:
            return Membership(actor=actor, groups=frozenset(_GROUPS[actor.name]))
        return self.door(actor.name)

    async def in_groups(self, groups: Collection[str]) -> Sequence[str]:
        """Ids of the people in any of these groups."""
        if self.unknown:
            raise IdentityUnknown
        return [f"U{name}" for name, mine in _GROUPS.items() if set(mine) & set(groups) and name not in self.gone]


@dataclass
class Weather:
    """How well the outside behaves."""

    slow: float = 0.0
    """Share of changes that take long to arrive, some longer than anybody waits; none longer than half a minute."""
    failing: float = 0.0
    """Share of calls that come to nothing and may be sent again."""
    lost: float = 0.0
    """Share of changes that were made, and of which the answer never comes back."""
    silent: float = 0.0
    """Share of changes of which nobody can tell whether they were made."""
    refusing: float = 0.0
    """Share of changes that the platform refuses."""
    dark: bool = False
    """Nothing can be read."""


@dataclass
class Change:
    """What a target has begun to do."""

    deployment: str
    forward: bool
    to: Running | None
    settles: float
    kind: OutcomeKind
    settled: bool = False


@dataclass
class Place:
    """One service in one environment."""

    world: World
    service: ServiceName
    environment: EnvironmentName
    running: Running | None
    handles: dict[OperationId, Handle] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    touched: float = 0.0
    """When somebody changed it past the bot."""

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.service}@{self.environment}"

    def settle(self) -> None:
        """Bring it to what it is by now."""
        for change in self.changes.values():
            if not change.settled and self.world.loop.time() >= change.settles:
                change.settled = True
                if change.kind is OutcomeKind.SUCCEEDED:
                    self.running = change.to

    @property
    def under_way(self) -> list[Change]:
        """Changes that are not done."""
        self.settle()
        return [change for change in self.changes.values() if not change.settled]

    def change(self, to: Running | None, operation: OperationId, *, forward: bool) -> Handle:
        """Begin to bring that there; the same operation again changes nothing."""
        if operation in self.handles:
            return self.handles[operation]
        self.settle()
        deployment = operation.rsplit("-", 2)[0]
        self.world.watch.mutation(self, operation, to.release if to else None, forward=forward)
        for other in self.under_way:
            other.settled, other.kind = True, OutcomeKind.SUPERSEDED
        fails = forward and to is not None and to.release.version == "bad"
        generation = f"g{len(self.changes) + 1}"
        self.changes[generation] = Change(
            deployment=deployment,
            forward=forward,
            to=to,
            settles=self.world.loop.time() + self.world.random.uniform(0.3, 5.0),
            kind=OutcomeKind.FAILED if fails else OutcomeKind.SUCCEEDED,
        )
        self.handles[operation] = Handle(operation=operation, generation=generation)
        what = to.release.version if to else "nothing"
        self.world.tell(f"  {self.name} begins to change to {what} ({operation})")
        return self.handles[operation]

    def change_outside(self, to: Release) -> None:
        """Somebody changes it past the bot."""
        self.settle()
        for other in self.under_way:
            other.settled, other.kind = True, OutcomeKind.SUPERSEDED
        self.running = Running(release=to, healthy=2, instances=2)
        self.touched = self.world.loop.time()


@dataclass
class Line:
    """A target as one process sees it: `bot.ports.target.Target` over a line that may be slow, or cut."""

    place: Place
    life: Life

    async def current(self) -> Running | None:
        """What runs now."""
        return await self._read("current", lambda: self.place.running)

    async def plan(self, *, release: Release) -> Plan:
        """What would change."""

        def plan() -> Plan:
            now = self.place.running
            same = now is not None and now.release.same_as(release)
            runs = now.release.version if now else "nothing"
            return Plan(current=now, changes=() if same else (f"{runs} -> {release.version}",), no_change=same)

        return await self._read("plan", plan)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The change that was begun under that id."""
        return await self._read("find", lambda: self.place.handles.get(operation))

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin a change."""
        to = Running(release=release, healthy=2, instances=2, operation=operation)
        return await self._send(operation, lambda: self.place.change(to, operation, forward=True))

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Begin to bring back what ran before."""
        return await self._send(operation, lambda: self.place.change(to, operation, forward=False))

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how it goes."""
        while True:
            await self._read("observe", lambda: None)
            self.place.settle()
            change = self.place.changes[handle.generation]
            if change.settled:
                yield Outcome(kind=change.kind, message="" if change.kind is OutcomeKind.SUCCEEDED else "It fell over.")
                return
            yield Progress(done=1, total=2)
            await asyncio.sleep(0.7)

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One look."""

        def look() -> Health:
            now = self.place.running
            ok = now is not None and now.release.same_as(release) and now.release.version != "sick"
            return Health(healthy=2 if ok else 0, instances=2, message="" if ok else "It does not answer.")

        return await self._read("health", look)

    async def _read(self, what: str, look: Callable[[], T]) -> T:
        world, weather = self.place.world, self.place.world.weather
        await self.life.point(f"before target.{what}")
        if weather.dark or world.chance(weather.failing):
            raise ProviderUnavailable("The platform does not answer.", provider="fake")
        self.place.settle()
        found = look()
        await self.life.point(f"after target.{what}")
        return found

    async def _send(self, operation: OperationId, change: Callable[[], Handle]) -> Handle:
        world = self.place.world
        await self.life.point("before target.change")
        world.watch.sent(operation)
        # A task of nobody: what was sent arrives, whoever dies or loses patience meanwhile.
        answer = asyncio.ensure_future(self._arrive(change))
        world.flying.add(answer)
        answer.add_done_callback(world.flying.discard)
        answer.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        handle: Handle = await asyncio.shield(answer)
        await self.life.point("after target.change")
        return handle

    async def _arrive(self, change: Callable[[], Handle]) -> Handle:
        world, weather = self.place.world, self.place.world.weather
        await asyncio.sleep(world.random.uniform(3, 28) if world.chance(weather.slow) else world.random.uniform(0, 0.3))
        if world.chance(weather.failing):
            raise ProviderUnavailable("The platform does not answer.", provider="fake")
        if world.chance(weather.refusing):
            raise ProviderRejected("The platform refuses it.", provider="fake")
        if world.chance(weather.silent / 2):
            raise OutcomeUnknown("The line broke.", provider="fake")
        handle = change()
        if world.chance(weather.lost):
            raise ProviderTimeout("The platform did not answer in time.", provider="fake")
        if world.chance(weather.silent):
            raise OutcomeUnknown("The line broke.", provider="fake")
        await asyncio.sleep(world.random.uniform(0, 0.2))
        return handle


@dataclass
class Images:
    """The versions of one service."""

    outside: Outside
    service: ServiceName
    life: Life

    async def resolve(self, *, version: str) -> Release:
        """Pin a version."""
        await self.life.point("images.resolve")
        if version not in VERSIONS:
            raise RevisionNotFound(f"There is no {version}.")
        return release(self.service, version, self.outside.builds.get((self.service, version), 1))

    async def has(self, *, release: Release) -> bool:
        """Whether it is there."""
        await self.life.point("images.has")
        if self.outside.world.weather.dark:
            raise ProviderUnavailable("The registry does not answer.", provider="fake")
        return release.artifact.digest not in self.outside.lost

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        """Those there are."""
        return [version for version in VERSIONS if version.startswith(prefix)][:limit]


@dataclass
class ReplicaProviders:
    """Providers of one process."""

    outside: Outside
    life: Life

    def target(self, _catalog: Catalog, service: ServiceName, environment: EnvironmentName) -> Line:
        """Where it runs."""
        return Line(self.outside.places[service, environment], self.life)

    def images(self, _catalog: Catalog, service: ServiceName) -> Images:
        """Where its versions come from."""
        return Images(self.outside, service, self.life)


@dataclass
class Outside:
    """All of it."""

    world: World
    catalogs: Catalogs
    people: People
    places: dict[tuple[ServiceName, EnvironmentName], Place] = field(default_factory=dict)
    builds: dict[tuple[str, str], int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for service in SERVICES:
            for environment in ENVIRONMENTS:
                running = Running(release=release(service, "v0"), healthy=2, instances=2)
                self.places[service, environment] = Place(self.world, service, environment, running)

    def providers(self, life: Life) -> ReplicaProviders:
        """As that process sees them."""
        return ReplicaProviders(self, life)

    def configure(self, **changes: object) -> None:
        """Put the next revision of the configuration in force."""
        number = len(self.catalogs.past) + 2
        self.catalogs.reload(replace(catalog(**changes), revision=f"r{number}"))  # type: ignore[arg-type]  # by name
