"""Wherever the bot dies in what it does to a Deployment or a Rollout, who goes on after it changes nothing twice.

What it does is done as the engine does it: a step that was over is not repeated, one that was not is, under the same
operation id, by a process that knows nothing. It dies before each call that it makes, which is after the call before
was carried out and before its answer was of any use; and answers are lost while it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest
from kube import argo_world, deployment_world
from kube.reach import StaticAccess

from bot.domain.errors import ProviderError
from bot.domain.ids import OperationId
from bot.domain.rollout import Outcome, OutcomeKind, Progress, Running
from integrations._shared.kube.api import Kube
from integrations._shared.kube.names import path_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from kube.server import KubeServer

    from bot.domain.release import Release
    from integrations._shared.kube.access import Access
    from integrations.argo_rollouts.target import ArgoRolloutsTarget
    from integrations.kubernetes.target import KubernetesTarget

    AnyTarget: TypeAlias = "KubernetesTarget | ArgoRolloutsTarget"
    World: TypeAlias = "deployment_world.World | argo_world.World"

pytestmark = pytest.mark.timeout(110)
NEW, OLD_IMAGE = argo_world.release("v1.1"), f"{argo_world.REPOSITORY}:v1.0"
OTHER, THEIRS = argo_world.release("v1.2"), "r/web:theirs"
DONE, GONE = OutcomeKind.SUCCEEDED, OutcomeKind.SUPERSEDED
PLURALS = {"Deployment": "deployments", "Rollout": "rollouts"}


@dataclass
class Life(StaticAccess):
    """What one process does: its way to the cluster counts its calls, and something happens before the one ``at``,
    or before the first after ``patches`` changes were made.
    """

    at: int = 0
    patches: int = 0
    happens: Callable[[Life], Awaitable[None]] | None = None
    calls: int = 0
    is_over: bool = False
    does: asyncio.Task[Any] | None = None

    async def access(self, *, fresh: bool = False) -> Access:
        self.calls += 1
        if self.happens is not None and (self.calls == self.at or (self.patches and self._made() >= self.patches)):
            happens, self.happens = self.happens, None
            await happens(self)
        if self.is_over:
            raise asyncio.CancelledError
        return await super().access(fresh=fresh)

    def _made(self) -> int:
        return sum(call.verb == "patch" and not call.dry_run for call in self.server.log)


async def dies(life: Life) -> None:
    """All at once: nothing that it began sends anything any more."""
    life.is_over = True
    assert life.does is not None
    life.does.cancel()


Step: TypeAlias = "Callable[[AnyTarget, dict[str, Any]], Awaitable[Any]]"


@dataclass(frozen=True)
class Tale:
    """Something that the engine has a target do, step by step; what a step returned is kept in the database."""

    name: str
    world: Callable[[], AbstractAsyncContextManager[World]]
    steps: Callable[[], dict[str, Step]]
    before: Callable[[], dict[str, Step]] = dict
    changes: int = 1
    """How many times each template is changed."""
    many: dict[str, Any] = field(default_factory=dict)
    """More options of the target."""
    is_paced: bool = True
    """Whether the steps of a Rollout are made one by one; not where they are left out, at whichever it is just then."""


def plans(release: Release) -> Step:
    return lambda target, _: target.plan(release=release)


async def looks(target: AnyTarget, _: dict[str, Any]) -> Running | None:
    return await target.current()


def applies(release: Release, operation: str) -> Step:
    return lambda target, _: target.apply(release=release, operation=OperationId(operation))


def weighs(percent: int, operation: str, release: Release = NEW) -> Step:
    return lambda target, _: cast("ArgoRolloutsTarget", target).set_weight(
        release=release, percent=percent, operation=OperationId(operation)
    )


def promotes(operation: str, release: Release = NEW) -> Step:
    return lambda target, _: cast("ArgoRolloutsTarget", target).promote(
        release=release, operation=OperationId(operation)
    )


def takes_back(operation: str) -> Step:
    return lambda target, kept: cast("ArgoRolloutsTarget", target).take_back(
        to=kept["looks"], operation=OperationId(operation)
    )


def restores(operation: str) -> Step:
    return lambda target, kept: target.restore(to=kept["looks"], operation=OperationId(operation))


def watches(step: str) -> Step:
    async def watch(target: AnyTarget, kept: dict[str, Any]) -> Outcome:
        told = cast("AsyncGenerator[Progress | Outcome, None]", target.observe(handle=kept[step]))
        async with contextlib.aclosing(told) as seen:
            async for each in seen:
                if isinstance(each, Outcome):
                    return each
        raise AssertionError("it ended without an outcome")

    return watch


@contextlib.asynccontextmanager
async def two() -> AsyncIterator[World]:
    async with deployment_world.world() as here:
        here.add("worker", {"web": OLD_IMAGE})
        await here.settled("worker")
        yield here


def rolling() -> dict[str, Step]:
    return {"plans": plans(NEW), "looks": looks, "applies": applies(NEW, "op-1"), "watches": watches("applies")}


def canary() -> dict[str, Step]:
    return {
        "plans": plans(NEW),
        "looks": looks,
        "25": weighs(25, "op-1"),
        "watches 25": watches("25"),
        "50": weighs(50, "op-2"),
        "watches 50": watches("50"),
        "promotes": promotes("op-3"),
        "watches": watches("promotes"),
    }


def first_steps(number: int) -> Callable[[], dict[str, Step]]:
    return lambda: dict(list(canary().items())[:number])


def back(word: Callable[[str], Step]) -> Callable[[], dict[str, Step]]:
    return lambda: {"back": word("back"), "watches back": watches("back")}


BOTH = [{"name": "checkout", "container": "web"}, {"name": "worker"}]
TALES = [
    Tale("rolling", deployment_world.world, rolling),
    Tale("rolling two", two, rolling, many={"workload": None, "container": None, "workloads": BOTH}),
    Tale("rolling restore", deployment_world.world, back(restores), rolling, changes=2),
    Tale("argo canary", argo_world.world, canary),
    Tale("argo take back", argo_world.world, back(takes_back), first_steps(4), changes=2),
    Tale("argo restore", argo_world.world, back(restores), canary, changes=2, is_paced=False),
    Tale("argo apply", argo_world.world, rolling, is_paced=False),
]  # fmt: skip


@dataclass
class Bot:
    """Processes, one after the other, that do the same thing."""

    here: World
    tale: Tale
    kept: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    lives: int = 0

    async def lives_on(
        self, steps: dict[str, Step], *, at: int = 0, patches: int = 0, happens: Callable[..., Any] | None = None
    ) -> None:
        """Do all ``steps``; a process that dies is followed by one that never does."""
        while any(name not in self.kept for name in steps):
            life = Life(self.here.server, self.here.server.token)
            kube = Kube(life)
            await kube.get(path_to("apps/v1", "deployments", namespace="shop", name="none"))  # it is connected
            life.calls, life.at, life.patches, life.happens = 0, at, patches, happens
            self.lives += 1
            try:
                life.does = asyncio.create_task(self._does(steps, kube))
                await asyncio.wait({life.does})
                self.calls += life.calls
                if not life.is_over:
                    await life.does
            finally:
                await kube.close()
            at = patches = 0

    async def _does(self, steps: dict[str, Step], kube: Kube) -> None:
        target = self.target(kube)
        for name, step in steps.items():
            while name not in self.kept:
                try:
                    self.kept[name] = await step(target, self.kept)
                except ProviderError as error:
                    if not error.retryable:
                        raise

    def target(self, kube: Kube) -> AnyTarget:
        before, self.here.kube = self.here.kube, kube
        try:
            return self.here.target(**self.tale.many)
        finally:
            self.here.kube = before


def changes(server: KubeServer, kind: str) -> dict[str, list[str]]:
    """The images that each object of a kind had in turn."""
    found: dict[str, list[str]] = {}
    for change in server.store.changes:
        if change.resource.plural == kind:
            image = str(change.object["spec"]["template"]["spec"]["containers"][0]["image"])
            images = found.setdefault(change.place[1], [])
            if not images or images[-1] != image:
                images.append(image)
    return found


def pauses(server: KubeServer) -> list[int]:
    """The steps at which a Rollout paused, in order."""
    found: list[int] = []
    for change in server.store.changes:
        status, before = change.object.get("status") or {}, (change.before or {}).get("status") or {}
        if change.resource.plural == "rollouts" and status.get("pauseConditions") and not before.get("pauseConditions"):
            found.append(int(status.get("currentStepIndex", 0)))
    return found


def generations(server: KubeServer) -> dict[str, int]:
    return {
        each["metadata"]["name"]: int(each["metadata"]["generation"])
        for kind in ("deployments", "rollouts")
        for each in server.all(kind, "shop")
    }


async def told(
    tale: Tale, *, at: int = 0, patch: int = 0, happens: Callable[..., Any] | None = None
) -> tuple[Any, int, int]:
    """All that can be told of a tale afterwards, how many calls it took, and how many of them changed something."""
    async with tale.world() as here, asyncio.timeout(60):
        bot = Bot(here, tale)
        await bot.lives_on(tale.before())
        bot.calls = bot.lives = 0
        before = len(here.server.log)
        made = sum(call.verb == "patch" and not call.dry_run for call in here.server.log)
        await bot.lives_on(tale.steps(), at=at, patches=made + patch if patch else 0, happens=happens)
        assert bot.lives == (2 if patch else bot.lives), "it did not die"
        calls = bot.calls
        ends = {name: each.kind for name, each in bot.kept.items() if isinstance(each, Outcome)}
        kind = kind_of(here)
        images = changes(here.server, kind)
        assert all(len(each) == 1 + tale.changes for each in images.values()), images
        assert all(each == 1 + tale.changes for each in generations(here.server).values()), generations(here.server)
        what = (ends, images, pauses(here.server) if tale.is_paced else [], getattr(here, "traffic", None))
        patches = [call for call in here.server.log[before:] if call.verb == "patch" and not call.dry_run]
        await _late(here, patches, kind)
        return what, calls, len(patches)


async def _late(here: World, patches: list[Any], kind: str) -> None:
    """What was sent by who is dead may arrive when all is over: then it does not hold any more."""
    before = changes(here.server, kind), pauses(here.server), generations(here.server)
    for call in patches:
        path = "json" if "json-patch+json" in call.content_type else "merge"
        with contextlib.suppress(ProviderError):
            await here.kube.patch(call.path, call.body, kind=cast("Any", path))
    after = changes(here.server, kind), pauses(here.server), generations(here.server)
    assert after == before, "it was changed by what came late"


async def without_a_crash(tale: Tale) -> tuple[Any, int, int]:
    found = await told(tale)
    assert set(found[0][0].values()) == {DONE}
    return found


def of(name: str) -> Tale:
    return next(tale for tale in TALES if tale.name == name)


@pytest.mark.parametrize(
    ("name", "patch"),
    [("rolling", 1), ("rolling two", 1), ("rolling restore", 1), ("argo canary", 2), ("argo take back", 1),
     ("argo take back", 2), ("argo restore", 1)],
)  # fmt: skip
async def test_who_dies_as_soon_as_it_has_changed_something_makes_it_once(name: str, patch: int) -> None:
    (ends, *_), _, _ = await told(of(name), patch=patch, happens=dies)
    assert set(ends.values()) == {DONE}


@pytest.mark.long
@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.name)
async def test_who_dies_before_any_call_has_changed_no_more_than_who_lives(tale: Tale) -> None:
    wanted, calls, patches = await without_a_crash(tale)
    assert patches
    for at in range(1, calls + 1):
        assert (await told(tale, at=at, happens=dies))[0] == wanted, f"it died before call {at} of {calls}"


@pytest.mark.long
@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.name)
async def test_whatever_answer_is_lost_the_change_is_made_once(tale: Tale) -> None:
    wanted, calls, _ = await without_a_crash(tale)

    async def lost(life: Life) -> None:
        life.server.faults.lose_answer(verb="*", times=2)

    for at in range(1, calls + 1, 2):  # that of the call after it is lost too
        assert (await told(tale, at=at, happens=lost))[0] == wanted, f"the answers from call {at} of {calls} were lost"


@dataclass
class Act:
    """What somebody else does before call ``at`` of the bot."""

    here: World
    does: Callable[[], Awaitable[None]]
    at: int
    was_done: bool | None = None
    """Whether the bot's release had arrived by then: who says so afterwards tells the truth. None: it never came."""

    async def happens(self, _: Life) -> None:
        one = self.here.get()
        status, wanted = one.get("status") or {}, one["spec"]["replicas"]
        arrived = str(status.get("observedGeneration")) == str(one["metadata"]["generation"])
        arrived = arrived and status.get("updatedReplicas") == wanted
        arrived = arrived and ("stableRS" in status or status.get("availableReplicas") == wanted)
        arrived = arrived and status.get("stableRS") == status.get("currentPodHash")
        self.was_done = arrived and self.here.image() == NEW.artifact.location
        await self.does()


