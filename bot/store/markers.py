"""Which metric sources are still to be told of which deployments. Must not tell them anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.ids import DeploymentId
from bot.domain.marker import Marker
from bot.store.tables import markers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

_OPEN: ColumnElement[bool] = literal_column("closed_at IS NULL")


def due_markers(before: datetime, limit: int) -> Select[Any]:
    """Those that are to be told something then, the longest due first."""
    return (
        select(markers)
        .where(_OPEN, markers.c.due_at <= before)
        .order_by(markers.c.due_at, markers.c.deployment_id, markers.c.source)
        .limit(literal_column(str(int(limit))))
    )


class StoredMarkers:
    """`bot.ports.markers.Markers` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._insert = insert(markers).on_conflict_do_nothing(index_elements=["deployment_id", "source"])

    async def open(self, deployment_id: DeploymentId, sources: Sequence[str], *, at: datetime) -> None:
        """Have these sources told of a deployment; see the port."""
        rows = [{"deployment_id": deployment_id, "source": one, "due_at": at, "tries": 0} for one in sorted(sources)]

        async def work(connection: AsyncConnection) -> None:
            for row in rows:
                await connection.execute(self._insert, row)

        if rows:
            await self._database.write(work)

    async def due(self, *, before: datetime, limit: int = 50) -> Sequence[Marker]:
        """Those that are to be told something then, or looked at."""

        async def look(connection: AsyncConnection) -> list[Marker]:
            return [_marker(row) for row in (await connection.execute(due_markers(before, limit))).mappings()]

        return await self._database.read(look)

    async def hasten(self, deployment_id: DeploymentId, *, at: datetime) -> None:
        """Have those of a deployment looked at then; see the port."""
        statement = update(markers).where(
            markers.c.deployment_id == deployment_id, _OPEN, markers.c.tries == 0, markers.c.due_at > at
        )

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement.values(due_at=at))

        await self._database.write(work)

    async def keep(self, was: Marker, now: Marker) -> bool:
        """Write down how one stands; see the port."""
        statement = (
            update(markers)
            .where(
                markers.c.deployment_id == was.deployment,
                markers.c.source == was.source,
                markers.c.due_at == was.due_at,
                markers.c.tries == was.tries,
                _OPEN,
            )
            .values(due_at=now.due_at, tries=now.tries, begun_at=now.begun_at, closed_at=now.closed_at)
        )

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(statement)).rowcount > 0

        return await self._database.write(work)


def _marker(row: RowMapping) -> Marker:
    return Marker(
        deployment=DeploymentId(row["deployment_id"]),
        source=row["source"],
        due_at=row["due_at"],
        tries=row["tries"],
        begun_at=row["begun_at"],
        closed_at=row["closed_at"],
    )
