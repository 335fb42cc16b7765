"""Stories made by chance, and how each is played to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from bot.domain.catalog import QueuePolicy
from bot.domain.deployment import Resolution
from bot.domain.lifecycle import Phase
from bot.domain.policy.freeze import WhileRunning
from unit.engine.simulation import acts
from unit.engine.simulation.outside import ENVIRONMENTS, PEOPLE, SERVICES, VERSIONS, Weather

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from unit.engine.simulation.world import World

_ROUNDS = 8


@dataclass(frozen=True)
class Story:
    """What happens, and in what kind of world."""

    steps: list[acts.Step] = field(default_factory=list)
    seed: int = 0
    haste: float = 0.3
    replicas: int = 2
    quorum: int = 1
    shared_lock: bool = False
    queue: QueuePolicy = QueuePolicy.ALL
    freeze_running: WhileRunning = WhileRunning.CONTINUE


_gaps = st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0, 3.0, 8.0])
_who = st.sampled_from(PEOPLE)
_common = {"gap": _gaps, "who": _who, "via": st.integers(0, 1), "times": st.sampled_from([1, 1, 1, 2])}
_services = st.sampled_from([SERVICES[0], SERVICES[0], SERVICES[1]]).map(str)
_environments = st.sampled_from([ENVIRONMENTS[1], ENVIRONMENTS[1], ENVIRONMENTS[0]]).map(str)
_versions = st.sampled_from([*VERSIONS, "v1", "v2"])
_scopes = st.sampled_from(acts.SCOPES)
_back = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
_lasts = st.sampled_from([None, None, None, 5.0, 120.0])
_order = {
    **_common,
    "who": st.sampled_from(["Ada", "Ada", "Ada", "Linus", "Hedy", "Grace", "Mallory"]),
    "service": _services,
    "environment": _environments,
    "version": _versions,
}
_approver = {**_common, "who": st.sampled_from(["Grace", "Hedy", "Grace", "Hedy", "Ada", "Linus"]), "back": _back}
_about = {**_common, "back": _back}
_deploys = st.builds(
    acts.Deploy,
    **_order,
    at=st.sampled_from([None, None, None, None, 2.0, 20.0, 600.0]),
    good_for=st.sampled_from([10.0, 600.0]),
    waits=st.booleans(),
    force=st.sampled_from([True, True, False]),
)
_plain = st.builds(acts.Deploy, **_order)
_approvals = st.builds(acts.Approve, **_approver, stale=st.sampled_from([False, False, False, False, True]))
_freezes = st.builds(
    acts.Freeze, **{**_common, "who": st.sampled_from(["Linus", "Grace", "Linus", "Ada"])}, scope=_scopes, lasts=_lasts
)
_deaths = st.builds(
    acts.Die,
    gap=_gaps,
    via=st.integers(0, 1),
    at=st.sampled_from(["", "", "journal", "permit", "target.change", "started", "update", "leases"]),
    after=st.integers(0, 12),
)
_restarts = st.builds(acts.Restart, gap=_gaps, via=st.integers(0, 1), gently=st.booleans())
_weather = st.builds(
    acts.Turn,
    gap=_gaps,
    weather=st.sampled_from(["fair", "slow", "failing", "lost", "silent", "refusing", "dark"]),
    share=st.sampled_from([0.2, 0.6, 1.0]),
)

_steps = st.one_of(
    _deploys,
    _plain,
    _deploys,
    _approvals,
    _approvals,
    _approvals,
    st.builds(acts.Reject, **_approver),
    st.builds(acts.Abort, **_about),
    st.builds(acts.Start, **_about),
    st.builds(acts.RunNext, **_about),
    st.builds(acts.RollBack, **_about),
    st.builds(acts.Resolve, **_about, how=st.sampled_from(Resolution)),
    st.builds(acts.Move, **_about, at=st.sampled_from([1.0, 30.0, 900.0])),
    st.builds(
        acts.Lock, **_common, scope=_scopes, hard=st.booleans(), warn=st.sampled_from([False, False, True]), lasts=_lasts
    ),
    st.builds(acts.Unlock, **_common, scope=_scopes),
    st.builds(acts.TakeOver, **_common),
    _freezes,
    _freezes,
    st.builds(acts.Unfreeze, **_common, scope=_scopes),
    st.builds(acts.AskOverride, **{**_order, "who": st.sampled_from(["Linus", "Grace"])}),
    st.builds(acts.Agree, **{**_common, "who": st.sampled_from(["Linus", "Grace"])}),
    st.builds(acts.Glass, **{**_order, "who": st.sampled_from(["Linus", "Grace"])}),
    st.builds(acts.Reload, gap=_gaps, quorum=st.sampled_from([1, 1, 2])),
    st.builds(
        acts.Outsider,
        gap=_gaps,
        service=_services,
        environment=_environments,
        version=_versions,
        loses=st.sampled_from([False, False, True]),
    ),
    st.builds(acts.Person, gap=_gaps, who=_who, how=st.sampled_from(["unknown", "unknown", "gone", "back"])),
    _weather,
    st.builds(acts.Jump, gap=_gaps, minutes=st.sampled_from([1.0, 16.0, 31.0, 61.0, 1500.0])),
    _deaths,
    _deaths,
    _restarts,
    _restarts,
)


def stories(*, steps: int) -> st.SearchStrategy[Story]:
    """Stories of at most so many steps, which begin with somebody who asks for something."""
    return st.builds(
        Story,
        steps=st.tuples(_plain, st.lists(_steps, min_size=3, max_size=steps)).map(lambda made: [made[0], *made[1]]),
        seed=st.integers(0, 2**16),
        haste=st.sampled_from([0.0, 0.3, 0.7]),
        replicas=st.sampled_from([1, 2, 2]),
        quorum=st.sampled_from([1, 1, 2]),
        shared_lock=st.booleans(),
        queue=st.sampled_from(QueuePolicy),
        freeze_running=st.sampled_from(WhileRunning),
    )


async def play(world: World, story: Story) -> None:
    """Play it, then let the world go quiet and look whether everything came to an end."""
    for number, step in enumerate(story.steps):
        await step.happen(world, number)
        await asyncio.sleep(step.gap)
        world.check()
    await go_quiet(world)


async def go_quiet(world: World) -> None:
    """Everything is mended, lifted and started; then everything must come to an end, and the audit be sound."""
    world.tell("— now the world goes quiet —")
    world.weather = Weather()
    people = world.outside.people
    people.unknown.clear()
    people.gone.clear()
    world.watch.remember()
    world.haste = 0.0
    for replica in world.replicas.values():
        await replica.start()
    await _lift_everything(world)
    for turn in range(_ROUNDS):
        await _calm(world)
        left = world.watch.active()
        if not [one for one in left if not _may_stay(one, left)]:
            break
        await world.jump(timedelta(hours=1 if turn == 0 else 25))
    else:
        one = next(one for one in left if not _may_stay(one, left))
        world.fail(f"#{one.number} never comes to an end: it is {one.phase.words}, {one.hold}, {one.note!r}")
    for _ in range(_ROUNDS):
        left = world.watch.active()
        for one in left:
            if one.phase is Phase.NEEDS_ATTENTION:
                await replica.act(
                    replica.engine.requests.resolve(one.id, Resolution.MARK_SUCCEEDED, requester=people.door("Root"))
                )
        if not left:
            break
        await _calm(world)
    else:
        world.fail(f"#{left[0].number} does not come to an end when a person decides: it is {left[0].phase.words}")
    await _sound(world)


def _may_stay(one: Deployment, left: list[Deployment]) -> bool:
    """Whether a person is asked about it, or about the one that has its place."""
    asked = {other.scope for other in left if other.phase is Phase.NEEDS_ATTENTION}
    return one.phase is Phase.NEEDS_ATTENTION or (one.phase is Phase.QUEUED and one.scope in asked)


async def _calm(world: World) -> None:
    """Wait until nothing has happened for a while."""
    seen: list[tuple[str, int]] = []
    for _ in range(20):
        await asyncio.sleep(8)
        world.check()
        now = [(one.id, one.version) for one in world.watch.active()]
        if now == seen:
            return
        seen = now


async def _lift_everything(world: World) -> None:
    while any(not replica.life.alive for replica in world.replicas.values()):
        await asyncio.sleep(0.1)
    for one in [*world.watch.locks, *world.watch.freezes]:
        one.lifted = True
    engine, root = next(iter(world.replicas.values())), world.outside.people.door("Root")
    for lock in await world.store.locks.current(at=world.now()):
        await engine.act(engine.engine.locking.unlock_one(lock.id, requester=root, reason="it is over"))
    for freeze in await world.store.freezes.current(at=world.now()):
        await engine.act(engine.engine.freezing.unfreeze_one(freeze.id, requester=root, reason="it is over"))


async def _sound(world: World) -> None:
    verdict = await world.store.audit.verify()
    if not verdict.ok:
        world.fail(f"the audit is broken: {verdict}")
    if left := await world.store.schedules.all():
        world.fail(f"times that nobody waits for: {left}")
    await world.jump(timedelta(minutes=2))
    if held := await world.store.leases.held("write:", at=world.now()):
        world.fail(f"permits that nobody gave back: {held}")
    for row in world.journal.rows.values():
        if row.status != "SUCCESS":
            world.fail(f"the workflow {row.id} is {row.status}")
    world.check()