async def goes_on(bot: Bot, steps: dict[str, Step], act: Act | None = None) -> Outcome:
    """As the engine does: who was superseded, or failed, does nothing more here."""
    last = Outcome(kind=DONE, message="")
    for name, step in steps.items():
        at = max(act.at - bot.calls, 0) if act is not None else 0
        await bot.lives_on({name: step}, at=at, happens=act.happens if act is not None else None)
        if isinstance(bot.kept[name], Outcome):
            last = cast("Outcome", bot.kept[name])
            if last.kind is not DONE:
                return last
    return last


async def meets_a_person(tale: Tale, at: int) -> int:
    """Somebody sets another image before call ``at`` of the bot. How many calls it makes."""
    async with tale.world() as here, asyncio.timeout(60):
        bot = Bot(here, tale)

        async def sets() -> None:
            here.set_image(THEIRS)

        act = Act(here, sets, at)
        outcome = await goes_on(bot, tale.steps(), act)
        images = changes(here.server, kind_of(here))["checkout"]
        assert images.count(NEW.artifact.location) <= 1, f"at call {at}: a fight {images}"
        if act.was_done or act.was_done is None:
            assert outcome.kind in (DONE, GONE), f"at call {at}: {outcome}"
        elif outcome.kind is DONE:
            assert here.image() == NEW.artifact.location, f"at call {at}: it said {outcome}"
        else:
            assert outcome.kind is GONE, f"at call {at}: {outcome}"
            assert "kubectl-set" in outcome.message, f"at call {at}: {outcome}"
            assert here.image() == THEIRS, f"at call {at}: somebody's change was overwritten"
        return bot.calls


