"""A canary told as a story: the real engine over the real store under a clock that jumps, and a made-up outside.

Made up are a target with powers, a metric source that says what a test lets it say, and the durable runtime of
`simulation`. A process can die wherever it waits for something, and another begin where it was.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from unit.engine.simulation.clockwork import VirtualLoop, sqlite_in_this_thread
from unit.engine.simulation.hands import Hands
from unit.engine.simulation.outside import Catalogs, People, actor, release
from unit.engine.simulation.replica import Replica
from unit.engine.simulation.runtime import instead_of_dbos
from unit.engine.simulation.world import World, _counted_ids, copy_of, empty

from bot.domain.analysis.check import Check, Kind
from bot.domain.catalog import Catalog, Environment, HealthCheck, ProviderRef, Service
from bot.domain.errors import ProviderUnavailable
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.metric import Reading
from bot.domain.policy.access import Action, Rule
from bot.domain.policy.freeze import WhileRunning
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Progress, Running, TakenBack
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Rolling, Step
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    import pytest
    from unit.engine.simulation.outside import Outside
    from unit.engine.simulation.replica import Life
    from unit.engine.simulation.watch import Watch

    from bot.domain.deployment import Deployment
    from bot.domain.ids import OperationId
    from bot.domain.metric import Point, Subject
    from bot.domain.policy.approval import ApprovalRule
    from bot.domain.release import Release
    from bot.domain.strategy.kinds import Strategy

CHECKOUT, PRODUCTION = ServiceName("checkout"), EnvironmentName("production")
INTERVAL = 2.0
ERRORS = Check(
    name="errors",
    source="proxy",
    query="error_share",
    kind=Kind.SHARE,
    limit=0.02,
    interval=INTERVAL,
    window=INTERVAL,
)
STEPS = (Step(weight=20, bake=10), Step(weight=50, bake=10, approval=True))
VERSIONS = ("v1", "v2", "v3")
_WORK = frozenset({Action.DEPLOY, Action.ROLLBACK, Action.ABORT, Action.PROMOTE, Action.LOCK, Action.UNLOCK})


def configured(
    *,
    steps: tuple[Step, ...] = STEPS,
    strategy: Strategy | None = None,
    timeout: float = 60.0,
    on_timeout: OnTimeout = OnTimeout.ABORT,
    checks: tuple[Check, ...] = (ERRORS,),
    bake: float = 0.0,
    countdown: float = 10.0,
    deadline: float = 60.0,
    approval: ApprovalRule | None = None,
    freeze_running: WhileRunning = WhileRunning.PAUSE,
) -> Catalog:
    """One service in one place, deployed as a canary unless somebody says otherwise."""
    fake = ProviderRef(kind="fake")
    health = HealthCheck(interval=0.5, timeout=2.0, passes=2, deadline=15.0)
    return Catalog(
        revision="r1",
        channel="#deploys",
        services={
            CHECKOUT: Service(
                name=CHECKOUT,
                targets={PRODUCTION: fake},
                images=fake,
                health=health,
                deadline=deadline,
                strategy="canary",
                checks=checks,
                bake=bake,
                countdown=countdown,
            )
        },
        environments={PRODUCTION: Environment(name=PRODUCTION, approval=approval, freeze_running=freeze_running)},
        rules=(
            Rule(role="developer", groups=frozenset({"devs"}), actions=_WORK),
            Rule(role="manager", groups=frozenset({"managers"}), actions=frozenset({Action.APPROVE})),
            Rule(role="operator", groups=frozenset({"ops"}), actions=frozenset({Action.RESOLVE, Action.CONFIGURE})),
        ),
        strategies={
            "rolling": Rolling(),
            "canary": strategy or Canary(steps=steps, timeout=timeout, on_timeout=on_timeout),
            "blue-green": BlueGreen(keep=10, verify=5),
        },
        metrics={"proxy": fake},
    )


@dataclass(frozen=True)
class Made:
    """A change that the target has made."""

    at: datetime
    what: str
    operation: OperationId


@dataclass
class Site:
    """Where one service runs: a stable release, and perhaps a canary beside it."""

    world: Canaries
    stable: Release | None
    canary: Release | None = None
    percent: int = 0
    settles: float = 0.4
    """Seconds that a change takes."""
    ends: dict[str, OutcomeKind] = field(default_factory=dict)
    """How changes end, by what they are; the others succeed."""
    refuses: dict[str, Exception] = field(default_factory=dict)
    """What is raised instead of making a change, by what it is."""
    forgets: dict[str, Exception] = field(default_factory=dict)
    """What is raised after it was made, once."""
    judged: TakenBack | None = None
    """What the platform's own checks have come to, or somebody there."""
    sick: bool = False
    looks: list[Health] = field(default_factory=list)
    """What the next looks at its health come to."""
    made: list[Made] = field(default_factory=list)
    handles: dict[OperationId, Handle] = field(default_factory=dict)
    outcomes: dict[str, tuple[float, OutcomeKind]] = field(default_factory=dict)
    stopped_stable: bool = False
    """Whether a canary that was taken back ever took the stable release with it."""

    @property
    def running(self) -> Running | None:
        """The stable release."""
        return None if self.stable is None else Running(release=self.stable, healthy=2, instances=2)

    @property
    def busy(self) -> bool:
        """Whether a change is under way."""
        return any(self.world.loop.time() < until for until, _ in self.outcomes.values())

    def whats(self) -> list[str]:
        """What was made, in order."""
        return [one.what for one in self.made]

    def weight_of(self, wanted: Release) -> int | None:
        """What part of the traffic goes there."""
        if self.busy:
            return None
        if self.canary is not None and self.canary.same_as(wanted):
            return self.percent
        return 100 if self.stable is not None and self.stable.same_as(wanted) else 0

    def change(self, what: str, operation: OperationId, effect: Callable[[], None]) -> Handle:
        """Make a change once for each operation."""
        if operation in self.handles:
            return self.handles[operation]
        if what in self.refuses:
            raise self.refuses[what]
        self.made.append(Made(self.world.now(), what, operation))
        self.world.tell(f"  the target: {what} ({operation})")
        kind = self.ends.get(what, OutcomeKind.SUCCEEDED)
        if kind is OutcomeKind.SUCCEEDED:
            effect()
        generation = f"g{len(self.made)}"
        self.outcomes[generation] = (self.world.loop.time() + self.settles, kind)
        self.handles[operation] = Handle(operation=operation, generation=generation)
        if what in self.forgets:
            raise self.forgets.pop(what)
        return self.handles[operation]


