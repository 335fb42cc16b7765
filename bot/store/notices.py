"""Notices: kept from when something happened until somebody was told of it.

Must not decide whom a notice concerns nor how it looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.errors import StoreError
from bot.domain.ids import DeploymentId
from bot.domain.notice import Notice, NoticeKind
from bot.store.body import actor_in, actor_out, dump, enum_of, load
from bot.store.tables import notices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

_KNOWN = [kind.value for kind in NoticeKind]


def untold_notices(limit: int) -> Select[Any]:
    """Those that were not told yet, the oldest first. What only a newer build knows is left for that one to tell."""
    return (
        select(notices)
        .where(literal_column("ts IS NULL"), notices.c.kind.in_(_KNOWN))
        .order_by(notices.c.at, notices.c.key)
        .limit(literal_column(str(int(limit))))
    )


class StoredNotices:
    """`bot.ports.notices.Notices` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._insert = insert(notices).on_conflict_do_nothing(index_elements=["key"])

    async def add(self, notice: Notice) -> None:
        """Keep a notice until it was told; the same key again changes nothing."""
        body = {
            "to": notice.to,
            "by": actor_out(notice.by),
            "sentence": notice.sentence,
            "deployment": notice.deployment,
            "facts": dict(notice.facts),
        }
        row = {"key": notice.key, "kind": notice.kind.value, "at": notice.at, "body": dump(body)}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self._insert, row)

        await self._database.write(work)

    async def untold(self, *, limit: int = 50) -> Sequence[Notice]:
        """Those that were not told yet, the oldest first."""

        async def look(connection: AsyncConnection) -> list[Notice]:
            return [_notice(row) for row in (await connection.execute(untold_notices(limit))).mappings()]

        return await self._database.read(look)

    async def trying(self, key: str, *, at: datetime) -> datetime | None:
        """Put on record that it is going to be posted; when that was first recorded, or None if this is the first.

        Should the connection break while it is recorded, it may be this very time that comes back: whoever looks for
        the message in vain then posts it all the same. Raises `StoreError` also when there is no such notice.
        """
        mark = update(notices).where(notices.c.key == key, notices.c.tried_at.is_(None)).values(tried_at=at)

        async def work(connection: AsyncConnection) -> datetime | None:
            if (await connection.execute(mark)).rowcount:
                return None
            row = (await connection.execute(select(notices.c.tried_at).where(notices.c.key == key))).first()
            if row is None:
                raise StoreError(f"There is no notice {key}.")
            first: datetime = row.tried_at
            return first

        return await self._database.write(work)

    async def where(self, key: str) -> tuple[str, str] | None:
        """Where a notice was told; None when it was not yet, or is not there."""
        query = select(notices.c.channel, notices.c.ts).where(notices.c.key == key)

        async def look(connection: AsyncConnection) -> tuple[str, str] | None:
            row = (await connection.execute(query)).first()
            return None if row is None or row.ts is None else (str(row.channel), str(row.ts))

        return await self._database.read(look)

    async def told(self, key: str, *, channel: str, ts: str) -> None:
        """Record where it was posted; ``ts`` is empty when it never can be. The first word about it stands."""
        where = update(notices).where(notices.c.key == key, notices.c.ts.is_(None)).values(channel=channel, ts=ts)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(where)

        await self._database.write(work)


def _notice(row: RowMapping) -> Notice:
    body = load(row["body"], f"notice {row['key']}")
    deployment = body.get("deployment")
    return Notice(
        key=row["key"],
        to=body["to"],
        kind=enum_of(NoticeKind, row["kind"], "kind of notice"),
        at=row["at"],
        by=actor_in(body["by"]),
        sentence=body.get("sentence", ""),
        deployment=None if deployment is None else DeploymentId(deployment),
        facts=body.get("facts", {}),
    )
