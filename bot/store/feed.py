"""The bot's record as somebody else's process may watch it: which deployments a person touched, and how far they came.

Only reads; give it a database that was opened with ``read_only=True``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, or_, select

from bot.domain.errors import UnknownDeployment
from bot.domain.history import Touch
from bot.store.tables import deployments, events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


def touches_of(actor: str, since: int) -> Select[Any]:
    """What an actor did after an event."""
    return (
        select(events.c.deployment_id, events.c.kind)
        .where(events.c.sequence > since, events.c.actor_id == actor)
        .order_by(events.c.sequence)
    )


class DatabaseFeed:
    """Deployments by their events. Every method raises `StoreError` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marker(self) -> int:
        """The number of the newest event; 0 before the first."""
        newest: int | None = await self._scalar(select(func.max(events.c.sequence)))
        return newest or 0

    async def touched(self, *, actor: str, since: int) -> Sequence[Touch]:
        """What this person started or acted on after event ``since``, oldest first."""

        async def look(connection: AsyncConnection) -> list[Touch]:
            rows = await connection.execute(touches_of(actor, since))
            return [Touch(row.deployment_id, row.kind == "requested") for row in rows]

        return await self._database.read(look)

    async def reached(self, deployment_id: str, phase: str, *, since: int) -> bool:
        """Whether it is in that phase now or came into it after event ``since``."""
        is_there = exists().where(deployments.c.id == deployment_id, deployments.c.phase == phase)
        came_there = exists().where(
            events.c.deployment_id == deployment_id, events.c.sequence > since, events.c.after == phase
        )
        return bool(await self._scalar(select(or_(is_there, came_there))))

    async def phase(self, deployment_id: str) -> str:
        """The phase that it is in now; raises `UnknownDeployment`."""
        found: str | None = await self._scalar(select(deployments.c.phase).where(deployments.c.id == deployment_id))
        if found is None:
            raise UnknownDeployment(f"There is no deployment {deployment_id}.")
        return found

    async def _scalar(self, statement: Select[Any]) -> Any:
        async def look(connection: AsyncConnection) -> Any:
            return (await connection.execute(statement)).scalar()

        return await self._database.read(look)
