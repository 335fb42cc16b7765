"""Stories made by chance, and how each is played to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from unit.engine.simulation import acts, happenings
from unit.engine.simulation.outside import ENVIRONMENTS, PEOPLE, SERVICES, VERSIONS, Weather

from bot.domain.catalog import QueuePolicy
from bot.domain.deployment import Resolution
from bot.domain.lifecycle import Phase
from bot.domain.policy.freeze import WhileRunning

if TYPE_CHECKING:
    from unit.engine.simulation.world import World

    from bot.domain.deployment import Deployment

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


_gaps = st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0, 3.0, 8.0, 28.0])
_breath = st.sampled_from([0.3, 1.0, 3.0])
_who = st.sampled_from(PEOPLE)
_any = {"gap": _gaps, "via": st.integers(0, 1), "times": st.sampled_from([1, 1, 1, 1, 2])}
_workers = {**_any, "who": st.sampled_from(["Ada", "Linus", "Hedy", "Grace", "Ada", "Linus", "Mallory"])}
_operators = {**_any, "who": st.sampled_from(["Linus", "Grace", "Linus", "Grace", "Linus", "Ada"])}
_approvers = {**_any, "who": st.sampled_from(["Grace", "Hedy", "Grace", "Hedy", "Grace", "Hedy", "Ada", "Linus"])}
_services = st.sampled_from([SERVICES[0], SERVICES[0], SERVICES[1]]).map(str)
_environments = st.sampled_from([ENVIRONMENTS[1], ENVIRONMENTS[1], ENVIRONMENTS[0]]).map(str)
_place = {
    "service": _services,
    "environment": _environments,
    "version": st.sampled_from([*VERSIONS, "v1", "v2", "v1", "v2", "v1"]),
}
_scopes = st.sampled_from(acts.SCOPES)
_which = {"back": st.sampled_from([0, 0, 0, 0, 1, 1, 2]), "blind": st.sampled_from([False, False, False, True])}
_lasts = st.sampled_from([None, None, None, 5.0, 120.0])
_plain = st.builds(acts.Deploy, **{**_workers, **_place, "gap": _breath})
_deploys = st.builds(
    acts.Deploy,
    **{**_workers, **_place, "gap": _breath},
    at=st.sampled_from([None, None, None, None, 2.0, 20.0, 600.0]),
    good_for=st.sampled_from([10.0, 600.0]),
    waits=st.booleans(),
    force=st.sampled_from([True, True, False]),
)
_approvals = st.builds(acts.Approve, **_approvers, **_which, stale=st.sampled_from([False] * 6 + [True]))
_yes = st.builds(acts.Approve, gap=_gaps, via=st.integers(0, 1), who=st.sampled_from(["Grace", "Hedy"]))
_freezes = st.builds(acts.Freeze, **_operators, scope=_scopes, lasts=_lasts)
_deaths = st.builds(
    happenings.Die,
    gap=_gaps,
    via=st.integers(0, 1),
    at=st.sampled_from(["", "journal", "journal", "permit", "target", "target.change", "started", "update", "before"]),
    after=st.integers(0, 12),
)
_cuts = st.builds(happenings.Cut, gap=_gaps, via=st.integers(0, 1), lasts=st.sampled_from([0.5, 5.0, 25.0]))
_restarts = st.builds(happenings.Restart, gap=_gaps, via=st.integers(0, 1), gently=st.booleans())
_weather = st.builds(
    happenings.Turn,
    gap=_gaps,
    weather=st.sampled_from(["fair", "slow", "failing", "lost", "silent", "refusing", "dark"]),
    share=st.sampled_from([0.2, 0.6, 1.0]),
)
_single = st.one_of(
    _deploys,
    _approvals,
    _freezes,
    st.builds(acts.Reject, **_approvers, **_which),
    st.builds(acts.Abort, **_workers, **_which),
    st.builds(acts.Start, **_workers, **_which),
    st.builds(acts.RunNext, **_workers, **_which),
    st.builds(acts.RollBack, **_workers, **_which),
    st.builds(acts.Resolve, **_workers, **_which, how=st.sampled_from(Resolution)),
    st.builds(acts.Move, **_workers, **_which, at=st.sampled_from([1.0, 30.0, 900.0])),
    st.builds(
        acts.Lock,
        **_workers,
        scope=_scopes,
        hard=st.booleans(),
        warn=st.sampled_from([False] * 3 + [True]),
        lasts=_lasts,
    ),
    st.builds(acts.Unlock, **_workers, scope=_scopes),
    st.builds(acts.TakeOver, **_workers),
    st.builds(acts.Unfreeze, **_operators, scope=_scopes),
    st.builds(acts.Glass, **_operators, **_place),
    st.builds(happenings.Reload, gap=_gaps, quorum=st.sampled_from([1, 1, 2])),
    st.builds(happenings.Outsider, gap=_gaps, **_place, loses=st.sampled_from([False, False, True])),
    st.builds(happenings.Person, gap=_gaps, who=_who, how=st.sampled_from(["unknown", "unknown", "gone", "back"])),
    _weather,
    st.builds(happenings.Jump, gap=_gaps, minutes=st.sampled_from([1.0, 16.0, 31.0, 61.0, 1500.0])),
    _deaths,
    _cuts,
    _restarts,
)
_meddling = st.one_of(
    _freezes,
    st.builds(acts.Freeze, who=st.just("Linus"), via=st.integers(0, 1), scope=_scopes),
    st.builds(acts.Lock, who=st.sampled_from(["Grace", "Linus"]), via=st.integers(0, 1), scope=_scopes),
    st.builds(acts.Lock, who=st.just("Hedy"), hard=st.booleans(), via=st.integers(0, 1), scope=_scopes),
    st.builds(acts.Abort, **_workers, **_which),
    st.builds(acts.Reject, **_approvers, **_which),
    st.builds(acts.Unfreeze, **_operators, scope=_scopes),
    st.builds(happenings.Reload, quorum=st.sampled_from([1, 2])),
    st.builds(happenings.Person, who=st.sampled_from(["Ada", "Grace"]), how=st.sampled_from(["unknown", "gone"])),
    _approvals,
)
_moments = st.sampled_from(
    [
        *("before permit", "after permit", "before target.change", "after target.change", "freezes.current"),
        *("locks.current", "ballots.of", "overrides.of_place", "deployments.update", "journal", "target.plan"),
    ]
)
_between = st.builds(
    happenings.InBetween,
    gap=_gaps,
    act=_meddling,
    at=_moments,
    after=st.integers(0, 3),
    waits=st.sampled_from([0.0, 0.05, 0.5, 6.0]),
)
_at_the_last_moment = st.builds(
    happenings.InBetween,
    act=_meddling,
    at=st.sampled_from(["before permit", "before permit", "after permit", "before target.change"]),
    waits=st.sampled_from([0.5, 6.0]),
)
_sure = st.builds(
    acts.Deploy,
    gap=st.just(1.0),
    via=st.integers(0, 1),
    service=_services,
    environment=_environments,
    version=st.sampled_from(["v1", "v2"]),
)
_override = st.builds(acts.AskOverride, **{**_operators, **_place, "gap": _breath})
_surely = st.tuples(_sure, _yes, _yes)
_scenes = st.one_of(
    st.just([]),  # the simplest: what a failing story does not need becomes nothing
    _single.map(lambda one: [one]),
    _surely.map(list),
    st.tuples(_deploys, _yes).map(list),
    st.tuples(_deploys, _yes, _yes).map(list),
    st.tuples(_at_the_last_moment, _sure, _yes, _yes).map(list),
    st.tuples(_sure, _at_the_last_moment, _yes, _yes).map(list),
    st.tuples(_sure, _sure, _at_the_last_moment, _yes, _yes, _yes).map(list),
    st.tuples(_sure, _between, _yes, _yes).map(list),
    st.tuples(_surely, _freezes).map(lambda found: [*found[0], found[1]]),
    st.tuples(_sure, _deaths, _yes, _restarts).map(list),
    st.tuples(_deaths, _surely, _restarts).map(lambda found: [found[0], *found[1], found[2]]),
    st.tuples(_weather, _deploys, _yes, _freezes).map(list),
    st.tuples(_freezes, _override, st.builds(acts.Agree, **_operators)).map(
        lambda found: [*found, acts.Deploy(**{**_facts(found[1]), "who": "Ada", "gap": 1.0})]
    ),
    st.tuples(_weather, _sure, _yes, _cuts, _freezes).map(list),
    # What was sent is long on its way: the line is stopped, and whoever sent it begins anew.
    st.tuples(_sure, _yes, _restarts, _restarts).map(
        lambda found: [
            happenings.Turn(weather="slow", share=1.0),
            found[0],
            replace(found[1], gap=3.0),
            acts.Freeze(who="Linus", via=1, gap=8.0),
            *found[2:],
        ]
    ),
    # Two of one artifact, and an exception for one of them.
    st.tuples(_sure, _yes).map(
        lambda found: [
            replace(found[0], at=20.0),
            found[1],
            acts.Freeze(who="Linus", gap=0.3),
            acts.AskOverride(**{**_facts(found[0]), "who": "Linus", "gap": 0.3}),
            acts.Agree(who="Grace", gap=0.3),
            found[0],
            replace(found[1], gap=28.0),
        ]
    ),
    # Somebody says yes to what they have asked for themselves.
    st.tuples(_sure, st.sampled_from(["Grace", "Hedy"])).map(
        lambda found: [replace(found[0], who=found[1]), acts.Approve(who=found[1], gap=1.0)]
    ),
    # Somebody locks what is about to be changed.
    st.tuples(st.sampled_from(acts.SCOPES), _sure, _yes).map(
        lambda found: [
            happenings.InBetween(act=acts.Lock(who="Linus", scope=found[0]), at="before permit"),
            found[1],
            replace(found[2], gap=3.0),
        ]
    ),
    st.tuples(_sure, _yes, st.sampled_from([1.0, 30.0])).map(
        lambda found: [replace(found[0], at=20.0), replace(found[1], gap=1.0), acts.Move(at=found[2], gap=8.0)]
    ),
    st.tuples(_weather, _sure, _yes, _cuts, st.builds(acts.Abort, **_workers, **_which)).map(list),
    # Then the line is free again for what comes.
    st.tuples(*(st.just(acts.Unfreeze(who="Grace", scope=scope)) for scope in acts.SCOPES)).map(list),
    st.tuples(*(st.just(acts.Unlock(who="Grace", scope=scope)) for scope in acts.SCOPES)).map(list),
    st.tuples(*(st.just(happenings.Person(who=who, how="back")) for who in PEOPLE)).map(
        lambda found: [*found, happenings.Turn(weather="fair")]
    ),
)


def _facts(of: acts.Deploy) -> dict[str, Any]:
    return {"service": of.service, "version": of.version, "environment": of.environment}


def stories(*, scenes: int) -> st.SearchStrategy[Story]:
    """Stories of so many scenes, of which some are empty."""
    return st.builds(
        Story,
        steps=st.tuples(*[_scenes] * scenes).map(lambda made: [step for scene in made for step in scene]),
        seed=st.integers(0, 2**16),
        haste=st.sampled_from([0.0, 0.3, 0.7]),
        replicas=st.sampled_from([1, 2, 2]),
        quorum=st.sampled_from([1, 1, 1, 2]),
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
        replica.life.cut_until = 0.0
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
        await world.jump(timedelta(hours=1))
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
