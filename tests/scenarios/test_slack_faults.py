"""Slack limits us, vanishes, hangs up, loses its answers: no deployment fails, and its end is told, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from world import World, catalog, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment


pytestmark = pytest.mark.long


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world with a bot in it, whose health checks take a second or two, so that trouble meets a deployment."""
    found = await World.open(tmp_path / "world", text=catalog(instances=1, passes=8, interval=0.15))
    try:
        await found.start()
        yield found
    finally:
        await found.close()


async def _told_once(world: World, number: int, notes: list[str], phase: str = "succeeded") -> None:
    """That deployment ended so, and everything about it stands there once."""
    made = await world.ends(number, phase, within=90)
    await world.noted(made.id, notes)
    assert not world.told_twice()


async def _heard_again(world: World) -> None:
    async def connected() -> bool:
        # What the workspace has asked to leave takes nothing more.
        return any(not connection.draining for connection in world.server.hub.connections)

    await until(connected, within=30, what=f"a connection\n{world.log_tail()}")


async def _goes_on(world: World, number: int) -> None:
    """The next one is taken up and told as if nothing had been."""
    await _heard_again(world)
    await world.command("grace", f"checkout {'v1.4' if await world.serves() != 'v1.4' else 'v1.0'} staging")
    await _told_once(world, number, ["succeeded"])


async def _limited(world: World, seconds: float) -> None:
    world.server.faults.rate_limit(seconds)
    await world.command("ada", "checkout v1.2 staging")
    made = await world.reaches((await _first(world)).id, "succeeded")
    await _told_once(world, 1, ["succeeded"])
    assert not [told for told in world.whispers("ada") if "reinstall" in told or "so the answer is no" in told]
    assert [event.after for event in await world.events(made.id) if event.after][-1] == "succeeded"
    await _goes_on(world, 2)


async def _first(world: World) -> Deployment:
    return await until(world.newest, what=f"a deployment\n{world.log_tail()} {world.whispers('ada')}")


async def _away(world: World, seconds: float) -> None:
    await world.command("ada", "checkout v1.2 staging")
    made = await _first(world)
    await world.reaches(made.id, "deploying")
    world.server.faults.down(seconds)
    # Nobody in the engine waits for Slack.
    await world.reaches(made.id, "succeeded", within=30)
    await _told_once(world, 1, ["succeeded"])
    await _goes_on(world, 2)


async def test_a_short_storm_of_429_delays_what_is_told_and_nothing_else(world: World) -> None:
    await _limited(world, 2)


@pytest.mark.long
async def test_a_storm_of_429_delays_what_is_told_and_nothing_else(world: World) -> None:
    await _limited(world, 8)
    for number in range(3, 6):
        world.server.faults.rate_limit(3)
        await _goes_on(world, number)


async def test_a_short_outage_delays_what_is_told_and_nothing_else(world: World) -> None:
    await _away(world, 2)


@pytest.mark.long
async def test_an_outage_of_ten_seconds_delays_what_is_told_and_nothing_else(world: World) -> None:
    await _away(world, 10)


async def test_dropped_connections_come_back_and_lose_nothing(world: World) -> None:
    for number in range(1, 4):
        world.server.faults.drop_sockets()
        await _goes_on(world, number)


async def test_a_handshake_refused_after_its_ticket_is_not_tried_for_ever(world: World) -> None:
    world.server.faults.refuse_handshakes(3)
    world.server.faults.drop_sockets()
    await _goes_on(world, 1)


async def test_slack_asking_for_a_new_connection_gets_one(world: World) -> None:
    for number in (1, 2):
        world.server.faults.disconnect("refresh_requested")
        await _goes_on(world, number)
    world.server.faults.disconnect("warning")
    await _goes_on(world, 3)


async def test_a_message_whose_answer_was_lost_is_found_again_and_not_repeated(world: World) -> None:
    world.server.faults.lose_response("chat.postMessage", 2)
    await world.command("ada", "checkout v1.2 staging")
    await _told_once(world, 1, ["succeeded"])
    world.server.faults.lose_response("chat.update", 2)
    await world.press("ada", "Roll back to v1.1")
    await _told_once(world, 2, ["succeeded"])
    await _told_once(world, 1, ["succeeded", "rolled_back"], phase="rolled_back")


async def test_a_note_whose_answer_was_lost_is_found_again_by_the_bot_that_comes_after(world: World) -> None:
    await world.command("ada", "checkout v1.2 staging")
    made = await _first(world)
    await world.reaches(made.id, "verifying")
    world.server.faults.lose_response("chat.postMessage", 1)

    async def posted() -> bool:
        return "succeeded" in world.notes(made.id)

    await until(posted, what="the note")
    await world.bots[-1].kill()
    await world.start()
    await _told_once(world, 1, ["succeeded"])
    await _goes_on(world, 2)


async def test_a_bot_that_starts_while_slack_is_away_finishes_its_work_and_tells_it_later(world: World) -> None:
    await world.command("ada", "checkout v1.2 staging")
    made = await _first(world)
    await world.reaches(made.id, "deploying")
    world.server.faults.down(6)
    await world.bots[-1].kill()
    await world.start()
    assert (await world.reaches(made.id, "succeeded")).attempt == 1
    await _told_once(world, 1, ["succeeded"])
    await _goes_on(world, 2)


async def test_errors_of_the_server_do_not_end_anything(world: World) -> None:
    world.server.faults.server_error(2)
    await world.command("ada", "checkout v1.2 staging")
    await _told_once(world, 1, ["succeeded"])
    await _goes_on(world, 2)


async def test_a_lost_acknowledgement_of_a_mention_does_not_deploy_twice(tmp_path: Path) -> None:
    world = await World.open(tmp_path / "world", text=catalog(instances=1), retry_delays=(0.0, 0.5, 1.0))
    try:
        await world.start()
        world.server.faults.lose_acks(2)
        await world.server.hands.say("ada", "<@U0BOT> checkout v1.2 staging", channel="C0DEPLOY")
        await _told_once(world, 1, ["succeeded"])
        await world.server.delivery.idle()
        assert len(await world.deployments()) == 1
        assert len(await world.journal()) == 2
    finally:
        await world.close()
