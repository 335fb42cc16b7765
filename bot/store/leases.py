"""Leases by compare-and-swap. Must not use the database's clock: a lease ends by the clock of whoever asks.

So a lease must be longer than the time between two renewals and the difference of two replicas' clocks together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.store.tables import leases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Delete
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


class StoredLeases:
    """`bot.ports.leases.Leases` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert

    async def hold(self, name: str, *, holder: str, at: datetime, ttl: timedelta) -> bool:
        """Take or renew a lease; False when somebody else holds it."""
        statement = self._insert(leases).values(name=name, holder=holder, ends_at=at + ttl)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "ends_at": at + ttl},
            where=or_(leases.c.holder == holder, leases.c.ends_at <= at),
        )

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(statement.returning(leases.c.name))).first() is not None

        return await self._database.write(work)

    async def release(self, name: str, *, holder: str) -> None:
        """Give a lease back early; nothing happens if it is not ours."""
        await self._execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    async def expired(self, prefix: str, *, at: datetime) -> Sequence[str]:
        """Names of leases under ``prefix`` that ended without being given back, the longest ended first."""
        statement = (
            select(leases.c.name)
            .where(leases.c.ends_at <= at, func.substr(leases.c.name, 1, len(prefix)) == prefix)
            .order_by(leases.c.ends_at, leases.c.name)
        )

        async def look(connection: AsyncConnection) -> list[str]:
            return list((await connection.execute(statement)).scalars())

        return await self._database.read(look)

    async def held(self, prefix: str, *, at: datetime) -> Sequence[str]:
        """Names of leases under ``prefix`` that somebody holds at ``at``, by name."""
        statement = (
            select(leases.c.name)
            .where(leases.c.ends_at > at, func.substr(leases.c.name, 1, len(prefix)) == prefix)
            .order_by(leases.c.name)
        )

        async def look(connection: AsyncConnection) -> list[str]:
            return list((await connection.execute(statement)).scalars())

        return await self._database.read(look)

    async def drop(self, name: str) -> None:
        """Forget an expired lease. Should its holder live after all, it takes the lease anew when it next renews."""
        await self._execute(delete(leases).where(leases.c.name == name))

    async def _execute(self, statement: Delete) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.write(work)