async def meets_a_bot(tale: Tale, other: dict[str, Step], at: int) -> int:
    """Another bot begins with another release before call ``at`` of the one. How many calls it makes."""
    async with tale.world() as here, asyncio.timeout(60):
        one, two = Bot(here, tale), Bot(here, tale)
        first = next(iter(other))

        async def begins() -> None:
            await two.lives_on({first: other[first]})

        act = Act(here, begins, at)
        outcome = await goes_on(one, tale.steps(), act)
        end = await goes_on(two, other)
        kinds = {NEW.artifact.location: outcome.kind, OTHER.artifact.location: end.kind}
        images = changes(here.server, kind_of(here))["checkout"]
        assert len(images) <= 3, f"at call {at}: a fight {images}"
        assert kinds[here.image()] is DONE, f"at call {at}: {here.image()} runs, and {outcome}, {end}"
        if act.was_done is False and not was_stable(here):
            assert set(kinds.values()) == {DONE, GONE}, f"at call {at}: {outcome}, {end}"
            gone = outcome if outcome.kind is GONE else end
            assert ("their-1" if gone is outcome else "op-") in gone.message, f"at call {at}: {gone}"
        return one.calls


def was_stable(here: World) -> bool:
    """Whether a Rollout had ours as its stable release before the other's was brought."""
    for change in here.server.store.changes:
        if change.resource.plural == "rollouts":
            status, spec = change.object.get("status") or {}, change.object["spec"]["template"]["spec"]
            ours = spec["containers"][0]["image"] == NEW.artifact.location and status.get("phase") == "Healthy"
            if ours and status.get("observedGeneration") == str(change.object["metadata"]["generation"]):
                return True
    return False


