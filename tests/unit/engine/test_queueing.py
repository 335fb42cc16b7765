"""Who goes before whom, and what gives way to the newest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_world import (
    ADA,
    CHECKOUT,
    GRACE,
    LINUS,
    PRODUCTION,
    WEB,
    World,
    member,
    open_world,
)

from bot.domain.actor import BOT, Door
from bot.domain.catalog import QueuePolicy
from bot.domain.errors import BadCommand, InvalidTransition, NotAuthorized, NothingToDo
from bot.domain.ids import LockScope
from bot.domain.lifecycle import Phase
from bot.engine.queueing import Queueing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment

SCOPE = LockScope(f"{CHECKOUT}@{PRODUCTION}")
REACHED_BY = {
    Phase.AWAITING_APPROVAL: (Phase.AWAITING_APPROVAL,),
    Phase.HELD: (Phase.HELD,),
    Phase.QUEUED: (Phase.QUEUED,),
    Phase.SCHEDULED: (Phase.SCHEDULED,),
    Phase.REQUESTED: (),
    Phase.DEPLOYING: (Phase.QUEUED, Phase.DEPLOYING),
    Phase.ABORTED: (Phase.ABORTED,),
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, queue=QueuePolicy.NEWEST) as opened:
        yield opened


def queueing(world: World) -> Queueing:
    return Queueing(
        ledger=world.ledger, deployments=world.store.deployments, catalogs=world, gatekeeper=world.gatekeeper
    )


async def queued(world: World, **about: object) -> Deployment:
    return await world.deployed(Phase.QUEUED, environment=PRODUCTION, **about)  # type: ignore[arg-type]  # passed on


async def order(world: World) -> list[int]:
    return [found.number for found in await world.store.deployments.queue(SCOPE)]


async def test_whoever_is_hurried_goes_before_the_others_but_after_rollbacks(world: World) -> None:
    first, second, third = [await queued(world) for _ in range(3)]
    back = await queued(world, rollback_of=first.id)

    hurried = await queueing(world).run_next(third.id, requester=member(GRACE), reason="it mends the checkout")

    assert hurried.hurried
    assert hurried.version == third.version + 1
    assert await order(world) == [back.number, third.number, first.number, second.number]


async def test_hurrying_is_recorded_with_reason_door_and_row(world: World) -> None:
    await queued(world)
    second = await queued(world)
    reason = " it is urgent: token=Zm9v "
    await queueing(world).run_next(second.id, requester=member(GRACE, door=Door.MENTION), reason=reason)

    event = (await world.store.deployments.events(second.id))[-1]
    assert (event.kind, event.actor, event.note, event.door, event.rule) == (
        "run_next",
        GRACE,
        "it is urgent: token=[hidden]",
        Door.MENTION,
        "owner",
    )
    assert (event.before, event.after) == (Phase.QUEUED, Phase.QUEUED)
    audit = "".join([piece async for piece in world.store.audit.export(format="jsonl")])
    assert "deployment.run_next" in audit


async def test_those_who_are_passed_are_shown_anew(world: World) -> None:
    first, second = await queued(world), await queued(world)
    told: list[int] = []
    world.ledger.listeners.append(lambda found: told.append(found.number))
    await queueing(world).run_next(second.id, requester=member(GRACE), reason="urgent")
    assert set(told) == {first.number, second.number}


async def test_it_takes_the_right_also_for_ones_own(world: World) -> None:
    await queued(world)
    second = await queued(world, by=LINUS)
    with pytest.raises(NotAuthorized, match="You may not change the queue of checkout in production"):
        await queueing(world).run_next(second.id, requester=member(LINUS), reason="mine is better")
    assert not (await world.store.deployments.get(second.id)).hurried


@pytest.mark.parametrize("reason", ["", "  \n"])
async def test_it_takes_a_reason(world: World, reason: str) -> None:
    await queued(world)
    second = await queued(world)
    with pytest.raises(BadCommand, match="says why"):
        await queueing(world).run_next(second.id, requester=member(GRACE), reason=reason)


async def test_who_is_first_already_or_only_behind_rollbacks_cannot_be_hurried(world: World) -> None:
    use, first = queueing(world), await queued(world)
    with pytest.raises(NothingToDo, match="next already"):
        await use.run_next(first.id, requester=member(GRACE), reason="urgent")
    back = await queued(world, rollback_of=first.id)
    with pytest.raises(NothingToDo, match="Only rollbacks"):
        await use.run_next(first.id, requester=member(GRACE), reason="urgent")
    with pytest.raises(NothingToDo, match="next already"):
        await use.run_next(back.id, requester=member(GRACE), reason="urgent")


@pytest.mark.parametrize("phase", [phase for phase in REACHED_BY if phase is not Phase.QUEUED])
async def test_only_what_waits_in_the_queue_is_hurried(world: World, phase: Phase) -> None:
    found = await world.deployed(*REACHED_BY[phase], environment=PRODUCTION)
    with pytest.raises(InvalidTransition, match="only one that waits in the queue"):
        await queueing(world).run_next(found.id, requester=member(GRACE), reason="urgent")


async def test_of_two_who_hurry_one_deployment_one_is_told_that_it_is_done(world: World) -> None:
    await queued(world)
    second, use = await queued(world), queueing(world)

    async def hurry() -> str:
        try:
            await use.run_next(second.id, requester=member(GRACE), reason="urgent")
        except NothingToDo:
            return "done before"
        return "done"

    assert sorted(await asyncio.gather(*(hurry() for _ in range(4)))) == ["done", *["done before"] * 3]
    events = await world.store.deployments.events(second.id)
    assert [event.kind for event in events].count("run_next") == 1


@pytest.mark.parametrize("phase", list(REACHED_BY))
async def test_the_newest_takes_the_place_of_what_waits_and_of_nothing_else(world: World, phase: Phase) -> None:
    older = await world.deployed(*REACHED_BY[phase], environment=PRODUCTION)
    newest = await queued(world)

    ended = await queueing(world).supersede(newest)

    now = await world.store.deployments.get(older.id)
    if phase in {Phase.AWAITING_APPROVAL, Phase.HELD, Phase.QUEUED}:
        assert [found.id for found in ended] == [older.id]
        assert (now.phase, now.note) == (Phase.SUPERSEDED, f"Superseded by #{newest.number}.")
        assert now.timeline[-1].actor == BOT
    else:
        assert list(ended) == []
        assert now == older


async def test_other_places_rollbacks_and_newer_ones_stay(world: World) -> None:
    stay = [
        await queued(world, service=WEB),
        await world.deployed(Phase.QUEUED),  # staging
        await queued(world, rollback_of=(await world.deployed()).id),
    ]
    newest = await queued(world)
    stay.append(await queued(world))
    assert await queueing(world).supersede(newest) == []
    assert [await world.store.deployments.get(found.id) for found in stay] == stay


async def test_where_all_are_deployed_nothing_gives_way(world: World) -> None:
    there = replace(world.catalog.environments[PRODUCTION], queue=QueuePolicy.ALL)
    world.set(environments={**world.catalog.environments, PRODUCTION: there})
    older, newest = await queued(world), await queued(world)
    assert await queueing(world).supersede(newest) == []
    assert (await world.store.deployments.get(older.id)).phase is Phase.QUEUED


async def test_a_rollback_takes_nobodys_place(world: World) -> None:
    older = await queued(world)
    back = await queued(world, rollback_of=older.id)
    assert await queueing(world).supersede(back) == []
    assert (await world.store.deployments.get(older.id)).phase is Phase.QUEUED


async def test_what_came_to_nothing_itself_takes_nobodys_place(world: World) -> None:
    older, newest = await queued(world), await queued(world)
    await world.ledger.advance(newest.id, Phase.ABORTED, actor=ADA, key="closed:aborted")
    assert await queueing(world).supersede(newest) == []
    assert (await world.store.deployments.get(older.id)).phase is Phase.QUEUED


async def test_doing_it_again_changes_nothing(world: World) -> None:
    older, newest = await queued(world), await queued(world)
    use = queueing(world)
    assert [found.id for found in await use.supersede(newest)] == [older.id]
    once = await world.store.deployments.events(older.id)
    assert await use.supersede(newest) == []
    assert await world.store.deployments.events(older.id) == once


async def test_a_turn_and_a_newer_request_never_both_get_the_older_one(world: World) -> None:
    """Whoever writes first has it: what a turn has claimed is deployed, what was superseded never is."""
    for _ in range(10):
        older, newest = await queued(world), await queued(world)

        async def claim(found: Deployment = older) -> bool:
            try:
                await world.ledger.advance(found.id, Phase.DEPLOYING, actor=BOT, key="deploying")
            except InvalidTransition:
                return False
            return True

        claimed, ended = await asyncio.gather(claim(), queueing(world).supersede(newest))
        now = await world.store.deployments.get(older.id)
        assert claimed == (now.phase is Phase.DEPLOYING)
        assert (older.id in [found.id for found in ended]) == (now.phase is Phase.SUPERSEDED)
        assert claimed != (older.id in [found.id for found in ended])
        for found in (older, newest):
            for phase in (Phase.FAILED, Phase.ABORTED):
                try:
                    await world.ledger.advance(found.id, phase, actor=BOT, key=f"end:{phase}")
                except InvalidTransition:
                    continue
                break


async def test_a_turn_that_comes_between_the_look_and_the_write_wins(world: World) -> None:
    """`deploying` may become `superseded` by the table; only the check within the write keeps it from that."""
    older, newest = await queued(world), await queued(world)
    look = world.store.deployments.active

    async def and_then_it_is_claimed() -> object:
        seen = await look()
        await world.ledger.advance(older.id, Phase.DEPLOYING, actor=BOT, key="deploying")
        return seen

    world.store.deployments.active = and_then_it_is_claimed  # type: ignore[method-assign,assignment]  # a turn, timed
    assert await queueing(world).supersede(newest) == []
    assert (await world.store.deployments.get(older.id)).phase is Phase.DEPLOYING
