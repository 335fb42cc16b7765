"""Locks with manners: one of two wins, who is concerned is told, and what a crash cut off is made up for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from controls_world import IN_PRODUCTION, MALLORY, THERE, Controls, open_controls
from engine_world import ADA, CHECKOUT, GRACE, HOUR, LINUS, MINUTE, NOON, PRODUCTION, STAGING, member

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.errors import (
    BadCommand,
    NotAuthorized,
    NothingToDo,
    RequestRefused,
    SomebodyWasFaster,
    UnknownEnvironment,
    UnknownService,
)
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.notice import NoticeKind
from bot.domain.policy.lock import ChangeType, LockLevel, StickyLock, after_rollback
from bot.domain.policy.scope import EVERYTHING, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.actor import Actor


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Controls]:
    async with open_controls(tmp_path) as opened:
        yield opened


async def put(world: Controls, who: Actor = ADA, **changes: Any) -> StickyLock:
    wish: dict[str, Any] = {"scope": THERE, "reason": "the database moves", **changes}
    lock = await world.locking.lock(requester=member(who), **wish)
    world.time += timedelta(microseconds=1)  # so that the next one is after it
    return lock


async def outcomes(*calls: Any) -> tuple[list[Any], list[RequestRefused]]:
    """What these, all at once, returned and refused."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in found if isinstance(one, RequestRefused)]
    returned = [one for one in found if not isinstance(one, BaseException)]
    assert len(refused) + len(returned) == len(found), found
    return returned, refused


# -- putting one ------------------------------------------------------------------------------------------------------


async def test_a_lock_stands_with_whose_it_is_and_why(world: Controls) -> None:
    lock = await put(world, until=NOON + HOUR, hard=True, incident="INC-7", change_type=ChangeType.MIGRATION)
    assert await world.locking.current() == [lock]
    assert (lock.owner, lock.reason, lock.hard, lock.incident) == (ADA, "the database moves", True, "INC-7")
    assert await world.acts() == ["lock.placed"]


async def test_a_lock_can_pause_what_is_rolled_out_unless_it_only_warns(world: Controls) -> None:
    with pytest.raises(BadCommand, match="only warns pauses nothing"):
        await put(world, level=LockLevel.WARN, pause=True)
    lock = await put(world, pause=True)
    assert await put(world, pause=True) == lock
    with pytest.raises(SomebodyWasFaster, match="yourself already"):
        await put(world, pause=False)
    assert [one.pause for one in await world.locking.current()] == [True]


@pytest.mark.parametrize("reason", ["", "  \n"])
async def test_a_lock_needs_a_reason(world: Controls, reason: str) -> None:
    with pytest.raises(BadCommand, match="needs a reason") as refusal:
        await put(world, reason=reason)
    assert refusal.value.hint is not None
    assert "/deploy lock checkout production" in refusal.value.hint
    assert await world.locking.current() == []


async def test_a_lock_cannot_end_in_the_past(world: Controls) -> None:
    for until in (NOON, NOON - MINUTE):
        with pytest.raises(BadCommand, match="cannot end in the past"):
            await put(world, until=until)


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        (Scope(service=ServiceName("chekout")), UnknownService),
        (Scope(environment=EnvironmentName("prod")), UnknownEnvironment),
        (Scope(service=ServiceName("chekout"), environment=PRODUCTION), UnknownService),
    ],
)
async def test_what_there_is_not_cannot_be_locked(world: Controls, scope: Scope, error: type[Exception]) -> None:
    with pytest.raises(error):
        await put(world, scope=scope)
    assert await world.locking.current() == []


async def test_who_may_not_lock_every_place_of_it_locks_nothing(world: Controls) -> None:
    for scope in (EVERYTHING, IN_PRODUCTION, THERE):
        with pytest.raises(NotAuthorized):
            await put(world, MALLORY, scope=scope)
    assert await world.acts() == []


async def test_the_second_is_told_whose_lock_it_is_and_what_to_do(world: Controls) -> None:
    await put(world)
    with pytest.raises(SomebodyWasFaster, match="locked by Ada: the database moves") as refusal:
        await put(world, GRACE, reason="mine")
    assert refusal.value.hint is not None
    assert "take it over" in refusal.value.hint


