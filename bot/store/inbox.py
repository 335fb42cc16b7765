"""Which human acts have been taken up. Must not know what an act is: it has a key and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.store.engine import Interrupted
from bot.store.tables import inbox

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


class StoredInbox:
    """`bot.ports.inbox.Inbox` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert

    async def begin(self, key: str, *, owner: str, at: datetime, abandoned_after: timedelta) -> bool:
        """Whether ``owner`` should work on this act now; see the port."""
        statement = self._insert(inbox).values(key=key, owner=owner, begun_at=at, finished_at=None)
        # One statement decides, so that of any number of deliveries exactly one is taken up.
        statement = statement.on_conflict_do_update(
            index_elements=["key"],
            set_={"owner": owner, "begun_at": at},
            where=inbox.c.finished_at.is_(None) & (inbox.c.owner != owner) & (inbox.c.begun_at < at - abandoned_after),
        )

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(statement.returning(inbox.c.key))).first() is not None

        try:
            return await self._database.write(work, repeatable=False)
        except Interrupted:
            # Was it us? Only then the row is exactly what we wrote.
            ours = select(inbox.c.key).where(
                inbox.c.key == key,
                inbox.c.owner == owner,
                inbox.c.begun_at == at,
                inbox.c.finished_at.is_(None),
            )

            async def look(connection: AsyncConnection) -> bool:
                return (await connection.execute(ours)).first() is not None

            return await self._database.read(look) or await self._database.write(work)

    async def finish(self, key: str, *, at: datetime) -> None:
        """Record that the act is done; the first time counts."""
        statement = update(inbox).where(inbox.c.key == key, inbox.c.finished_at.is_(None)).values(finished_at=at)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.write(work)

    async def prune(self, *, before: datetime) -> int:
        """Forget acts that began before ``before``; how many."""
        statement = delete(inbox).where(inbox.c.begun_at < before)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        return await self._database.write(work)