@dataclass
class Line:
    """A target with powers, as one process sees it."""

    site: Site
    life: Life

    async def current(self) -> Running | None:
        await self.life.point("target.current")
        return self.site.running

    async def plan(self, *, release: Release) -> Plan:
        await self.life.point("target.plan")
        return Plan(current=self.site.running, changes=(f"to {release.version}",))

    async def find(self, *, operation: OperationId) -> Handle | None:
        await self.life.point("target.find")
        return self.site.handles.get(operation)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        return await self._change("apply", operation, lambda: self._stands(release))

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        return await self._change("restore", operation, lambda: self._stands(to.release if to else None))

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        def effect() -> None:
            self.site.canary, self.site.percent = release, percent

        return await self._change(f"{percent} %", operation, effect)

    async def weight(self, *, release: Release) -> int | None:
        await self.life.point("target.weight")
        return self.site.weight_of(release)

    async def taken_back(self, *, release: Release) -> TakenBack | None:
        await self.life.point("target.taken_back")
        return self.site.judged

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        return await self._change("promote", operation, lambda: self._stands(release))

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        def effect() -> None:
            self.site.stopped_stable |= to is None or self.site.stable != to.release
            self.site.canary, self.site.percent = None, 0

        return await self._change("take back", operation, effect)

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        until, kind = self.site.outcomes[handle.generation]
        while self.site.world.loop.time() < until:
            await self.life.point("target.observe")
            yield Progress(done=1, total=2)
            await asyncio.sleep(0.2)
        await self.life.point("target.observe")
        yield Outcome(kind=kind, message="" if kind is OutcomeKind.SUCCEEDED else "It fell over.")

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        await self.life.point("target.health")
        if self.site.looks:
            return self.site.looks.pop(0)
        well = self.site.stable is not None and self.site.stable.same_as(release) and not self.site.sick
        return Health(healthy=2 if well else 0, instances=2, message="" if well else "It does not answer.")

    def _stands(self, release: Release | None) -> None:
        self.site.stable, self.site.canary, self.site.percent = release, None, 0

    async def _change(self, what: str, operation: OperationId, effect: Callable[[], None]) -> Handle:
        await self.life.point("before target.change")
        handle = self.site.change(what, operation, effect)
        await self.life.point("after target.change")
        return handle


