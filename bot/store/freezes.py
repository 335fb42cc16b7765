"""Freezes: put and taken away in one transaction with the epoch that everybody at work looks at, and the audit.

Must not decide what a freeze holds: `bot.domain.policy.freeze` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.actor import BOT
from bot.domain.audit import AuditEntry, Deed, instant
from bot.domain.errors import NothingToDo
from bot.domain.policy.freeze import Freeze
from bot.domain.policy.scope import scope_of
from bot.store.body import actor_in, actor_out, dump, load
from bot.store.chain import append
from bot.store.epoch import raise_epoch, read_epoch
from bot.store.tables import freezes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.actor import Actor
    from bot.store.engine import Database

Act = Literal["freeze.placed", "freeze.lifted", "freeze.expired"]
"""What the audit says was done to a freeze."""

_OPEN = freezes.c.ended_at.is_(None)


def open_freezes(at: datetime) -> Select[Any]:
    """Every freeze that nobody took away and whose time has not passed."""
    return (
        select(freezes)
        .where(_OPEN, or_(freezes.c.until.is_(None), freezes.c.until > at))
        .order_by(freezes.c.at, freezes.c.id)
    )


class StoredFreezes:
    """`bot.ports.freezes.Freezes` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._insert = insert(freezes).on_conflict_do_nothing(index_elements=["id"]).returning(freezes.c.id)

    async def place(self, freeze: Freeze, *, deed: Deed | None = None) -> Freeze:
        """Put a freeze; see the port."""
        deed = deed or Deed(actor=freeze.by, at=freeze.at, reason=freeze.reason)
        row = {
            "id": freeze.id,
            "scope": freeze.scope.key,
            "at": freeze.at,
            "until": freeze.until,
            "ended_at": None,
            "body": dump({"reason": freeze.reason, "by": actor_out(freeze.by)}),
        }

        async def work(connection: AsyncConnection) -> Freeze:
            if (await connection.execute(self._insert, row)).first() is None:
                return _freeze(await self._take(connection, freeze.id))
            await raise_epoch(connection, self._database)
            await append(connection, [_act("freeze.placed", freeze, deed, after=_state(freeze))])
            return freeze

        return await self._database.write(work)

    async def lift(self, freeze_id: str, *, deed: Deed) -> Freeze:
        """Take a freeze away; see the port."""

        async def work(connection: AsyncConnection) -> Freeze:
            row = await self._take(connection, freeze_id)
            body = _body(row)
            if row["ended_at"] is not None:
                ended_by = body.get("ended_by")
                if ended_by is None:
                    raise NothingToDo("That freeze has ended by itself.")
                # Ours, should the connection have broken while it was written.
                if row["ended_at"] == deed.at and actor_in(ended_by).same_as(deed.actor):
                    return _freeze(row)
                raise NothingToDo(f"{actor_in(ended_by).name} has lifted that freeze already.")
            freeze = _freeze(row)
            changed = {"ended_at": deed.at, "body": dump({**body, "ended_by": actor_out(deed.actor)})}
            await connection.execute(update(freezes).where(freezes.c.id == freeze_id).values(changed))
            await raise_epoch(connection, self._database)
            await append(connection, [_act("freeze.lifted", freeze, deed, before=_state(freeze))])
            return freeze

        return await self._database.write(work)

    async def current(self, *, at: datetime) -> Sequence[Freeze]:
        """Every freeze that is not over at ``at``, the oldest first."""

        async def look(connection: AsyncConnection) -> list[Freeze]:
            return [_freeze(row) for row in (await connection.execute(open_freezes(at))).mappings()]

        return await self._database.read(look)

    async def expire(self, *, at: datetime) -> Sequence[Freeze]:
        """Record the end of those whose time has passed; each comes back once."""
        ended = update(freezes).where(_OPEN, freezes.c.until <= at).values(ended_at=freezes.c.until)

        async def work(connection: AsyncConnection) -> list[Freeze]:
            found = [_freeze(row) for row in (await connection.execute(ended.returning(*freezes.c))).mappings()]
            found.sort(key=lambda freeze: (freeze.until or freeze.at, freeze.id))
            deeds = [(freeze, Deed(actor=BOT, at=freeze.until or freeze.at)) for freeze in found]
            await append(
                connection, [_act("freeze.expired", freeze, deed, before=_state(freeze)) for freeze, deed in deeds]
            )
            return found

        return await self._database.write(work)

    async def ended(self, *, since: datetime) -> Sequence[tuple[Freeze, Actor | None]]:
        """Those that ended at ``since`` or later, each with who took it away; see the port."""
        statement = select(freezes).where(freezes.c.ended_at >= since).order_by(freezes.c.ended_at, freezes.c.id)

        async def look(connection: AsyncConnection) -> list[tuple[Freeze, Actor | None]]:
            found = []
            for row in (await connection.execute(statement)).mappings():
                by = _body(row).get("ended_by")
                found.append((_freeze(row).lifted(row["ended_at"]), None if by is None else actor_in(by)))
            return found

        return await self._database.read(look)

    async def epoch(self) -> int:
        """Rises with every lock and freeze that is put, changed or taken away."""
        return await read_epoch(self._database)

    async def _take(self, connection: AsyncConnection, freeze_id: str) -> RowMapping:
        statement = select(freezes).where(freezes.c.id == freeze_id).with_for_update()
        row = (await connection.execute(statement)).mappings().first()
        if row is None:
            raise NothingToDo("There is no such freeze.")
        return row


def _body(row: RowMapping) -> dict[str, Any]:
    return load(row["body"], f"freeze {row['id']}")


def _freeze(row: RowMapping) -> Freeze:
    body = _body(row)
    return Freeze(
        id=row["id"],
        scope=scope_of(row["scope"]),
        reason=body.get("reason", ""),
        by=actor_in(body["by"]),
        at=row["at"],
        until=row["until"],
    )


def _act(act: Act, freeze: Freeze, deed: Deed, *, before: str = "", after: str = "") -> AuditEntry:
    return AuditEntry(
        act=act,
        object=f"freeze:{freeze.id}",
        about=freeze.scope.key,
        before=before,
        after=after,
        deed=deed,
    )


def _state(freeze: Freeze) -> str:
    """What a freeze is, in one line of the audit."""
    until = f", until {instant(freeze.until)}" if freeze.until else ""
    return f"from {instant(freeze.at)}{until}"
