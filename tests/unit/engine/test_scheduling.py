"""Moving what waits for its time, and reading times with the windows of a place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from engine_world import (
    ADA,
    CHECKOUT,
    DAY,
    EVERYTHING,
    GRACE,
    HOUR,
    LINUS,
    MINUTE,
    NOON,
    PRODUCTION,
    STAGING,
    WEB,
    World,
    member,
    open_world,
)

from bot.domain.actor import Door
from bot.domain.audit import Deed
from bot.domain.errors import BadCommand, InvalidTransition, NotAuthorized, NothingToDo, SomebodyWasFaster
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.window import Window, WindowKind
from bot.engine.scheduling import Scheduling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment

WEEKDAYS = Window(
    name="office hours",
    kind=WindowKind.ALLOW,
    rule=read_recurrence("0 9 * * mon-fri"),
    duration=8 * 3600,
    zone="Europe/Paris",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def scheduling(world: World, heard: list[str] | None = None) -> Scheduling:
    return Scheduling(
        ledger=world.ledger,
        deployments=world.store.deployments,
        schedules=world.store.schedules,
        catalogs=world,
        gatekeeper=world.gatekeeper,
        changed=lambda: heard.append("changed") if heard is not None else None,
    )


async def waiting(world: World, at: datetime = NOON + 2 * HOUR, **about: object) -> Deployment:
    found = await world.deployed(Phase.SCHEDULED, **about)  # type: ignore[arg-type]  # passed on as they are
    await world.store.schedules.set(found.id, at=at, expires=at + HOUR, deed=Deed(actor=ADA, at=NOON))
    return found


async def test_what_waits_is_told_in_the_order_of_its_times(world: World) -> None:
    late = await waiting(world, NOON + 3 * HOUR)
    soon = await waiting(world, NOON + HOUR, service=WEB, environment=PRODUCTION)
    await world.deployed(Phase.QUEUED)
    use = scheduling(world)

    assert [(schedule.deployment, found.number) for schedule, found in await use.all()] == [
        (soon.id, soon.number),
        (late.id, late.number),
    ]
    assert [found.id for _, found in await use.all(service=CHECKOUT)] == [late.id]
    assert [found.id for _, found in await use.all(environment=PRODUCTION)] == [soon.id]
    assert await use.all(service=WEB, environment=STAGING) == []


async def test_ones_own_is_moved_without_any_right_and_the_timetable_and_the_card_hear_of_it(world: World) -> None:
    heard: list[str] = []
    found = await waiting(world, by=LINUS)

    moved = await scheduling(world, heard).move(found.id, at=NOON + 4 * HOUR, requester=member(LINUS))

    assert (moved.at, moved.expires, moved.by) == (NOON + 4 * HOUR, NOON + 5 * HOUR, LINUS)
    assert await world.store.schedules.of(found.id) == moved
    assert heard == ["changed"]
    assert (await world.store.deployments.get(found.id)).view > found.view


async def test_moving_is_audited_with_the_door_and_the_row_that_allowed_it(world: World) -> None:
    found = await waiting(world)
    await scheduling(world).move(found.id, at=NOON + 4 * HOUR, requester=member(GRACE, door=Door.HOME))

    rows = [row async for row in world.store.audit.export(format="jsonl")]
    last = [row for row in "".join(rows).splitlines() if "schedule.moved" in row][-1]
    assert '"home"' in last
    assert '"owner"' in last
    assert GRACE.id in last


async def test_who_may_not_move_moves_nothing(world: World) -> None:
    heard: list[str] = []
    found = await waiting(world)
    before = await world.store.schedules.of(found.id)

    with pytest.raises(NotAuthorized, match="You may not schedule checkout in staging"):
        await scheduling(world, heard).move(found.id, at=NOON + 4 * HOUR, requester=member(LINUS))

    assert await world.store.schedules.of(found.id) == before
    assert not heard


async def test_a_row_that_denies_it_beats_that_it_is_ones_own(world: World) -> None:
    deny = Rule(role="no-moves", effect=Effect.DENY, users=frozenset({ADA.id}), actions=frozenset({Action.SCHEDULE}))
    world.set(rules=(EVERYTHING, deny))
    found = await waiting(world)
    with pytest.raises(NotAuthorized, match="no-moves"):
        await scheduling(world).move(found.id, at=NOON + 4 * HOUR, requester=member(ADA))


@pytest.mark.parametrize(
    ("at", "expires", "says"),
    [
        (NOON, None, "over"),
        (NOON - MINUTE, None, "over"),
        (NOON + 367 * DAY, None, "366 days"),
        (NOON + HOUR, NOON + HOUR, "expire before"),
    ],
)
async def test_times_that_cannot_be_are_refused(
    world: World, at: datetime, expires: datetime | None, says: str
) -> None:
    found = await waiting(world)
    with pytest.raises(BadCommand, match=says):
        await scheduling(world).move(found.id, at=at, expires=expires, requester=member(ADA))
    schedule = await world.store.schedules.of(found.id)
    assert schedule is not None
    assert schedule.at == NOON + 2 * HOUR


async def test_what_is_moved_by_two_is_moved_once(world: World) -> None:
    found = await waiting(world)
    use = scheduling(world)

    async def move(hours: int) -> str:
        try:
            await use.move(found.id, at=NOON + hours * HOUR, requester=member(GRACE), version=1)
        except SomebodyWasFaster:
            return "was told that somebody was faster"
        return "moved"

    assert sorted(await asyncio.gather(*(move(hours) for hours in range(3, 8)))) == [
        "moved",
        *["was told that somebody was faster"] * 4,
    ]


async def test_only_what_waits_for_its_time_is_moved(world: World) -> None:
    found = await world.deployed(Phase.QUEUED)
    with pytest.raises(InvalidTransition, match="is queued"):
        await scheduling(world).move(found.id, at=NOON + HOUR, requester=member(ADA))


@pytest.mark.parametrize("before", [timedelta(0), timedelta(milliseconds=1), timedelta(seconds=2)])
async def test_what_is_being_started_is_not_moved_any_more(world: World, before: timedelta) -> None:
    """Nor in the last moments: whoever starts it may read its time while another one is written."""
    found = await waiting(world)
    world.time = NOON + 2 * HOUR - before
    with pytest.raises(InvalidTransition, match="has come"):
        await scheduling(world).move(found.id, at=NOON + 4 * HOUR, requester=member(ADA))


async def test_a_schedule_that_was_closed_meanwhile_is_not_opened_again(world: World) -> None:
    found = await waiting(world)
    await world.store.schedules.close(found.id, deed=Deed(actor=ADA, at=NOON))
    with pytest.raises(NothingToDo):
        await scheduling(world).move(found.id, at=NOON + 4 * HOUR, requester=member(ADA))


async def test_a_time_counts_on_the_clock_of_who_says_it_else_on_the_catalogs(world: World) -> None:
    world.set(zone="Asia/Tokyo")
    use = scheduling(world)
    assert use.when("18:00", zone=ZoneInfo("Europe/Paris")) == datetime(2031, 5, 14, 16, tzinfo=UTC)
    assert use.when("tomorrow 9:00") == datetime(2031, 5, 15, 0, tzinfo=UTC)
    assert use.when("in 30m") == NOON + 30 * MINUTE


async def test_next_window_is_when_the_place_opens_next(world: World) -> None:
    production = replace(world.catalog.environments[PRODUCTION], windows=(WEEKDAYS,))
    world.set(environments={**world.catalog.environments, PRODUCTION: production})
    use = scheduling(world)

    world.time = datetime(2031, 5, 16, 20, tzinfo=UTC)  # a Friday night
    for text in ("next-window", "at next-window", "Next  Window"):
        opens = use.when(text, service=CHECKOUT, environment=PRODUCTION)
        assert opens == datetime(2031, 5, 19, 7, tzinfo=UTC)  # Monday, 9:00 in Paris
    world.time = datetime(2031, 5, 19, 8, tzinfo=UTC)
    assert use.when("next-window", service=CHECKOUT, environment=PRODUCTION) == world.time


async def test_next_window_needs_windows_for_that_service(world: World) -> None:
    use = scheduling(world)
    with pytest.raises(BadCommand, match="`next-window` needs windows, and staging has none"):
        use.when("next-window", service=CHECKOUT, environment=STAGING)

    for_web = replace(WEEKDAYS, services=("web*",))
    production = replace(world.catalog.environments[PRODUCTION], windows=(for_web,))
    world.set(environments={**world.catalog.environments, PRODUCTION: production})
    with pytest.raises(BadCommand, match="production has none for checkout"):
        use.when("next-window", service=CHECKOUT, environment=PRODUCTION)
    assert use.when("next-window", service=WEB, environment=PRODUCTION) > NOON - MINUTE
    with pytest.raises(BadCommand, match="needs a service and an environment"):
        use.when("next-window")


async def test_a_window_that_never_opens_is_said(world: World) -> None:
    never = replace(WEEKDAYS, rule=read_recurrence("0 9 29 2 *"), kind=WindowKind.ALLOW)
    always = Window(
        name="closed", kind=WindowKind.DENY, rule=read_recurrence("0 0 1 * *"), duration=31 * 86400, zone="UTC"
    )
    production = replace(world.catalog.environments[PRODUCTION], windows=(never, always))
    world.set(environments={**world.catalog.environments, PRODUCTION: production})
    with pytest.raises(BadCommand, match="No window opens there"):
        scheduling(world).when("next-window", service=CHECKOUT, environment=PRODUCTION)
