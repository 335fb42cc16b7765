"""When it cannot be told or put right what a target runs, nobody guesses: a person decides, and the lock is held."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest
from world import World, catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment


pytestmark = pytest.mark.long


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world in which proving health takes long enough to do harm meanwhile."""
    found = await World.open(tmp_path / "world", text=catalog(instances=1, passes=40, interval=0.1))
    try:
        await found.start()
        yield found
    finally:
        await found.close()


async def _stuck(world: World) -> Deployment:
    """A deployment of v1.2 that was aborted and cannot be put back: what ran before is not on the disk any more."""
    await world.command("ada", "checkout v1.2 staging")
    made = await world.ends(1, "verifying")
    (world.folder / "artifacts" / "checkout" / "v1.1").rename(world.folder / "away")
    await world.press("grace", "Abort", about=made.id)
    return await world.ends(1, "needs_attention")


def _mend(world: World) -> None:
    (world.folder / "away").rename(world.folder / "artifacts" / "checkout" / "v1.1")


async def test_what_cannot_be_put_back_waits_for_a_person_and_keeps_the_lock(world: World) -> None:
    stuck = await _stuck(world)
    assert "could not be put back" in stuck.note
    await world.noted(stuck.id, ["needs_attention.1"])
    labels = {button.label for button in world.server.hands.visible_buttons("ada") if stuck.id in (button.value or "")}
    assert labels == {"Retry", "Mark succeeded", "Roll back", "Abort"}

    # Nobody else gets the environment, and somebody without the right does not decide.
    await world.command("grace", "checkout v1.4 staging")
    await world.ends(2, "queued")
    await world.press("linus", "Mark succeeded", about=stuck.id)
    await world.whispered("linus", "may not")

    _mend(world)
    await world.press("ada", "Roll back", about=stuck.id)
    await world.ends(1, "failed")
    await world.ends(2, "succeeded")
    assert await world.serves() == "v1.4"
    assert not world.told_twice()


async def test_it_waits_over_a_restart_and_retry_does_it_again(world: World) -> None:
    stuck = await _stuck(world)
    await world.bots[-1].kill()
    await world.start()
    assert (await world.deployments())[0].phase == "needs_attention"
    _mend(world)
    await world.press("ada", "Retry", about=stuck.id)
    done = await world.ends(1, "succeeded")
    assert done.attempt == 2
    assert await world.serves() == "v1.2"
    await world.noted(done.id, ["needs_attention.1", "succeeded"])
    operations = [entry["operation"] for entry in await world.journal()]
    assert len(set(operations)) == len(operations)
    await world.press("ada", "Roll back to v1.1")
    await world.ends(1, "rolled_back")


async def test_marked_as_succeeded_it_counts_as_running_but_not_as_proven(world: World) -> None:
    stuck = await _stuck(world)
    await world.press("ada", "Mark succeeded", about=stuck.id)
    await world.ends(1, "succeeded")
    placement = await world.placement()
    assert placement is not None
    assert (placement.release.version, placement.deployment) == ("v1.2", stuck.id)
    shutil.move(world.folder / "away", world.folder / "artifacts" / "checkout" / "v1.1")
    await world.command("ada", "checkout v1.4 staging")
    await world.ends(2, "succeeded")
    # v1.2 was never proven healthy, so the way back from v1.4 leads to v1.1.
    await world.press("ada", "Roll back to v1.1")
    await world.ends(2, "rolled_back")
    assert await world.serves() == "v1.1"


async def test_of_two_decisions_in_the_same_instant_the_first_is_obeyed(world: World) -> None:
    stuck = await _stuck(world)
    _mend(world)
    retry = await world.button("ada", "Retry", about=stuck.id)
    marked = await world.button("grace", "Mark succeeded", about=stuck.id)
    first, second = await asyncio.gather(world.click("ada", retry), world.click("grace", marked))
    assert first.acked
    assert second.acked
    done = await world.ends(1, "succeeded")
    (decided,) = [event for event in await world.events(stuck.id) if event.kind == "resolved"]
    if decided.actor.name == "ada":
        loser, asked, attempt = "grace", "ada has already asked to retry", 2
    else:
        loser, asked, attempt = "ada", "grace has already asked to mark succeeded", 1
    assert done.attempt == attempt
    told = await world.whispered(loser, "Not done")
    # Whoever comes when it has been obeyed already reads what became of it.
    assert asked in told or "needs no decision" in told or "nobody can" in told, told
