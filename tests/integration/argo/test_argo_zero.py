"""A Rollout without replicas: it goes through its steps, and nothing is claimed about what nobody could look at."""

from __future__ import annotations

import pytest
from kube.argo_world import release, seen, weigh, world

from bot.domain.catalog import HealthCheck
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

pytestmark = pytest.mark.long

NEW, OTHER = release("v1.1"), release("v1.2")


@pytest.mark.parametrize("referred", [False, True])
async def test_none_is_wanted_and_none_is_called_healthy(referred: bool) -> None:
    async with world(replicas=0, referred=referred) as there:
        target = there.target()
        before = await target.current()
        assert before is not None
        assert (before.instances, before.all_healthy) == (0, False)
        for number, percent in enumerate((25, 50, 100)):
            outcome = await weigh(target, "v1.1", percent, f"op-{number}")
            assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        handle = await target.promote(release=NEW, operation=OperationId("op-9"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        health = await target.health(release=NEW, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, True)
        health = await target.health(release=OTHER, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, False), "of what is not there nothing is said"


async def test_none_that_is_ready_is_not_none_that_is_wanted() -> None:
    async with world() as there:
        target = there.target()
        await target.set_weight(release=release("v1.1-unready"), percent=25, operation=OperationId("op-1"))
        health = await target.health(release=release("v1.1-unready"), check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, False)
