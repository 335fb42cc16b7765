"""The configuration changes while the bot runs: whole or not at all, and operators are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from world import World, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("reload"), pytest.mark.long]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path / "world")
    try:
        yield world
    finally:
        await world.close()


def admins_read(world: World, text: str) -> bool:
    return any(text in seen.text and seen.where == "channel" for seen in world.server.hands.can_see("grace"))


async def test_a_good_change_is_in_force_and_a_bad_one_is_told_and_changes_nothing(world: World) -> None:
    config = world.folder / ".deploy" / "config.yaml"
    good = config.read_text()
    await world.bot().start()

    # Linus, who had no role, is given one.
    config.write_text(
        good + "  guest:\n    members: [U0LINUS]\n    allow: [{ actions: [deploy], environments: staging }]\n"
    )
    await until(lambda: told(world, "was read again"), within=15, what="the news of a new configuration")
    await world.command("linus", "checkout v1.2 staging")
    [first] = await until(lambda: accepted(world, 1), within=10, what="Linus's deployment")
    assert first.requester.name == "linus"

    # A half-written file: the last good one stays, and what is wrong is told with its place.
    config.write_text(good.replace("deployer:", "deployer: [", 1))
    await until(lambda: told(world, "cannot be used"), within=15, what="the complaint about the bad file")
    assert admins_read(world, "config.yaml:")
    await world.command("linus", "checkout v1.4 staging")
    deployments = await until(lambda: accepted(world, 2), within=10, what="Linus's second deployment")
    assert deployments[1].catalog_revision == deployments[0].catalog_revision

    # Put back as it was at first: Linus has no role again.
    config.write_text(good)
    await until(lambda: told(world, "was read again", times=2), within=15, what="the news of the old configuration")
    await world.command("linus", "checkout v1.0 staging")

    async def refused() -> bool:
        return any("may not deploy" in seen.text for seen in world.server.hands.can_see("linus"))

    await until(refused, within=10, what="a refusal for Linus")
    assert len(await world.deployments()) == 2


async def told(world: World, text: str, times: int = 1) -> bool:
    found = [m for m in world.server.workspace.channels["C0ADMIN"].messages.values() if text in m.text]
    return len(found) >= times


async def accepted(world: World, many: int) -> list[object]:
    deployments = await world.deployments()
    return deployments if len(deployments) >= many else []