async def test_the_same_wish_again_is_one_lock_and_another_one_is_refused(world: Controls) -> None:
    first = await put(world, until=NOON + HOUR)
    world.time += timedelta(seconds=5)
    assert await put(world, until=world.time + HOUR) == first
    with pytest.raises(SomebodyWasFaster, match="You have locked checkout@production yourself"):
        await put(world, reason="something else")
    assert await world.acts() == ["lock.placed"]


async def test_of_many_at_once_one_has_it(world: Controls) -> None:
    locks, refused = await outcomes(
        *(put(world, who, reason=f"{who.name}'s {n}") for n in range(3) for who in (ADA, GRACE, LINUS))
    )
    assert (len(locks), len(refused)) == (1, 8)
    assert await world.locking.current() == locks


async def test_what_is_held_is_shown_anew_on_every_replica(world: Controls) -> None:
    held, elsewhere = await world.held(), await world.held(environment=STAGING)
    told: list[str] = []
    world.ledger.listeners.append(lambda deployment: told.append(deployment.id))
    await put(world)
    assert told == [held.id]
    assert (await world.store.deployments.get(held.id)).view > held.view
    assert (await world.store.deployments.get(elsewhere.id)).view == elsewhere.view


async def test_what_matters_in_a_place(world: Controls) -> None:
    every = [
        await put(world, GRACE, scope=EVERYTHING),
        await put(world, scope=THERE),
        await put(world, scope=Scope(service=CHECKOUT)),
        await put(world, scope=Scope(environment=STAGING), level=LockLevel.WARN),
    ]
    assert await world.locking.current("checkout", "production") == every[:3]
    assert await world.locking.current(environment="staging") == [every[0], every[2], every[3]]
    assert await world.locking.current("web", "production") == every[:1]


# -- lifting ----------------------------------------------------------------------------------------------------------


async def test_one_lifts_ones_own_with_the_right_to_lock(world: Controls) -> None:
    lock = await put(world)
    assert await world.locking.unlock(scope=THERE, requester=member(ADA)) == [lock]
    assert await world.locking.current() == []
    assert world.woken == ["checkout@production"]
    assert await world.told() == []


async def test_anothers_takes_the_right_to_unlock_and_they_are_told(world: Controls) -> None:
    lock = await put(world, GRACE)
    with pytest.raises(NotAuthorized) as refusal:
        await world.locking.unlock_one(lock.id, requester=member(ADA))
    assert "Grace" in str(refusal.value.hint)
    assert await world.locking.current() == [lock]
    await world.locking.unlock_one(lock.id, requester=member(LINUS), reason="it is done")
    (told,) = await world.told()
    assert (told.kind, told.to, told.by) == (NoticeKind.LOCK_ENDED, f"user:{GRACE.id}", LINUS)
    assert told.sentence == ("Linus has lifted your lock of checkout@production (the database moves): it is done")


async def test_all_locks_of_a_scope_are_lifted_or_none(world: Controls) -> None:
    mine, other = await put(world), await put(world, GRACE, change_type=ChangeType.CONFIG)
    with pytest.raises(NotAuthorized):
        await world.locking.unlock(scope=THERE, requester=member(ADA))
    assert await world.locking.current() == [mine, other]
    assert await world.locking.unlock(scope=THERE, requester=member(GRACE)) == [mine, other]


async def test_who_is_too_late_is_told_who_was_first(world: Controls) -> None:
    lock = await put(world)
    await world.locking.unlock(scope=THERE, requester=member(ADA))
    world.time += 20 * timedelta(seconds=1)
    for again in (
        world.locking.unlock(scope=THERE, requester=member(GRACE)),
        world.locking.unlock_one(lock.id, requester=member(GRACE)),
    ):
        with pytest.raises(NothingToDo, match=r"Ada has lifted the lock of checkout@production already, 20 s ago\."):
            await again


async def test_nothing_to_unlock_names_what_does_hold(world: Controls) -> None:
    with pytest.raises(NothingToDo, match="checkout@production is not locked"):
        await world.locking.unlock(scope=THERE, requester=member(ADA))
    await put(world, GRACE, scope=EVERYTHING)
    with pytest.raises(NothingToDo, match="no lock of exactly checkout@production") as refusal:
        await world.locking.unlock(scope=THERE, requester=member(ADA))
    assert refusal.value.hint == "`/deploy unlock all` lifts that one."
    with pytest.raises(UnknownService):
        await world.locking.unlock(scope=Scope(service=ServiceName("nope")), requester=member(ADA))


