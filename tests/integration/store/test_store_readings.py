"""Readings: each kept once, in order, apart by deployment, and never more than a few thousand."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert
from store_samples import NOON, store

from bot.domain.errors import StoreError
from bot.domain.ids import DeploymentId
from bot.domain.metric import Point, Reading, Track
from bot.store.readings import KEPT, StoredReadings
from bot.store.tables import readings as table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.deployments import StoredDeployments
    from bot.store.engine import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def readings(database: Database) -> StoredReadings:
    return StoredReadings(database)


def reading(second: int, value: float | None = 0.01) -> Reading:
    return Reading(value=value, at=NOON + second * SECOND, samples=40)


async def test_what_was_read_comes_back_by_check_and_track_the_oldest_first(
    readings: StoredReadings, deployments: StoredDeployments
) -> None:
    one, other = await store(deployments), await store(deployments)
    for second in (4, 0, 2):
        await readings.add(one.id, "errors", Track.CANARY, reading(second, second / 100))
    await readings.add(one.id, "errors", Track.STABLE, reading(2, 0.5))
    await readings.add(one.id, "latency", Track.CANARY, reading(1, None))
    await readings.add(other.id, "errors", Track.CANARY, reading(0, 0.7))
    assert await readings.of(one.id) == {
        "errors": {
            Track.CANARY: [Point(at=NOON + second * SECOND, value=second / 100) for second in (0, 2, 4)],
            Track.STABLE: [Point(at=NOON + 2 * SECOND, value=0.5)],
        },
        "latency": {Track.CANARY: [Point(at=NOON + SECOND, value=None)]},
    }
    assert await readings.of(other.id) == {"errors": {Track.CANARY: [Point(at=NOON, value=0.7)]}}
    assert await readings.of(DeploymentId("nobody")) == {}


async def test_the_same_instant_again_changes_nothing(readings: StoredReadings, deployments: StoredDeployments) -> None:
    made = await store(deployments)
    again = [readings.add(made.id, "errors", Track.CANARY, reading(0, value / 10)) for value in range(1, 9)]
    await asyncio.gather(*again)
    found = await readings.of(made.id)
    await readings.add(made.id, "errors", Track.CANARY, reading(0, 0.99))
    assert await readings.of(made.id) == found
    [point] = found["errors"][Track.CANARY]
    assert point.value is not None
    assert point.value in [value / 10 for value in range(1, 9)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
async def test_what_cannot_be_drawn_is_kept_as_nothing(
    readings: StoredReadings, deployments: StoredDeployments, value: float | None
) -> None:
    made = await store(deployments)
    await readings.add(made.id, "errors", Track.CANARY, Reading(value=value, at=NOON, samples=value, why="0 / 0"))
    assert await readings.of(made.id) == {"errors": {Track.CANARY: [Point(at=NOON, value=None)]}}


async def test_the_oldest_give_way_to_the_newest(
    readings: StoredReadings, deployments: StoredDeployments, database: Database
) -> None:
    made, other = await store(deployments), await store(deployments)
    rows = [
        {"deployment_id": made.id, "check": f"c{n % 3}", "track": "canary", "at": NOON + n * SECOND, "value": float(n)}
        for n in range(KEPT)
    ]

    async def fill(connection: AsyncConnection) -> None:
        await connection.execute(insert(table), rows)
        await connection.execute(insert(table), {**rows[0], "deployment_id": other.id})

    await database.write(fill)
    for second in (KEPT, KEPT + 1, KEPT + 2):
        await readings.add(made.id, "c0", Track.CANARY, reading(second, float(second)))
    found = await readings.of(made.id)
    values = sorted(point.value for tracks in found.values() for point in tracks[Track.CANARY] if point.value)
    assert values == [float(n) for n in range(3, KEPT + 3)]
    assert len((await readings.of(other.id))["c0"][Track.CANARY]) == 1, "another deployment's are its own"


async def test_a_reading_of_no_deployment_is_refused(readings: StoredReadings) -> None:
    with pytest.raises(StoreError):
        await readings.add(DeploymentId("nobody"), "errors", Track.CANARY, reading(0))