@dataclass
class Numbers:
    """A metric source: by version, the share of errors, None for no data, or what it raises. ``hangs`` never ends."""

    world: Canaries
    shares: dict[str, float | Exception | None] = field(default_factory=dict)
    hangs: bool = False
    asked: list[tuple[datetime, str]] = field(default_factory=list)
    """When, and which version."""

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        now = self.world.now()
        self.asked.append((now, subject.version))
        if self.hangs:
            await asyncio.Event().wait()
        share = self.shares.get(subject.version, 0.001)
        if isinstance(share, Exception):
            raise share
        why = "" if share is not None else "no request"
        return Reading(value=share, at=at or now, samples=1000.0 if share is not None else None, why=why)

    async def series(self, query: str, **_: Any) -> Sequence[Point]:
        return []


@dataclass
class Images:
    """Every version there is."""

    world: Canaries

    async def resolve(self, *, version: str) -> Release:
        if self.world.registry_down:
            raise ProviderUnavailable("The registry does not answer.", provider="fake")
        return release(CHECKOUT, version)

    async def has(self, *, release: Release) -> bool:
        return True

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        return VERSIONS


@dataclass
class Sites:
    """The outside, as `Replica` and `Hands` ask for it."""

    world: Canaries
    catalogs: Catalogs
    people: People
    places: dict[tuple[ServiceName, EnvironmentName], Site]

    def providers(self, life: Life) -> Any:
        """As that process sees them."""
        return Providers(self, life)


@dataclass
class Providers:
    """Of one process."""

    outside: Sites
    life: Life

    def target(self, _: Catalog, service: ServiceName, environment: EnvironmentName) -> Line:
        return Line(self.outside.places[service, environment], self.life)

    def images(self, _: Catalog, service: ServiceName) -> Images:
        return Images(self.outside.world)

    def metrics(self, _: Catalog, name: str) -> Numbers:
        return self.outside.world.numbers


class NobodyWatches:
    """Stands where `simulation` keeps its own invariants, which know nothing of canaries."""

    def remember(self) -> None:
        """Nothing."""

    def look(self) -> None:
        """Nothing."""

    def permit(self, deployment: str) -> None:
        """Nothing."""


@dataclass
class Canaries(World):
    """The world of one canary."""

    registry_down: bool = False
    numbers: Numbers = field(init=False)
    hands: Hands = field(init=False)
    rows: list[Deployment] = field(default_factory=list)
    """Every row that was written by somebody, in order."""

    @property
    def site(self) -> Site:
        """Where it runs."""
        return cast("Sites", self.outside).places[CHECKOUT, PRODUCTION]

    @property
    def engine(self) -> Any:
        """That of the replica that people talk to."""
        return self.hands.engine

    def heard(self, one: Deployment) -> None:
        super().heard(one)
        self.rows.append(one)

    async def deploy(self, version: str = "v2", **more: Any) -> Deployment:
        """Ask for a deployment with whatever strategy the catalog says."""
        return await self.hands.deploy(version, **{"strategy": "", **more})

    async def row(self, one: Deployment) -> Deployment:
        """The deployment as it is."""
        return await self.store.deployments.get(one.id)

    async def when(self, one: Deployment, what: Callable[[Deployment], object], *, within: float = 200.0) -> Deployment:
        """The deployment once that is true of it."""

        end = self.loop.time() + within
        while not what(row := await self.row(one)):
            self.check()
            if self.loop.time() >= end:
                self.fail(f"what was waited for did not come: {row}")
            await asyncio.sleep(0.1)
        return row

    async def ended(self, one: Deployment, *, within: float = 300.0) -> Deployment:
        """The deployment at its end."""
        return await self.when(one, lambda row: row.phase.final, within=within)

    async def asked(self, one: Deployment, weight: int = 50) -> Deployment:
        """The deployment once people are asked at that weight."""
        return await self.when(
            one,
            lambda row: (
                row.phase is Phase.PAUSED
                and row.progression
                and row.progression.question
                and row.progression.question.weight == weight
            ),
        )

    async def counting(self, one: Deployment) -> Deployment:
        """The deployment while a rollback is counted down."""
        return await self.when(one, lambda row: row.countdown is not None and not row.countdown.state.over)

    async def say(self, what: str, one: Deployment, *, by: str = "Ada", **more: Any) -> Deployment:
        """Let somebody say that word."""
        use = getattr(self.engine.progressing, what)
        return cast("Deployment", await self.hands.do(use(one.id, requester=self.hands.who(by), **more)))

    async def abort(self, one: Deployment, *, by: str = "Ada") -> Deployment:
        """Let somebody stop it."""
        who = self.hands.who(by)
        return await self.hands.do(self.hands.engine.requests.abort(one.id, requester=who, reason="no good"))

    async def events(self, one: Deployment) -> list[str]:
        """The acts of the audit, in order."""
        rows = [line async for piece in self.store.audit.export(format="csv") for line in piece.splitlines()]
        header = rows[0].split(",")
        act = header.index("act")
        return [row.split(",")[act] for row in rows[1:] if one.id in row]

    def phases(self, one: Deployment) -> list[Phase]:
        """What it went through."""
        return [moment.phase for moment in one.timeline]