async def test_of_two_who_unlock_one_does_and_the_other_is_told(world: Controls) -> None:
    await put(world)
    calls = (world.locking.unlock(scope=THERE, requester=member(who)) for who in (ADA, GRACE, LINUS))
    lifted, refused = await outcomes(*calls)
    assert (len(lifted), len(refused)) == (1, 2)
    assert all("lifted" in error.message for error in refused)
    assert await world.acts() == ["lock.placed", "lock.lifted"]


async def test_who_locks_while_another_unlocks_has_a_whole_lock_or_a_clear_no(world: Controls) -> None:
    for _ in range(10):
        await put(world)
        done, refused = await outcomes(
            world.locking.unlock(scope=THERE, requester=member(ADA)), put(world, GRACE, reason="mine")
        )
        left = await world.locking.current()
        assert [lock.owner for lock in left] == ([GRACE] if len(done) == 2 else [])
        assert len(done) + len(refused) == 2
        for lock in left:
            await world.locking.unlock_one(lock.id, requester=member(GRACE))


async def test_a_lock_on_what_is_gone_from_the_catalog_can_still_be_lifted(world: Controls) -> None:
    mine = await put(world)
    other = await put(world, GRACE, scope=Scope(service=CHECKOUT))
    world.set(services={name: one for name, one in world.catalog.services.items() if name != CHECKOUT})
    assert await world.locking.unlock_one(mine.id, requester=member(ADA)) == mine
    with pytest.raises(NotAuthorized):
        await world.locking.unlock_one(other.id, requester=member(ADA))
    assert await world.locking.unlock_one(other.id, requester=member(LINUS)) == other


async def test_the_lock_that_a_rollback_left_is_lifted_like_any(world: Controls) -> None:
    await world.store.locks.place(after_rollback(id="l9", scope=THERE, by=ADA, reason="bad", at=NOON))
    assert [lock.id for lock in await world.locking.unlock(scope=THERE, requester=member(ADA))] == ["l9"]


# -- keeping ----------------------------------------------------------------------------------------------------------


async def test_its_owner_keeps_it_two_hours_longer_and_nobody_else_can(world: Controls) -> None:
    lock = await put(world, until=NOON + HOUR)
    world.time = NOON + HOUR / 2
    with pytest.raises(NotAuthorized, match="only its owner can keep it"):
        await world.locking.keep(lock.id, requester=member(GRACE))
    kept = await world.locking.keep(lock.id, requester=member(ADA))
    assert (kept.until, kept.nags_at) == (NOON + 2.5 * HOUR, NOON + 2.5 * HOUR)
    world.time = NOON + 3 * HOUR
    with pytest.raises(NothingToDo):
        await world.locking.keep(lock.id, requester=member(ADA))


# -- taking over ------------------------------------------------------------------------------------------------------


async def test_who_loses_a_lock_is_told_who_took_it_and_why(world: Controls) -> None:
    lock = await put(world)
    taken = await world.locking.take_over(lock.id, requester=member(GRACE), reason="on call")
    assert (taken.id, taken.owner, taken.reason, taken.taken_from) == (lock.id, GRACE, "on call", ADA)
    assert await world.locking.current() == [taken]
    (told,) = await world.told()
    assert (told.kind, told.to, told.by) == (NoticeKind.LOCK_TAKEN, f"user:{ADA.id}", GRACE)
    assert told.sentence == "Grace has taken over your lock of checkout@production: on call"
    assert world.woken == ["checkout@production"]


async def test_taking_over_needs_the_right_and_a_reason(world: Controls) -> None:
    lock = await put(world)
    with pytest.raises(NotAuthorized):
        await world.locking.take_over(lock.id, requester=member(MALLORY), reason="mine")
    with pytest.raises(BadCommand, match="needs a reason"):
        await world.locking.take_over(lock.id, requester=member(GRACE), reason=" ")
    with pytest.raises(NothingToDo, match="yours already"):
        await world.locking.take_over(lock.id, requester=member(ADA), reason="mine")
    assert await world.locking.current() == [lock]
    assert await world.told() == []


