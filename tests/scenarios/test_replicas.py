"""Several bots on one PostgreSQL: one dies in the middle of a deployment, another finishes it."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING

import pytest
from world import World, until

from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment

pytestmark = [pytest.mark.postgres, pytest.mark.long, pytest.mark.xdist_group("replicas")]


@pytest.fixture
async def world(tmp_path: Path, postgres_url: str) -> AsyncIterator[World]:
    world = await World.open(tmp_path / "world", postgres_url)
    try:
        yield world
    finally:
        await world.close()


async def test_a_survivor_finishes_what_a_dead_replica_began(world: World) -> None:
    await world.platform.faults(before=0.3, after=0.3)
    plan = {"arm": "deploy", "at": "mutation apply:applied, not answered#1"}
    (world.folder / "crash.json").write_text(json.dumps(plan))
    first = await world.start(under_launcher=True, EXECUTOR_ID="one")
    await world.command("ada", "checkout v1.2 staging")
    async with asyncio.timeout(30):
        await first.ended()
    await world.start(EXECUTOR_ID="two")

    async def done() -> Deployment | None:
        found = await world.deployments()
        return found[0] if found and found[0].phase is Phase.SUCCEEDED else None

    deployment = await until(done, within=60, what="the deployment, finished by the survivor")
    assert await world.serves() == "v1.2"
    applied = [entry["operation"] for entry in await world.journal()]
    assert applied.count(f"{deployment.id}-apply-1") == 1

    async def told() -> bool:
        return [m.metadata["event_payload"]["phase"] for m in world.roots(deployment.id) if m.metadata] == ["succeeded"]

    await until(told, within=30, what="one root message that says so")


async def test_a_second_process_of_the_same_name_is_refused(world: World) -> None:
    await world.bot(EXECUTOR_ID="one").start()
    twin = world.bot(EXECUTOR_ID="one")
    twin.connected = lambda: False
    with pytest.raises(RuntimeError, match="Another replica is running under the name one"):
        await twin.start()


async def test_two_replicas_keep_one_queue_and_one_voice(world: World) -> None:
    await world.bot(EXECUTOR_ID="one").start()
    await world.bot(EXECUTOR_ID="two").start()
    for number in range(8):
        await world.command(("ada", "grace")[number % 2], f"checkout v1.{2 + 2 * (number % 2)} staging force")

    async def done() -> list[Deployment]:
        found = await world.deployments()
        return found if len(found) == 8 and all(d.phase is Phase.SUCCEEDED for d in found) else []

    deployments = await until(done, within=90, what="eight deployments")
    spans = sorted((d.reached(Phase.DEPLOYING).at, d.finished_at) for d in deployments)  # type: ignore[union-attr]
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end <= begin, "two deployments held one lock"
    for deployment in deployments:

        async def told(of: Deployment = deployment) -> bool:
            roots = world.roots(of.id)
            assert len(roots) <= 1, "a message was posted twice"
            return [m.metadata["event_payload"]["phase"] for m in roots if m.metadata] == ["succeeded"]

        await until(told, within=60, what=f"#{deployment.number} told as succeeded")
