"""What is due is fired whatever was heard, on however many replicas, and nothing that goes wrong ends it."""

from __future__ import annotations

import asyncio
import gc
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from engine_world import ADA, HOUR, MINUTE, NOON, World, open_world

from bot.domain.audit import Deed
from bot.domain.errors import StoreError
from bot.domain.lifecycle import Phase
from bot.domain.schedule import Schedule
from bot.engine.ledger import utc_now
from bot.engine.timetable import Timetable, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from bot.domain.ids import DeploymentId

LONG = 3600.0
"""Seconds between two looks: so long that what happens in a test happens without one."""
SHORT = 0.05


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@dataclass
class Fired:
    """What was fired, and a way to wait for it."""

    calls: list[tuple[DeploymentId, int]] = field(default_factory=list)
    fails: dict[DeploymentId, Exception] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, deployment: DeploymentId, version: int) -> None:
        self.calls.append((deployment, version))
        self.came.set()
        if deployment in self.fails:
            raise self.fails[deployment]

    async def until(self, enough: Callable[[list[tuple[DeploymentId, int]]], bool]) -> None:
        async with asyncio.timeout(20):
            while not enough(self.calls):
                self.came.clear()
                await self.came.wait()


async def nothing() -> None:
    """An upkeep with nothing to do."""


def timetable(
    world: World,
    fired: Callable[[DeploymentId, int], Awaitable[None]],
    *,
    upkeep: Callable[[], Awaitable[None]] = nothing,
    look_every: float = LONG,
    upkeep_every: float = LONG,
    now: Callable[[], datetime] | None = None,
) -> Timetable:
    return Timetable(
        schedules=world.store.schedules,
        fire=fired,
        upkeep=upkeep,
        now=now or world.ledger.now,
        look_every=look_every,
        upkeep_every=upkeep_every,
    )


async def waiting(world: World, at: datetime, *, expires: datetime | None = None) -> DeploymentId:
    found = await world.deployed(Phase.SCHEDULED, begin=NOON - HOUR)
    deed = Deed(actor=ADA, at=NOON - HOUR)
    await world.store.schedules.set(found.id, at=at, expires=expires or at + HOUR, deed=deed)
    return found.id


async def test_what_became_due_while_nobody_looked_is_fired_at_once_the_longest_due_first(world: World) -> None:
    late, later = await waiting(world, NOON - MINUTE), await waiting(world, NOON - 2 * MINUTE)
    now, coming = await waiting(world, NOON), await waiting(world, NOON + MINUTE)
    fired = Fired()
    table = timetable(world, fired)
    await table.start()
    try:
        await fired.until(lambda calls: len(calls) >= 3)
    finally:
        await table.stop()
    assert fired.calls == [(later, 1), (late, 1), (now, 1)]
    assert coming not in [deployment for deployment, _ in fired.calls]


async def test_what_has_expired_is_fired_too_so_that_the_engine_can_say_so(world: World) -> None:
    gone = await waiting(world, NOON - 3 * HOUR, expires=NOON - 2 * HOUR)
    fired = Fired()
    table = timetable(world, fired)
    await table.start()
    await fired.until(lambda calls: calls == [(gone, 1)])
    await table.stop()


async def test_it_rings_at_the_time_itself_not_at_the_next_look(world: World) -> None:
    world.ledger.now = utc_now
    at = utc_now() + timedelta(milliseconds=300)
    soon = await waiting(world, at)
    fired = Fired()
    table = timetable(world, fired, now=utc_now)
    await table.start()
    try:
        await fired.until(lambda calls: calls == [(soon, 1)])
        assert utc_now() >= at
    finally:
        await table.stop()


async def test_a_schedule_that_is_set_or_moved_rings_once_it_was_told(world: World) -> None:
    world.ledger.now = utc_now
    fired = Fired()
    table = timetable(world, fired, now=utc_now)
    await table.start()
    try:
        far = await waiting(world, utc_now() + HOUR)
        table.changed()
        soon = utc_now() + timedelta(milliseconds=300)
        deed = Deed(actor=ADA, at=utc_now())
        await world.store.schedules.move(far, at=soon, expires=soon + HOUR, deed=deed)
        table.changed()
        await fired.until(lambda calls: calls == [(far, 2)])
    finally:
        await table.stop()


async def test_a_schedule_that_is_cancelled_or_moved_away_does_not_fire(world: World) -> None:
    """The trigger of the old time may still ring: what counts is the row."""
    world.ledger.now = utc_now
    soon = utc_now() + timedelta(milliseconds=400)
    cancelled, moved, stays = [await waiting(world, soon) for _ in range(3)]
    fired = Fired()
    table = timetable(world, fired, now=utc_now)
    await table.start()
    try:
        deed = Deed(actor=ADA, at=utc_now())
        await world.store.schedules.cancel(cancelled, deed=deed)
        await world.store.schedules.move(moved, at=soon + HOUR, expires=soon + 2 * HOUR, deed=deed)
        await fired.until(lambda calls: calls == [(stays, 1)])
    finally:
        await table.stop()


async def test_a_replica_that_was_told_nothing_fires_at_its_next_look(world: World) -> None:
    fired = Fired()
    table = timetable(world, fired, look_every=SHORT)
    await table.start()
    try:
        missed = await waiting(world, NOON + HOUR)
        world.time = NOON + HOUR
        await fired.until(lambda calls: (missed, 1) in calls)
    finally:
        await table.stop()


async def test_it_fires_again_until_the_schedule_is_closed(world: World) -> None:
    due = await waiting(world, NOON)
    fired = Fired()
    table = timetable(world, fired, look_every=SHORT)
    await table.start()
    try:
        await fired.until(lambda calls: len(calls) >= 3)
        await world.store.schedules.close(due, deed=Deed(actor=ADA, at=NOON))
    finally:
        await table.stop()
    assert set(fired.calls) == {(due, 1)}


