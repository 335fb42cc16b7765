"""Which messages tell of which deployment, and which deployments have something new to tell.

Must not know what a message shows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.ids import DeploymentId
from bot.ports.messages import PostedMessage
from bot.store.tables import deployments, messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


def untold_deployments(limit: int) -> Select[Any]:
    """Deployments with something to tell, the longest waiting first."""
    return (
        select(deployments.c.id)
        .where(literal_column("view > told_view"))
        .order_by(deployments.c.untold_since, deployments.c.number)
        .limit(literal_column(str(int(limit))))
    )


class StoredMessages:
    """`bot.ports.messages.Messages` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        trying = insert(messages)
        # A place once known is never lost, and the first try of a post counts: one looks for it from there on.
        self._trying = trying.on_conflict_do_update(
            index_elements=["deployment_id", "key"],
            set_={"channel": case((messages.c.ts.is_(None), trying.excluded.channel), else_=messages.c.channel)},
        )
        posted = insert(messages)
        self._posted = posted.on_conflict_do_update(
            index_elements=["deployment_id", "key"],
            set_={name: posted.excluded[name] for name in ("channel", "ts", "digest")},
        )

    async def stale(self, *, limit: int) -> Sequence[DeploymentId]:
        """Deployments with a view newer than the one told, oldest change first."""

        async def look(connection: AsyncConnection) -> list[DeploymentId]:
            return [DeploymentId(name) for name in (await connection.execute(untold_deployments(limit))).scalars()]

        return await self._database.read(look)

    async def of(self, deployment_id: DeploymentId) -> Sequence[PostedMessage]:
        """Every message of a deployment, the root first."""
        statement = (
            select(messages)
            .where(messages.c.deployment_id == deployment_id)
            .order_by(case((messages.c.key == "root", 0), else_=1), messages.c.tried_at, messages.c.key)
        )

        async def look(connection: AsyncConnection) -> list[PostedMessage]:
            return [_message(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.read(look)

    async def trying(self, deployment_id: DeploymentId, key: str, *, channel: str, at: datetime) -> None:
        """Record before posting that it will be tried. A try that is on record keeps its time."""
        row = {"channel": channel, "ts": None, "digest": "", "tried_at": at}
        await self._execute(self._trying, {"deployment_id": deployment_id, "key": key, **row})

    async def posted(self, deployment_id: DeploymentId, key: str, *, channel: str, ts: str, digest: str) -> None:
        """Record where a message is and what it shows."""
        row = {"channel": channel, "ts": ts, "digest": digest, "tried_at": datetime.now(UTC)}
        await self._execute(self._posted, {"deployment_id": deployment_id, "key": key, **row})

    async def forget(self, deployment_id: DeploymentId, key: str) -> None:
        """Record that a message is gone or was never posted."""
        statement = delete(messages).where(messages.c.deployment_id == deployment_id, messages.c.key == key)
        await self._execute(statement, None)

    async def told(self, deployment_id: DeploymentId, view: int) -> None:
        """Record that everything up to ``view`` has been told; an older view changes nothing."""
        statement = (
            update(deployments)
            .where(deployments.c.id == deployment_id, deployments.c.told_view < view)
            .values(told_view=view, untold_since=datetime.now(UTC))
        )
        await self._execute(statement, None)

    async def find(self, channel: str, ts: str) -> PostedMessage | None:
        """The message at that place, if it is one of ours."""
        statement = select(messages).where(messages.c.channel == channel, messages.c.ts == ts).limit(1)

        async def look(connection: AsyncConnection) -> PostedMessage | None:
            row = (await connection.execute(statement)).mappings().first()
            return None if row is None else _message(row)

        return await self._database.read(look)

    async def _execute(self, statement: Any, row: dict[str, Any] | None) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement, row)

        await self._database.write(work)


def _message(row: RowMapping) -> PostedMessage:
    return PostedMessage(
        deployment=DeploymentId(row["deployment_id"]),
        key=row["key"],
        channel=row["channel"],
        ts=row["ts"],
        digest=row["digest"],
        tried_at=row["tried_at"],
    )
