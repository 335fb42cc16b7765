"""A primary without replicas: Flagger promotes, and nothing is claimed about what nobody could look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import V2, V3, promote, seen, step, world

from bot.domain.catalog import HealthCheck
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long


async def test_what_is_promoted_to_a_primary_that_sleeps_is_there_and_not_called_healthy(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.server.change("deployments", "shop", "checkout-primary", {"spec": {"replicas": 0}})
        target = one.target()
        handle = await target.apply(release=V2, operation=OperationId("d1-apply-1"))
        outcome = (await seen(target, handle))[1]
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        assert "0 replicas" in outcome.message
        assert one.image("checkout-primary") == V2.artifact.location
        health = await target.health(release=V2, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, True)
        health = await target.health(release=V3, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, False), "of what is not there nothing is said"


async def test_a_primary_that_falls_asleep_between_two_steps(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        for percent in (20, 60, 100):
            assert (await step(one, percent)).kind is OutcomeKind.SUCCEEDED
        one.server.change("deployments", "shop", "checkout-primary", {"spec": {"replicas": 0}})
        outcome = await promote(one)
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.message
        health = await one.target().health(release=V2, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (False, True)


async def test_the_canary_that_sleeps_while_nothing_is_under_way_is_not_what_is_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        handle = await target.apply(release=V2, operation=OperationId("d1-apply-1"))
        assert (await seen(target, handle))[1].message == "Flagger has promoted it."
        assert one.get()["spec"]["replicas"] == 0
        health = await target.health(release=V2, check=HealthCheck())
        assert (health.ok, health.none_wanted) == (True, False)
