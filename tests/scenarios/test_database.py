"""The database goes away in the middle of a deployment and comes back: nothing is lost, nothing done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from world import World, catalog, until

from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from postgres import PostgresServer

    from bot.domain.deployment import Deployment

pytestmark = [pytest.mark.postgres, pytest.mark.long, pytest.mark.xdist_group("replicas")]


@pytest.fixture
async def world(tmp_path: Path, postgres_url: str) -> AsyncIterator[World]:
    world = await World.open(tmp_path / "world", postgres_url, text=catalog(passes=3, interval=1.0))
    try:
        yield world
    finally:
        await world.close()


async def test_a_deployment_outlasts_its_database(world: World, postgres_server: PostgresServer) -> None:
    bot = await world.start()
    await world.command("ada", "checkout v1.2 staging")

    async def verifying() -> Deployment | None:
        found = await world.newest()
        return found if found and found.phase is Phase.VERIFYING else None

    deployment = await until(verifying, within=30, what="a deployment whose health is being proven")
    postgres_server.stop()
    try:
        # While it is away people are told so, and nothing is taken that would be lost.
        await world.command("grace", "checkout v1.4 staging")
        await world.whispered("grace", "database does not answer")
    finally:
        postgres_server.start()
    await world.ends(deployment.number, "succeeded", within=60)
    assert bot.running
    assert [entry["operation"] for entry in await world.journal()].count(f"{deployment.id}-apply-1") == 1
    await world.command("grace", "checkout v1.4 staging")
    await world.ends(deployment.number + 1, "succeeded", within=60)
