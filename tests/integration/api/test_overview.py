"""How things stand is read the same from either kind of database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from unit.engine.engine_world import NOON, PRODUCTION, STAGING, World, catalog

from bot.domain.lifecycle import Phase
from bot.engine.ledger import Ledger
from bot.ports.telemetry import Crowd
from bot.store.overview import StoredOverview
from bot.store.store import Store

MINUTE = timedelta(minutes=1)


async def test_it_counts_what_is_under_way_and_since_when(database_url: str) -> None:
    async with Store.open(database_url, replica="one") as store:
        world = World(store=store, catalog=catalog(), ledger=Ledger(deployments=store.deployments, now=lambda: NOON))
        overview = StoredOverview(store.database)
        nothing = await overview.standing(at=NOON)
        assert (dict(nothing.crowds), nothing.untold_since, nothing.replicas) == ({}, None, 0)

        began = datetime.now(UTC)
        await world.deployed()
        await world.deployed(Phase.QUEUED, begin=NOON)
        again = await world.deployed(Phase.QUEUED, Phase.HELD, Phase.QUEUED, begin=NOON - 10 * MINUTE)
        await world.deployed(Phase.QUEUED, environment=PRODUCTION)
        ended = await world.deployed(Phase.ABORTED)
        for name, at in (("executor:one", NOON), ("executor:dead", NOON - 2 * MINUTE), ("publisher", NOON)):
            await store.leases.hold(name, holder="x", at=at, ttl=MINUTE)

        standing = await overview.standing(at=NOON)
        assert standing.crowds == {
            (STAGING, Phase.REQUESTED): Crowd(count=1, since=NOON),
            # Since it came into the queue the last time.
            (STAGING, Phase.QUEUED): Crowd(count=2, since=NOON - 7 * MINUTE),
            (PRODUCTION, Phase.QUEUED): Crowd(count=1, since=NOON + MINUTE),
        }
        assert standing.replicas == 1
        assert standing.untold_since is not None
        assert began <= standing.untold_since <= datetime.now(UTC)

        for deployment in [*await store.deployments.active(), ended]:
            await store.messages.told(deployment.id, deployment.view)
        assert (await overview.standing(at=NOON)).untold_since is None
        await world.ledger.amend(again.id, lambda found: found.touch())
        assert (await overview.standing(at=NOON)).untold_since is not None


@pytest.mark.parametrize("at", [NOON, NOON + 60 * MINUTE])
async def test_a_replica_beats_until_its_lease_ends(database_url: str, at: datetime) -> None:
    async with Store.open(database_url, replica="one") as store:
        await store.leases.hold("executor:one", holder="one", at=NOON, ttl=MINUTE)
        assert (await StoredOverview(store.database).standing(at=at)).replicas == (1 if at == NOON else 0)
