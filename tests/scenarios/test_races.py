"""Many people at once, double clicks, double deliveries: everything happens once, in order, and the loser is told."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from world import World, catalog, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bot.domain.history import Event

pytestmark = pytest.mark.long

_OVER = {"succeeded", "failed", "errored", "aborted", "superseded"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A world with a bot in it, on each database."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    url = server.create_database() if server else None
    found = await World.open(tmp_path / "world", url, text=catalog(instances=1))
    try:
        await found.start()
        yield found
    finally:
        await found.close()
        if server:
            server.drop_database(url)


async def _all_at_once(world: World, many: int) -> None:
    """So many people deploy the same service to the same environment in the same instant."""
    people, versions = ("ada", "grace"), ("v1.2", "v1.4", "v1.0")
    await asyncio.gather(
        *(world.command(people[n % 2], f"checkout {versions[n % 3]} staging force") for n in range(many))
    )

    async def over() -> bool:
        found = await world.deployments()
        return len(found) == many and all(deployment.phase in _OVER for deployment in found)

    await until(over, within=60 + 5 * many, what=f"an end of {many} deployments\n{world.log_tail()}")
    found = await world.deployments()
    assert [deployment.phase.value for deployment in found] == ["succeeded"] * many
    assert [deployment.number for deployment in found] == list(range(1, many + 1))

    # From the record: nobody began before the one with the lower number had ended.
    turns = []
    for deployment in found:
        events = await world.events(deployment.id)
        turns.append((_entered(events, "deploying"), _entered(events, "succeeded")))
    assert all(began < ended for began, ended in turns)
    assert all(before[1] < after[0] for before, after in pairwise(turns)), turns

    # From the platform's own journal: one change each, in the same order.
    operations = [entry["operation"] for entry in await world.journal()][1:]
    assert operations == [f"{deployment.id}-apply-1" for deployment in found]
    assert await world.serves() == found[-1].release.version


def _entered(events: Sequence[Event], phase: str) -> int:
    """The place of the one event by which it came there, in the order of all events."""
    (event,) = [event for event in events if event.after == phase]
    return event.sequence


async def test_ten_at_once_run_one_after_another(world: World) -> None:
    await _all_at_once(world, 10)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_fifty_at_once_run_one_after_another_and_all_are_told(world: World) -> None:
    await _all_at_once(world, 50)
    for deployment in await world.deployments():
        await world.ends(deployment.number, "succeeded", within=240)
        assert len(world.roots(deployment.id)) == 1
    assert not world.told_twice()


async def test_of_two_rollbacks_in_the_same_instant_one_is_done_and_the_other_is_told_by_whom(world: World) -> None:
    await world.command("ada", "checkout v1.2 staging")
    taken = await world.ends(1, "succeeded")
    button = await world.button("ada", "Roll back to v1.1")
    heard = {who: len(world.whispers(who)) for who in ("ada", "grace")}
    await asyncio.gather(*(world.click(who, button) for who in ("ada", "grace", "ada", "grace")))
    await world.ends(1, "rolled_back")
    await world.ends(2, "succeeded")

    winner = (await world.deployments())[1].requester.name
    loser = {"ada": "grace", "grace": "ada"}[winner]
    await world.whispered(loser, f"{winner} already rolled #1 back", after=heard[loser])
    await world.whispered(winner, "You already rolled #1 back", after=heard[winner])
    assert len(await world.deployments()) == 2
    assert [entry["operation"] for entry in await world.journal()][2:] == [
        f"{deployment.id}-apply-1" for deployment in (await world.deployments())[1:]
    ]
    await world.noted(taken.id, ["succeeded", "rolled_back"])
    assert not world.told_twice()
    assert await world.serves() == "v1.1"


async def test_of_two_aborts_in_the_same_instant_one_counts_and_the_other_is_told_by_whom(world: World) -> None:
    await world.command("ada", "checkout v1.5-rc1 staging")
    running = await world.ends(1, "deploying")
    button = await world.button("ada", "Abort", about=running.id)
    heard = {who: len(world.whispers(who)) for who in ("ada", "grace")}
    await asyncio.gather(*(world.click(who, button) for who in ("grace", "ada")))
    ended = await world.ends(1, "aborted")

    winner = ended.timeline[-1].actor.name
    loser = {"ada": "grace", "grace": "ada"}[winner]
    await world.whispered(loser, winner, after=heard[loser])
    asked = [event for event in await world.events(running.id) if event.kind == "abort_requested"]
    assert [event.actor.name for event in asked] == [winner]
    assert [entry["kind"] for entry in await world.journal()] == ["apply", "apply", "restore"]
    assert world.whispers(winner)[heard[winner] :] == []
    assert await world.serves() == "v1.1"


async def test_of_two_aborts_of_one_that_waits_the_first_is_obeyed_and_the_queue_moves_up(world: World) -> None:
    await world.command("ada", "checkout v1.5-rc1 staging")
    await world.ends(1, "deploying")
    await world.command("ada", "checkout v1.2 staging")
    waiting = await world.ends(2, "queued")
    await world.command("grace", "checkout v1.4 staging")
    behind = await world.ends(3, "queued")
    button = await world.button("ada", "Abort", about=waiting.id)
    await asyncio.gather(*(world.click(who, button) for who in ("grace", "ada")))
    ended = await world.ends(2, "aborted")

    winner = ended.timeline[-1].actor.name
    loser = {"ada": "grace", "grace": "ada"}[winner]
    await world.whispered(loser, f"{winner} already aborted #2")
    assert world.whispers(winner) == [], "who was first is told nothing but the card"

    async def moved_up() -> bool:
        return "in front: #1" in str(world.roots(behind.id)[0].blocks)

    await until(moved_up, what="a card of #3 that shows #1 in front")
    await world.press("ada", "Abort", about=(await world.deployments())[0].id)
    await world.ends(3, "succeeded")


async def test_what_is_delivered_twice_is_done_once(world: World) -> None:
    world.server.faults.duplicate_deliveries(300)
    await world.command("ada", "checkout v1.2 staging")
    await world.ends(1, "succeeded")
    await world.press("ada", "Roll back to v1.1")
    await world.ends(1, "rolled_back")
    await world.unlock("ada", "checkout staging")
    await world.server.hands.say("grace", "<@U0BOT> checkout v1.4 staging", channel="C0DEPLOY")
    await world.ends(3, "succeeded")
    await world.command("grace", "")

    async def form() -> str | None:
        view = world.server.hands.modal("grace")
        return view.id if view is not None and view.body.get("callback_id") == "form.deploy" else None

    view = await until(form, what="the form")
    receipt = await world.server.hands.submit(
        "grace", view, {"service": "checkout", "version": "v1.2", "environment": "staging"}
    )
    assert receipt.acked, receipt.error
    await world.ends(4, "succeeded")
    await world.command("ada", "checkout v1.5-rc1 staging")
    running = await world.ends(5, "deploying")
    await world.press("grace", "Abort", about=running.id)
    await world.ends(5, "aborted")
    await world.server.delivery.idle()

    assert [deployment.number for deployment in await world.deployments()] == [1, 2, 3, 4, 5]
    assert [entry["kind"] for entry in await world.journal()] == ["apply"] * 6 + ["restore"]
    assert not world.told_twice()
    for who in ("ada", "grace"):
        assert not [told for told in world.whispers(who) if "Not done" in told], "a repetition is nobody's mistake"
