"""What a rollout costs the API server: a handful of calls, however long it takes and however often it moves."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from math import log2

import pytest
from kube.deployment_world import release, world

from bot.domain.ids import OperationId
from bot.domain.rollout import Outcome, OutcomeKind

LOOK_AFTER = 0.05


@pytest.mark.long
async def test_pods_that_take_their_time_are_asked_about_a_few_times_in_all() -> None:
    async with world(replicas=4) as here:
        await here.settled()
        here.controller.pace = 0.3
        begun, clock = len(here.server.log), asyncio.get_running_loop().time
        since = clock()
        target = here.target(look_after=LOOK_AFTER)
        handle = await target.apply(release=release("v1.2"), operation=OperationId("op-1"))
        async with aclosing(target.observe(handle=handle)) as told:
            said = [each async for each in told]
        assert isinstance(said[-1], Outcome)
        assert said[-1].kind is OutcomeKind.SUCCEEDED
        assert len(said) > 4, "it did not take its time"
        calls = here.calls(begun)
        # Each look waits twice as long as the one before, whatever moves in between.
        assert 1 <= calls.count("list pods") <= log2((clock() - since) / LOOK_AFTER + 1)
        rest = sorted(call for call in calls if call != "list pods")
        assert rest == [
            "get deployments", "list deployments", "list replicasets", "patch deployments", "watch deployments"
        ]  # fmt: skip
