"""Texts of the catalog by their digest. Must not read what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.store.tables import catalog_revisions

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


class StoredCatalogRevisions:
    """`bot.ports.revisions.CatalogRevisions` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._save = insert(catalog_revisions).on_conflict_do_nothing(index_elements=["revision"])

    async def save(self, revision: str, *, name: str, text: str) -> None:
        """Keep a text; saving it again changes nothing."""
        row = {"revision": revision, "name": name, "text": text}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self._save, row)

        await self._database.write(work)

    async def text(self, revision: str) -> tuple[str, str] | None:
        """Name of the file and its text, or None when that revision is unknown."""
        statement = select(catalog_revisions).where(catalog_revisions.c.revision == revision)

        async def look(connection: AsyncConnection) -> tuple[str, str] | None:
            row = (await connection.execute(statement)).first()
            return None if row is None else (row.name, row.text)

        return await self._database.read(look)
