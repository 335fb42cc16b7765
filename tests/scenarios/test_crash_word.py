"""The bot is killed between its mark on a Rollout and its word to it, and finds a closed gate when it is back.

The mark alone lets nothing go on, so nothing was begun: it waits until the gate opens, and gives its word then, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster_world import cluster_world
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_world import ClusterWorld

    from bot.domain.deployment import Deployment

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


async def rollout_is(world: ClusterWorld, phase: str, why: str = "") -> Deployment:
    """The newest deployment of the Rollout, once it is in that phase and waits for that."""

    async def there() -> Deployment | None:
        found = await world.newest("catalog")
        waits = found.progression.why if found is not None and found.progression is not None else ""
        return found if found is not None and found.phase == phase and why in waits else None

    return await until(there, within=90, what=f"a rollout that is {phase} {why}")


async def test_what_was_noted_and_never_said_waits_for_the_gate_and_is_said_once(tmp_path: Path) -> None:
    async with cluster_world(tmp_path, None) as (world, cluster):
        bot = await world.start()
        await world.command("ada", "catalog v1.2 staging")
        one = await rollout_is(world, "paused")
        assert cluster.argo.traffic("shop", "catalog") == 25
        since = len(cluster.server.log)
        cluster.server.faults.refuse(500, verb="patch", path="/rollouts/catalog/status", times=100_000)
        await world.press("ada", "Promote to 50 %", about=one.id)

        async def refused() -> bool:
            return any(call.code == 500 and call.path.endswith("/status") for call in cluster.server.log[since:])

        await until(refused, what="a word that did not arrive")
        await world.command("grace", 'lock catalog staging pause reason="the database moves"')

        async def locked() -> bool:
            return any("pauses what is rolled out already" in message.text for message in world.messages())

        await until(locked, what="a lock")
        await bot.kill()
        cluster.server.faults.clear()
        assert cluster.patches("catalog", since) == 1, "it is noted"
        assert cluster.patches("catalog", since, status=True) == 0, "and not said"
        await world.start()

        await rollout_is(world, "paused", "the database moves")
        assert cluster.argo.traffic("shop", "catalog") == 25
        assert cluster.patches("catalog", since, status=True) == 0
        await world.command("grace", "unlock catalog staging")

        async def asked() -> bool:
            return cluster.argo.traffic("shop", "catalog") == 50

        await until(asked, within=60, what="half of the traffic")
        await world.press("ada", "Promote to 100 %", about=one.id)
        await rollout_is(world, "succeeded")
        assert cluster.serves("catalog") == "v1.2"
        assert cluster.watches["catalog"].rounds.count(50) > 0
        assert cluster.patches("catalog", since, status=True) == 2, "one word for each step"
        assert cluster.patches("catalog", since) == 3, "and one mark for each, and for the promotion"
