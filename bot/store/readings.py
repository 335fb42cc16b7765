"""What checks have read, for pictures: the newest of each deployment, never more than a few thousand.

Must not decide anything by them, nor know how they are drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.metric import Point, Track
from bot.store.body import enum_of
from bot.store.tables import readings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.ids import DeploymentId
    from bot.domain.metric import Reading
    from bot.store.engine import Database

KEPT = 2_000
"""How many readings of a deployment are kept."""


def readings_of(deployment_id: str) -> Select[Any]:
    """Those of a deployment, as they are kept: by check and track, the oldest first."""
    return (
        select(readings)
        .where(readings.c.deployment_id == deployment_id)
        .order_by(readings.c.check, readings.c.track, readings.c.at)
    )


def newest_not_kept(deployment_id: Any) -> Select[Any]:
    """From when the newest reading is that gives way to newer ones; no row when none has to."""
    return (
        select(readings.c.at)
        .where(readings.c.deployment_id == deployment_id)
        .order_by(readings.c.at.desc())
        .limit(1)
        .offset(KEPT)
    )


class StoredReadings:
    """`bot.ports.readings.Readings` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        once = insert(readings).on_conflict_do_nothing(index_elements=["deployment_id", "check", "track", "at"])
        self._insert = once.returning(readings.c.at)
        whose: BindParameter[str] = bindparam("whose")
        self._prune = delete(readings).where(
            readings.c.deployment_id == whose, readings.c.at <= newest_not_kept(whose).scalar_subquery()
        )

    async def add(self, deployment_id: DeploymentId, check: str, track: Track, reading: Reading) -> None:
        """Keep a reading; see the port."""
        row = {
            "deployment_id": deployment_id,
            "check": check,
            "track": track.value,
            "at": reading.at,
            "value": reading.number,
            "samples": reading.samples if reading.samples is not None and math.isfinite(reading.samples) else None,
        }

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(self._insert, row)).first() is not None:
                await connection.execute(self._prune, {"whose": deployment_id})

        await self._database.write(work)

    async def of(self, deployment_id: DeploymentId) -> Mapping[str, Mapping[Track, Sequence[Point]]]:
        """What is kept of a deployment; see the port."""

        async def look(connection: AsyncConnection) -> dict[str, dict[Track, list[Point]]]:
            found: dict[str, dict[Track, list[Point]]] = {}
            for row in (await connection.execute(readings_of(deployment_id))).mappings():
                track = enum_of(Track, row["track"], "track")
                point = Point(at=row["at"], value=row["value"])
                found.setdefault(row["check"], {}).setdefault(track, []).append(point)
            return found

        return await self._database.read(look)