async def test_of_two_who_take_it_over_one_has_it_and_the_victim_is_told_once(world: Controls) -> None:
    for n in range(8):
        lock = await put(world, scope=IN_PRODUCTION if n % 2 else THERE)
        calls = (
            world.locking.take_over(lock.id, requester=member(who), reason=f"{who.name} {n}") for who in (GRACE, LINUS)
        )
        taken, refused = await outcomes(*calls)
        (now,) = await world.locking.current()
        told = [one for one in await world.told() if one.facts["lock"] == lock.id]
        # Whoever reads after the other has won takes it from them, and says so; nobody loses it unheard.
        victims = [one.to for one in told]
        assert len(taken) + len(refused) == 2
        assert all(isinstance(error, SomebodyWasFaster) for error in refused)
        assert sorted(victims) == sorted(f"user:{one.taken_from.id}" for one in taken)
        assert f"user:{ADA.id}" in victims
        assert now.owner in {one.owner for one in taken}
        await world.locking.unlock_one(lock.id, requester=member(now.owner))


async def test_a_take_over_that_died_before_it_told_anybody_is_told_by_the_next_act(world: Controls) -> None:
    lock = await put(world)
    await world.store.locks.take_over(lock.id, deed=Deed(actor=GRACE, at=NOON, reason="on call"))  # and no more
    assert await world.told() == []
    again = await world.locking.take_over(lock.id, requester=member(GRACE), reason="on call")
    assert again.owner == GRACE
    assert [one.to for one in await world.told()] == [f"user:{ADA.id}"]


async def test_defect_a_victim_was_forgotten_when_a_third_took_the_lock_before_they_were_told(world: Controls) -> None:
    lock = await put(world)
    await world.store.locks.take_over(lock.id, deed=Deed(actor=GRACE, at=NOON, reason="on call"))  # and no more
    world.time += MINUTE
    await world.locking.take_over(lock.id, requester=member(LINUS), reason="higher up")
    assert sorted(one.to for one in await world.told()) == sorted([f"user:{ADA.id}", f"user:{GRACE.id}"])


async def test_the_owner_of_a_lock_that_is_not_there_any_more_is_not_robbed_of_it(world: Controls) -> None:
    lock = await put(world)
    await world.locking.unlock(scope=THERE, requester=member(ADA))
    with pytest.raises(NothingToDo, match="Ada has lifted"):
        await world.locking.take_over(lock.id, requester=member(GRACE), reason="mine")
    assert await world.told() == []


# -- asking -----------------------------------------------------------------------------------------------------------


async def test_the_owner_is_asked_once_in_ten_minutes_by_each(world: Controls) -> None:
    lock = await put(world, GRACE)
    for _ in range(3):
        await world.locking.ask_owner(lock.id, requester=member(ADA), about="checkout v1.3 waits")
        await world.locking.ask_owner(lock.id, requester=member(LINUS), about="")
    world.time += 10 * MINUTE
    await world.locking.ask_owner(lock.id, requester=member(ADA), about="still")
    told = await world.told()
    assert [(one.kind, one.to) for one in told] == [(NoticeKind.LOCK_ASKED, f"user:{GRACE.id}")] * 3
    assert {one.sentence for one in told} == {
        "Ada asks about your lock of checkout@production (the database moves): checkout v1.3 waits",
        "Linus asks about your lock of checkout@production (the database moves).",
        "Ada asks about your lock of checkout@production (the database moves): still",
    }


async def test_who_could_not_be_held_by_it_cannot_write_to_its_owner(world: Controls) -> None:
    lock = await put(world)
    with pytest.raises(NotAuthorized):
        await world.locking.ask_owner(lock.id, requester=member(MALLORY), about="hello")
    with pytest.raises(NothingToDo, match="yours"):
        await world.locking.ask_owner(lock.id, requester=member(ADA), about="hello")
    with pytest.raises(NothingToDo, match="not there any more"):
        await world.locking.ask_owner("l0", requester=member(ADA), about="hello")
    assert await world.told() == []


async def test_the_bots_own_lock_is_asked_about_where_operators_are(world: Controls) -> None:
    await world.store.locks.place(StickyLock(id="l9", scope=THERE, reason="bad", owner=BOT, at=NOON))
    await world.locking.ask_owner("l9", requester=member(ADA), about="v1.3")
    assert [one.to for one in await world.told()] == ["channel:#deploys"]
    world.set(admin_channel="#ops")
    await world.locking.ask_owner("l9", requester=member(GRACE), about="v1.3")
    assert {one.to for one in await world.told()} == {"channel:#deploys", "channel:#ops"}