def kind_of(here: World) -> str:
    return "rollouts" if isinstance(here, argo_world.World) else "deployments"


@pytest.mark.long
@pytest.mark.parametrize("name", ["rolling", "argo canary"])
async def test_whenever_somebody_sets_an_image_it_stays_or_was_before_ours(name: str) -> None:
    tale = of(name)
    calls, at = 1, 0
    while at < calls:
        at += 1
        calls = min(await meets_a_person(tale, at), 60)


@pytest.mark.long
@pytest.mark.parametrize("name", ["rolling", "argo canary"])
async def test_of_two_bots_whenever_they_meet_one_succeeds_and_the_other_says_who_did(name: str) -> None:
    tale = of(name)
    other: dict[str, Step] = {"other": applies(OTHER, "their-1"), "watches other": watches("other")}
    calls, at = 1, 0
    while at < calls:
        at += 1
        calls = min(await meets_a_bot(tale, other, at), 60)


@pytest.mark.parametrize("name", ["argo take back", "argo restore"])
async def test_what_is_put_back_is_what_was_there_word_for_word(name: str) -> None:
    tale = of(name)
    async with tale.world() as here, asyncio.timeout(60):
        bot, template = Bot(here, tale), here.get()["spec"]["template"]
        await bot.lives_on(tale.before())
        await bot.lives_on(tale.steps())
        assert here.get()["spec"]["template"] == template
        assert len(here.server.all("replicasets", "shop")) == 2, "it was rolled out as if it were something new"
