"""Stop the line: nothing begins once it is confirmed, what runs follows its policy, and what was held is told of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from controls_world import IN_PRODUCTION, THERE, Controls, open_controls
from engine_world import ADA, CHECKOUT, GRACE, HOUR, LINUS, MINUTE, NOON, PRODUCTION, STAGING, WEB, member

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.deployment import Request
from bot.domain.errors import (
    BadCommand,
    NotAuthorized,
    NothingToDo,
    RequestRefused,
    StoreError,
    UnknownEnvironment,
)
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.notice import NoticeKind
from bot.domain.policy.freeze import Freeze, WhileRunning
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.engine.permits import WRITING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.engine.freezing import Frozen

TTL = timedelta(seconds=30)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Controls]:
    async with open_controls(tmp_path) as opened:
        yield opened


async def freeze(world: Controls, who: Actor = GRACE, **changes: Any) -> Frozen:
    wish: dict[str, Any] = {"scope": IN_PRODUCTION, "reason": "incident 7", **changes}
    return await world.freezing.freeze(requester=member(who), **wish)


async def write(world: Controls, one: Deployment, *, ahead: timedelta = timedelta()) -> None:
    """Take a permit for it, as a replica does whose clock is that far ahead."""
    at = world.time + ahead
    assert await world.store.leases.hold(f"{WRITING}{one.id}", holder="other", at=at, ttl=TTL)


async def give_back(world: Controls, one: Deployment) -> None:
    await world.store.leases.release(f"{WRITING}{one.id}", holder="other")


# -- putting one ------------------------------------------------------------------------------------------------------


async def test_a_freeze_stands_and_everybody_is_told(world: Controls) -> None:
    done = await freeze(world, until=NOON + HOUR)
    assert await world.freezing.current("web", "production") == [done.freeze]
    assert await world.freezing.current(environment="staging") == []
    assert (done.writing, done.under_way, done.others) == ([], [], [])
    (told,) = await world.told()
    assert (told.kind, told.to, told.by) == (NoticeKind.FROZEN, "channel:#deploys", GRACE)
    assert told.sentence == "production is frozen by Grace: incident 7"
    assert told.facts["freeze"] == done.freeze.id
    assert await world.acts() == ["freeze.placed"]


async def test_it_needs_a_reason_a_place_that_there_is_and_an_end_to_come(world: Controls) -> None:
    with pytest.raises(BadCommand, match="needs a reason") as refusal:
        await freeze(world, reason=" ", scope=EVERYTHING)
    assert "/deploy freeze all" in str(refusal.value.hint)
    with pytest.raises(BadCommand, match="in the past"):
        await freeze(world, until=NOON)
    with pytest.raises(UnknownEnvironment):
        await freeze(world, scope=Scope(environment=EnvironmentName("prod")))
    assert await world.acts() == []


async def test_the_right_is_needed_in_every_place_of_it(world: Controls) -> None:
    with pytest.raises(NotAuthorized):
        await freeze(world, ADA)
    denied = replace(world.catalog.rules[0], environments=("staging",))
    world.set(rules=(denied,))
    await freeze(world, scope=Scope(environment=STAGING))
    with pytest.raises(NotAuthorized):
        await freeze(world, scope=EVERYTHING)


async def test_of_two_who_freeze_at_once_both_stand_and_the_later_one_sees_the_other(world: Controls) -> None:
    both = await asyncio.gather(freeze(world), freeze(world, LINUS, scope=EVERYTHING, reason="incident 8"))
    assert {one.freeze.by for one in both} == {GRACE, LINUS}
    third = await freeze(world, scope=THERE, reason="and this")
    assert {one.by for one in third.others} == {GRACE, LINUS}
    assert len(await world.freezing.current()) == 3
    assert len(await world.told(NoticeKind.FROZEN)) == 3


async def test_the_same_wish_again_is_one_freeze_and_finishes_what_the_first_left(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    running = await world.under_way()
    # A process that died right after it had written the freeze.
    placed = Freeze(id="f1", scope=IN_PRODUCTION, reason="incident 7", by=GRACE, at=world.time)
    await world.store.freezes.place(placed)
    done = await freeze(world)
    assert done.freeze == placed
    assert [one.id for one in done.aborting] == [running.id]
    assert [one.key for one in await world.told()] == ["frozen:f1"]
    assert [one.id for one in await world.freezing.current()] == ["f1"]


# -- what is on its way -----------------------------------------------------------------------------------------------


async def test_a_freeze_is_not_confirmed_before_a_change_on_its_way_has_ended(world: Controls) -> None:
    running = await world.under_way()
    await write(world, running)
    reply = asyncio.ensure_future(freeze(world))
    async with asyncio.timeout(10):
        while not await world.store.freezes.current(at=NOON):
            await asyncio.sleep(0.01)
    for _ in range(5):  # several looks at the permits
        await asyncio.sleep(0.02)
        assert not reply.done()
    await give_back(world, running)
    done = await asyncio.wait_for(reply, 10)
    assert done.writing == []
    assert [one.id for one in done.under_way] == [running.id]


async def test_a_change_that_does_not_end_is_named(world: Controls) -> None:
    world.freezing.patience = 0.1
    running = await world.under_way()
    await write(world, running)
    done = await freeze(world)
    assert [one.id for one in done.writing] == [running.id]


async def test_rollbacks_and_other_places_are_not_waited_for(world: Controls) -> None:
    taken = await world.deployed(environment=PRODUCTION)
    rollback = await world.under_way(rollback_of=taken.id)
    elsewhere = await world.under_way(environment=STAGING)
    await write(world, rollback)
    await write(world, elsewhere)
    done = await asyncio.wait_for(freeze(world), 3)
    assert (done.writing, done.under_way, done.aborting) == ([], [], [])


async def test_who_takes_a_permit_after_the_freeze_is_not_waited_for(world: Controls) -> None:
    first, later = await world.under_way(), await world.under_way(service=WEB)
    await write(world, first)
    reply = asyncio.ensure_future(freeze(world))
    async with asyncio.timeout(10):
        while not await world.store.freezes.current(at=NOON):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # it has looked
    await write(world, later)  # this one reads the freeze
    await give_back(world, first)
    assert (await asyncio.wait_for(reply, 3)).writing == []


@pytest.mark.parametrize("seconds", [-33, 33])
async def test_defect_a_permit_of_a_replica_with_another_clock_was_overlooked(world: Controls, seconds: int) -> None:
    world.freezing.patience = 0.1
    running = await world.under_way()
    await write(world, running, ahead=timedelta(seconds=seconds))
    done = await freeze(world)
    assert [one.id for one in done.writing] == [running.id]


async def test_a_permit_that_ended_long_ago_is_no_change_on_its_way(world: Controls) -> None:
    running = await world.under_way()
    await write(world, running, ahead=-HOUR)
    assert (await asyncio.wait_for(freeze(world), 3)).writing == []


async def test_a_database_that_fails_meanwhile_is_told_of_and_the_freeze_stands(
    world: Controls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(prefix: str, *, at: object) -> None:
        raise StoreError("The database does not answer.")

    monkeypatch.setattr(type(world.store.leases), "held", lambda self, prefix, *, at: fails(prefix, at=at))
    with pytest.raises(StoreError, match="The freeze of production may stand"):
        await freeze(world)
    assert len(await world.freezing.current()) == 1


# -- what is under way ------------------------------------------------------------------------------------------------


async def test_where_freezes_abort_each_forward_deployment_is_asked_once_naming_the_freeze(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    running = await world.under_way()
    rollback = await world.under_way(service=WEB, rollback_of=running.id)
    elsewhere = await world.under_way(environment=STAGING)
    done = await freeze(world)
    assert [one.id for one in done.aborting] == [running.id]
    await freeze(world, LINUS, reason="me too")
    found = await world.store.deployments.get(running.id)
    assert found.request is not None
    assert (found.request.actor, found.request.resolution) == (BOT, None)
    assert found.request.reason == "production is frozen by Grace: incident 7."
    events = await world.store.deployments.events(running.id)
    assert [one.kind for one in events].count("abort_requested") == 1
    for other in (rollback, elsewhere):
        assert (await world.store.deployments.get(other.id)).request is None


async def test_what_has_changed_nothing_yet_is_not_aborted(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    fresh = await world.deployed(Phase.QUEUED, Phase.DEPLOYING, environment=PRODUCTION)
    waits = await world.deployed(Phase.QUEUED, environment=PRODUCTION, service=WEB)
    done = await freeze(world)
    assert (done.aborting, [one.id for one in done.under_way]) == ([], [fresh.id])
    for one in (fresh, waits):
        assert (await world.store.deployments.get(one.id)).request is None


async def test_a_person_who_aborted_it_first_is_left_with_the_credit(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    running = await world.under_way()
    await world.ledger.ask(running.id, Request(actor=ADA, at=world.time))
    done = await freeze(world)
    assert [one.id for one in done.aborting] == [running.id]
    request = (await world.store.deployments.get(running.id)).request
    assert request is not None
    assert request.actor == ADA


async def test_what_passes_by_an_exception_is_not_aborted(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    running = await world.under_way()
    override = Override(
        id="g1",
        kind=OverrideKind.BREAK_GLASS,
        service=CHECKOUT,
        environment=PRODUCTION,
        digest=running.release.artifact.digest,
        by=ADA,
        reason="the site is down",
        at=NOON,
        until=NOON + HOUR,
    )
    deed = Deed(actor=ADA, at=NOON, reason="the site is down")
    await world.store.overrides.add(override, deed=deed)
    await world.store.overrides.use("g1", deployment=running.id, deed=deed)
    assert (await freeze(world)).aborting == []
    assert (await world.store.deployments.get(running.id)).request is None


@pytest.mark.parametrize("policy", [WhileRunning.PAUSE, WhileRunning.CONTINUE])
async def test_elsewhere_it_is_told_what_they_do(world: Controls, policy: WhileRunning) -> None:
    world.change(freeze_running=policy)
    running = await world.under_way()
    done = await freeze(world)
    assert [one.id for one in done.under_way] == [running.id]
    assert [one.id for one in done.pausing] == ([running.id] if policy is WhileRunning.PAUSE else [])
    assert done.aborting == []


# -- lifting ----------------------------------------------------------------------------------------------------------


async def test_lifting_tells_what_was_held_and_starts_nothing(world: Controls) -> None:
    await freeze(world)
    mine, other = await world.held(), await world.held(service=WEB, by=LINUS)
    await world.held(environment=STAGING)
    await world.held("lock")
    world.time += MINUTE
    done = await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(LINUS), reason="over")
    assert [one.id for one in done.held] == [mine.id, other.id]
    assert {(await world.store.deployments.get(one.id)).phase for one in done.held} == {Phase.HELD}
    (everybody,) = await world.told(NoticeKind.UNFROZEN)
    assert everybody.to == "channel:#deploys"
    assert everybody.facts["held"] == f"{mine.number} {other.number}"
    assert everybody.sentence == (
        f"Linus has lifted Grace's freeze of production (incident 7). It held #{mine.number} and #{other.number}; "
        "who asked for them may start again."
    )
    freed = await world.told(NoticeKind.FREED)
    assert {(one.to, one.deployment) for one in freed} == {(f"user:{ADA.id}", mine.id), (f"user:{LINUS.id}", other.id)}
    assert world.woken == ["production"]
    assert await world.freezing.current() == []


@pytest.mark.parametrize(
    ("phases", "says"),
    [
        ((), "It held nothing."),
        ((Phase.QUEUED,), "It held nothing."),
        ((Phase.QUEUED, Phase.DEPLOYING), "It held nothing that somebody must start; #1 goes on."),
        ((Phase.QUEUED, Phase.DEPLOYING, Phase.PAUSED), "It held nothing that somebody must start; #1 goes on."),
    ],
)
async def test_what_had_begun_is_not_said_to_have_been_let_alone(
    world: Controls, phases: tuple[Phase, ...], says: str
) -> None:
    """A rollout that stood still between two steps was held by the freeze too, and goes on by itself."""
    await freeze(world)
    if phases:
        await world.deployed(*phases, environment=PRODUCTION)
    await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    (told,) = await world.told(NoticeKind.UNFROZEN)
    assert told.sentence.endswith(says)


async def test_what_another_freeze_still_holds_is_not_freed(world: Controls) -> None:
    await freeze(world)
    await freeze(world, scope=THERE, reason="and this")
    await world.held()
    web = await world.held(service=WEB)
    done = await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    assert [one.id for one in done.held] == [web.id]


async def test_several_freezes_of_a_scope_are_lifted_together_and_each_requester_hears_once(world: Controls) -> None:
    await freeze(world)
    await freeze(world, LINUS, reason="me too")
    held = await world.held()
    done = await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    assert (len(done.freezes), [one.id for one in done.held]) == (2, [held.id])
    assert len(await world.told(NoticeKind.FREED)) == 1
    assert len(await world.told(NoticeKind.UNFROZEN)) == 2


async def test_who_lifts_it_a_second_time_is_told_who_was_first(world: Controls) -> None:
    done = await freeze(world)
    with pytest.raises(NotAuthorized):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(ADA))
    await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(LINUS))
    world.time += 2 * MINUTE
    said = r"Linus has lifted the freeze of production already, 2 min ago\."
    with pytest.raises(NothingToDo, match=said):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    with pytest.raises(NothingToDo, match=said):
        await world.freezing.unfreeze_one(done.freeze.id, requester=member(GRACE))
    with pytest.raises(NothingToDo, match="You have lifted"):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(LINUS))


async def test_of_two_who_lift_it_one_does_and_all_is_told_once(world: Controls) -> None:
    await freeze(world)
    await world.held()
    calls = (world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(who)) for who in (GRACE, LINUS))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in found) == 1
    assert sum(isinstance(one, NothingToDo) and "lifted" in one.message for one in found) == 1
    assert (await world.acts()).count("freeze.lifted") == 1
    assert (len(await world.told(NoticeKind.UNFROZEN)), len(await world.told(NoticeKind.FREED))) == (1, 1)


async def test_a_process_that_died_over_lifting_is_made_up_for_by_the_second_call(world: Controls) -> None:
    done = await freeze(world)
    held = await world.held()
    deed = Deed(actor=LINUS, at=world.time, reason="over")
    await world.store.freezes.lift(done.freeze.id, deed=deed)  # and no more
    assert await world.told(NoticeKind.UNFROZEN, NoticeKind.FREED) == []
    with pytest.raises(NothingToDo, match="Linus has lifted"):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    assert [one.deployment for one in await world.told(NoticeKind.FREED)] == [held.id]
    (told,) = await world.told(NoticeKind.UNFROZEN)
    assert told.by == LINUS


async def test_what_was_held_since_is_not_said_to_have_been_held_by_it(world: Controls) -> None:
    done = await freeze(world)
    await world.store.freezes.lift(done.freeze.id, deed=Deed(actor=LINUS, at=world.time))
    world.time += HOUR
    await world.held()
    with pytest.raises(NothingToDo):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    assert await world.told(NoticeKind.FREED) == []


async def test_nothing_to_lift_names_what_does_hold(world: Controls) -> None:
    with pytest.raises(NothingToDo, match="production is not frozen"):
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    with pytest.raises(NothingToDo, match="Nothing is frozen"):
        await world.freezing.unfreeze(scope=EVERYTHING, requester=member(GRACE))
    await freeze(world, scope=EVERYTHING)
    with pytest.raises(NothingToDo, match="no freeze of exactly production") as refusal:
        await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    assert refusal.value.hint == "`/deploy unfreeze all` lifts that one."
    with pytest.raises(NothingToDo, match="not there any more"):
        await world.freezing.unfreeze_one("f0", requester=member(GRACE))
    with pytest.raises(RequestRefused, match="no service"):
        await world.freezing.unfreeze(scope=Scope(service=ServiceName("nope")), requester=member(GRACE))


async def test_what_is_held_is_shown_anew(world: Controls) -> None:
    held = await world.held()
    await freeze(world)
    frozen = await world.store.deployments.get(held.id)
    await world.freezing.unfreeze(scope=IN_PRODUCTION, requester=member(GRACE))
    lifted = await world.store.deployments.get(held.id)
    assert held.view < frozen.view < lifted.view
