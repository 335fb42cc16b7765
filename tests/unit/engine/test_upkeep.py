"""What nobody asks for: ends are told once over all replicas, owners are asked once, and a crash loses nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from controls_world import IN_PRODUCTION, THERE, Controls, open_controls, order
from engine_world import ADA, CHECKOUT, GRACE, HOUR, LINUS, MINUTE, NOON, PRODUCTION, WEB, member

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.lifecycle import Phase
from bot.domain.notice import NoticeKind
from bot.domain.policy.freeze import Freeze, WhileRunning
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.window import Window, WindowKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Controls]:
    async with open_controls(tmp_path) as opened:
        yield opened


async def look(world: Controls, *, replicas: int = 3) -> None:
    """What several replicas do at once, each started just now."""
    await asyncio.gather(*(world.upkeep().look() for _ in range(replicas)))


async def test_with_nothing_to_do_nothing_is_done(world: Controls) -> None:
    await look(world)
    assert (await world.told(), await world.acts(), world.woken) == ([], [], [])


async def test_a_lock_ends_and_its_owner_is_told_once(world: Controls) -> None:
    await world.locking.lock(scope=THERE, requester=member(ADA), reason="moving", until=NOON + 10 * MINUTE)
    held = await world.held("lock", by=GRACE)
    world.time = NOON + 10 * MINUTE
    await look(world)
    await look(world)
    assert await world.locking.current() == []
    (told,) = await world.told()
    assert (told.kind, told.to, told.by) == (NoticeKind.LOCK_ENDED, f"user:{ADA.id}", BOT)
    assert told.sentence == "The time of your lock of checkout@production (moving) has passed; it is lifted."
    assert world.woken == ["checkout@production"]
    assert (await world.store.deployments.get(held.id)).view > held.view
    assert (await world.acts()).count("lock.expired") == 1


async def test_an_end_that_was_recorded_by_who_then_died_is_told_all_the_same(world: Controls) -> None:
    await world.locking.lock(scope=THERE, requester=member(ADA), reason="moving", until=NOON + 10 * MINUTE)
    world.time = NOON + 11 * MINUTE
    assert len(await world.store.locks.expire(at=world.time)) == 1  # and no more
    await look(world)
    assert [one.kind for one in await world.told()] == [NoticeKind.LOCK_ENDED]


async def test_an_owner_is_asked_once_and_again_only_after_they_kept_it(world: Controls) -> None:
    lock = await world.locking.lock(scope=THERE, requester=member(ADA), reason="moving")
    one = world.upkeep()
    for minutes, nags in [(179, 0), (180, 1), (181, 1), (300, 1)]:
        world.time = NOON + minutes * MINUTE
        await one.look()
        await look(world)
        assert len(await world.told(NoticeKind.LOCK_NAG)) == nags
    kept = await world.locking.keep(lock.id, requester=member(ADA))
    for minutes, nags in [(119, 1), (120, 2), (500, 2)]:
        world.time = NOON + (300 + minutes) * MINUTE
        await one.look()
        assert len(await world.told(NoticeKind.LOCK_NAG)) == nags
    told = (await world.told(NoticeKind.LOCK_NAG))[0]
    assert (told.to, told.facts) == (f"user:{ADA.id}", {"lock": kept.id, "scope": kept.scope.key, "hours": "2"})
    assert told.sentence == "Is your lock of checkout@production still needed? (moving)"


async def test_who_took_a_lock_over_is_asked_and_who_lost_it_to_a_dead_process_is_told(world: Controls) -> None:
    lock = await world.locking.lock(scope=THERE, requester=member(ADA), reason="moving")
    world.time += HOUR
    deed = Deed(actor=GRACE, at=world.time, reason="on call")
    await world.store.locks.take_over(lock.id, deed=deed)  # and no more
    await look(world)
    assert [(one.kind, one.to) for one in await world.told()] == [(NoticeKind.LOCK_TAKEN, f"user:{ADA.id}")]
    world.time += 3 * HOUR
    await look(world)
    assert [one.to for one in await world.told(NoticeKind.LOCK_NAG)] == [f"user:{GRACE.id}"]


async def test_a_freeze_ends_like_one_that_somebody_lifts(world: Controls) -> None:
    await world.freezing.freeze(
        scope=IN_PRODUCTION, requester=member(GRACE), reason="the fair", until=NOON + 10 * MINUTE
    )
    held = await world.held()
    world.time = NOON + 10 * MINUTE
    await look(world)
    await look(world)
    (freed,) = await world.told(NoticeKind.FREED)
    assert (freed.to, freed.deployment) == (f"user:{ADA.id}", held.id)
    (told,) = await world.told(NoticeKind.UNFROZEN)
    assert (told.by, told.facts["held"]) == (BOT, str(held.number))
    assert told.sentence.startswith("The time has passed of Grace's freeze of production (the fair).")
    assert (await world.store.deployments.get(held.id)).phase is Phase.HELD
    assert (await world.acts()).count("freeze.expired") == 1


async def test_what_follows_a_freeze_is_made_up_for_when_who_put_it_died(world: Controls) -> None:
    world.change(freeze_running=WhileRunning.ABORT)
    running = await world.under_way()
    world.time += 10 * MINUTE
    freeze = Freeze(id="f1", scope=IN_PRODUCTION, reason="incident 7", by=GRACE, at=world.time)
    await world.store.freezes.place(freeze)  # and no more
    later = await world.under_way(service=WEB, begin=world.time)  # a person let it go on after that
    await look(world)
    assert [one.key for one in await world.told()] == ["frozen:f1"]
    request = (await world.store.deployments.get(running.id)).request
    assert request is not None
    assert request.reason == "production is frozen by Grace: incident 7."
    assert (await world.store.deployments.get(later.id)).request is None


async def test_a_lifted_freeze_is_told_of_when_who_lifted_it_died(world: Controls) -> None:
    done = await world.freezing.freeze(scope=IN_PRODUCTION, requester=member(GRACE), reason="the fair")
    held = await world.held()
    await world.store.freezes.lift(done.freeze.id, deed=Deed(actor=LINUS, at=world.time))  # and no more
    world.time += MINUTE
    await look(world)
    assert [one.deployment for one in await world.told(NoticeKind.FREED)] == [held.id]
    assert [one.by for one in await world.told(NoticeKind.UNFROZEN)] == [LINUS]


async def test_broken_glass_is_announced_when_who_broke_it_died_over_it(world: Controls) -> None:
    made = await world.deployed(environment=PRODUCTION, by=GRACE)
    broken = Override(
        id="g1",
        kind=OverrideKind.BREAK_GLASS,
        service=CHECKOUT,
        environment=PRODUCTION,
        digest=made.release.artifact.digest,
        by=GRACE,
        reason="the site is down",
        at=NOON,
        until=NOON + HOUR,
    )
    deed = Deed(actor=GRACE, at=NOON, reason="the site is down")
    await world.store.overrides.add(broken, deed=deed)
    await look(world)
    assert await world.told() == []  # not used: nothing has happened
    await world.store.overrides.use("g1", deployment=made.id, deed=deed)
    await look(world)
    assert [(one.kind, one.deployment) for one in await world.told()] == [(NoticeKind.GLASS_BROKEN, made.id)]
    await world.overriding.break_glass(order(origin="slack:9", version="v1.3"), confirm="checkout")
    await look(world)
    assert len(await world.told(NoticeKind.GLASS_BROKEN)) == 2


async def test_what_goes_on_by_itself_is_woken_once_nothing_is_in_its_way(world: Controls) -> None:
    lock = await world.locking.lock(scope=THERE, requester=member(GRACE), reason="moving")
    await world.held("lock", resumes=True)
    await world.held("lock", service=WEB)  # waits for a person
    one = world.upkeep()
    await one.look()
    assert world.woken == []
    await world.store.locks.lift(lock.id, deed=Deed(actor=GRACE, at=world.time))  # and no more
    await one.look()
    assert world.woken == ["checkout@production"]
    await one.look()
    assert world.woken == ["checkout@production"]  # not at every look
    world.time += timedelta(seconds=30)
    await one.look()
    assert world.woken == ["checkout@production"] * 2


async def test_what_waits_for_a_window_is_woken_when_it_opens(world: Controls) -> None:
    night = Window(name="night", kind=WindowKind.ALLOW, rule=read_recurrence("0 22 * * *"), duration=3600.0, zone="UTC")
    world.change(windows=(night,))
    await world.held("window", resumes=True)
    one = world.upkeep()
    for hour, woken in [(0, 0), (9.9, 0), (10, 1)]:
        world.time = NOON + hour * HOUR
        await one.look()
        assert len(world.woken) == woken


async def test_one_look_after_the_other_forgets_what_is_over(world: Controls) -> None:
    one = world.upkeep()
    lock = await world.locking.lock(scope=THERE, requester=member(ADA), reason="moving", until=NOON + HOUR)
    for hours in (0.5, 1, 2, 26):
        world.time = NOON + hours * HOUR
        await one.look()
    assert one._done == set()
    assert [(two.kind, two.facts["lock"]) for two in await world.told()] == [
        (NoticeKind.LOCK_NAG, lock.id),
        (NoticeKind.LOCK_ENDED, lock.id),
    ]