def play(
    story: Callable[[Canaries], Awaitable[None]],
    folder: pytest.TempPathFactory,
    *,
    seed: int = 1,
    replicas: int = 1,
    runs: str | None = "v1",
    haste: float = 0.0,
    shared: bool = False,
    **about: Any,
) -> Canaries:
    """Let the story happen in a fresh world in which ``runs`` runs; ``about`` is the catalog's, as in `configured`."""
    template = folder.getbasetemp() / "canaries-empty.sqlite"
    if not template.exists():
        empty(template)
    path = copy_of(template, folder.mktemp("canary") / "world.sqlite")

    async def begin() -> Canaries:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with Store.open(f"sqlite:///{path}", replica="everybody") as store:
            chance = random.Random(seed)
            world = Canaries(loop=loop, path=path, store=store, random=chance, haste=haste, shared=shared)
            world.watch = cast("Watch", NobodyWatches())
            catalogs, people = Catalogs(world, configured(**about)), People(world)
            stable = release(CHECKOUT, runs) if runs else None
            sites = Sites(world, catalogs, people, {(CHECKOUT, PRODUCTION): Site(world, stable)})
            world.outside = cast("Outside", sites)
            world.numbers, world.hands = Numbers(world), Hands(world)
            world.replicas = {name: Replica(world, name) for name in ("a", "b")[:replicas]}
            try:
                for replica in world.replicas.values():
                    await replica.start()
                await story(world)
                world.check()
            except BaseException as error:
                error.add_note("What happened:\n" + "\n".join(world.story))
                raise
            finally:
                for replica in world.replicas.values():
                    await replica.tear_down()
            return world

    state = random.getstate()
    random.seed(seed)
    try:
        runner = asyncio.Runner(loop_factory=VirtualLoop)
        with sqlite_in_this_thread(), instead_of_dbos(), _counted_ids(), runner:
            return runner.run(begin())
    finally:
        random.setstate(state)


def story(
    **about: Any,
) -> Callable[[Callable[[Canaries], Awaitable[None]]], Callable[[pytest.TempPathFactory], None]]:
    """Make a test of what happens in one world; ``about`` is as in `play`."""

    def made(tell: Callable[[Canaries], Awaitable[None]]) -> Callable[[pytest.TempPathFactory], None]:
        def test(tmp_path_factory: pytest.TempPathFactory) -> None:
            play(tell, tmp_path_factory, **about)

        test.__name__, test.__doc__ = cast("Any", tell).__name__, tell.__doc__
        return test

    return made


def reload(world: Canaries, **changes: Any) -> None:
    """Put another revision of the configuration in force."""
    catalogs = world.outside.catalogs
    number = len(catalogs.past) + 2
    catalogs.reload(replace(catalogs.now, **{"revision": f"r{number}", **changes}))


__all__ = ["CHECKOUT", "ERRORS", "PRODUCTION", "Canaries", "Site", "actor", "configured", "play", "reload", "story"]
