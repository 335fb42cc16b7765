"""A number that rises whenever a person changes what may happen: whoever acted on the rules looks whether it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.store.tables import counters

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

_NAME = "policy_epoch"
_READ = select(counters.c.value).where(counters.c.name == _NAME)


async def raise_epoch(connection: AsyncConnection, database: Database) -> None:
    """Raise it in the transaction that changes the rules."""
    insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
    statement = insert(counters).values(name=_NAME, value=1)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1})
    )


async def read_epoch(database: Database) -> int:
    """What it is now; 0 before the first change."""

    async def look(connection: AsyncConnection) -> int:
        return (await connection.execute(_READ)).scalar() or 0

    return await database.read(look)