async def test_one_that_cannot_be_fired_holds_up_no_other_and_is_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await waiting(world, NOON - MINUTE), await waiting(world, NOON)
    fired = Fired(fails={bad: StoreError()})
    table = timetable(world, fired, look_every=SHORT)
    with caplog.at_level(logging.WARNING):
        await table.start()
        await fired.until(lambda calls: calls.count((good, 1)) >= 2 and calls.count((bad, 1)) >= 2)
        fired.fails[bad] = KeyError("a mistake of ours")
        seen = fired.calls.count((bad, 1))
        await fired.until(lambda calls: calls.count((bad, 1)) >= seen + 2)
        await table.stop()
    assert f"firing {bad} came to nothing" in caplog.text
    assert f"firing {bad} broke" in caplog.text


async def test_a_hundred_that_nobody_closes_do_not_hide_the_next(world: World) -> None:
    stuck = [await waiting(world, NOON - HOUR) for _ in range(101)]
    behind = await waiting(world, NOON)
    fired = Fired()
    table = timetable(world, fired)
    await table.start()
    await fired.until(lambda calls: (behind, 1) in calls)
    await table.stop()
    assert len(fired.calls) == len(stuck) + 1
    assert len(set(fired.calls)) == len(fired.calls)


async def test_a_database_that_is_away_for_a_while_ends_nothing(world: World) -> None:
    due = await waiting(world, NOON)
    fired = Fired()
    table = timetable(world, fired, look_every=SHORT)
    away, schedules = 3, world.store.schedules

    class Flaky:
        """The store behind a connection that breaks three times."""

        async def all(self) -> object:
            return await schedules.all()

        async def due(self, *, before: datetime, limit: int = 100) -> object:
            nonlocal away
            away -= 1
            if away >= 0:
                raise StoreError
            return await schedules.due(before=before, limit=limit)

    table.schedules = Flaky()  # type: ignore[assignment]  # the two that are used
    await table.start()
    await fired.until(lambda calls: (due, 1) in calls)
    await table.stop()


async def test_two_replicas_fire_the_same_name(world: World) -> None:
    due = await waiting(world, NOON)
    one, other = Fired(), Fired()
    tables = [timetable(world, one), timetable(world, other)]
    for table in tables:
        await table.start()
    await one.until(bool)
    await other.until(bool)
    for table in tables:
        await table.stop()
    assert one.calls == other.calls == [(due, 1)]


async def test_the_upkeep_runs_at_once_again_and_again_one_at_a_time_and_outlives_errors(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    running = most = runs = 0
    enough = asyncio.Event()

    async def upkeep() -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        runs += 1
        await world.store.schedules.all()
        running -= 1
        if runs == 2:
            raise StoreError
        if runs == 3:
            raise ZeroDivisionError
        if runs >= 5:
            enough.set()

    table = timetable(world, Fired(), upkeep=upkeep, upkeep_every=0.01)
    with caplog.at_level(logging.WARNING):
        await table.start()
        async with asyncio.timeout(20):
            await enough.wait()
        await table.stop()
    assert most == 1
    assert "the upkeep came to nothing" in caplog.text
    assert "the upkeep broke" in caplog.text


async def test_a_slow_upkeep_keeps_nothing_from_firing(world: World) -> None:
    hold = asyncio.Event()

    async def upkeep() -> None:
        await hold.wait()

    due, fired = await waiting(world, NOON + HOUR), Fired()
    table = timetable(world, fired, upkeep=upkeep, look_every=SHORT)
    await table.start()
    world.time = NOON + HOUR
    await fired.until(lambda calls: (due, 1) in calls)
    hold.set()
    await table.stop()


async def test_it_starts_and_stops_as_often_as_one_likes_and_leaves_nothing_behind(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.all_tasks()
    fired = Fired()
    table = timetable(world, fired, look_every=SHORT, upkeep_every=SHORT)
    await table.stop()
    with caplog.at_level(logging.INFO):
        for count in range(1, 4):
            await table.start()
            await table.start()
            due = await waiting(world, NOON)
            table.changed()
            await fired.until(lambda calls, due=due: (due, 1) in calls)  # type: ignore[misc]  # bound here
            await table.stop()
            await table.stop()
            assert asyncio.all_tasks() == before, count
    assert [record for record in caplog.records if record.name.startswith("apscheduler")] == []
    gc.collect()


async def test_what_is_fired_while_it_stops_may_come_to_its_end(world: World) -> None:
    await waiting(world, NOON)
    began, hold, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fire(_: DeploymentId, __: int) -> None:
        began.set()
        await hold.wait()
        ended.set()

    table = timetable(world, fire)
    await table.start()
    async with asyncio.timeout(20):
        await began.wait()
        stopping = asyncio.create_task(table.stop())
        await asyncio.sleep(0)
        hold.set()
        await stopping
    assert ended.is_set()


async def test_it_hears_only_of_what_waits_for_its_time(world: World) -> None:
    table = timetable(world, Fired())
    table.heard(await world.deployed(Phase.QUEUED))
    assert not table._look.is_set()
    table.heard(await world.deployed(Phase.SCHEDULED))
    assert table._look.is_set()


def test_only_what_is_to_come_gets_a_trigger() -> None:
    def at(name: str, when: datetime) -> Schedule:
        return Schedule(deployment=name, at=when, expires=when + HOUR, by=ADA)  # type: ignore[arg-type]  # its id

    found = upcoming([at("past", NOON - MINUTE), at("now", NOON), at("soon", NOON + MINUTE)], NOON)
    assert found == {"soon": NOON + MINUTE}
