"""Locks of people: each change under the lock of its row, with the epoch and the audit in the same transaction.

Must not decide whom a lock holds: `bot.domain.policy.lock` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.actor import BOT, ActorKind
from bot.domain.audit import AuditEntry, Deed, instant
from bot.domain.errors import NothingToDo, SomebodyWasFaster, StoreError
from bot.domain.policy.lock import ChangeType, LockLevel, StickyLock
from bot.domain.policy.scope import scope_of
from bot.store.body import actor_in, actor_out, dump, enum_of, instant_in, instant_out, load
from bot.store.chain import append
from bot.store.epoch import raise_epoch
from bot.store.tables import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.actor import Actor
    from bot.store.engine import Database

Act = Literal["lock.placed", "lock.lifted", "lock.extended", "lock.taken_over", "lock.expired"]
"""What the audit says was done to a lock."""

_ALONE = ("scope", "change_type", "level", "automatic", "apart")
"""In which an open lock differs from every other."""
_OPEN = locks.c.ended_at.is_(None)


def open_locks(at: datetime) -> Select[Any]:
    """Every lock that nobody took away and whose time has not passed."""
    return select(locks).where(_OPEN, or_(locks.c.until.is_(None), locks.c.until > at)).order_by(locks.c.at, locks.c.id)


class StoredLocks:
    """`bot.ports.locks.Locks` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._insert = insert(locks).on_conflict_do_nothing().returning(locks.c.id)

    async def place(self, lock: StickyLock, *, deed: Deed | None = None) -> StickyLock:
        """Put a lock; see the port."""
        deed = deed or Deed(actor=lock.owner, at=lock.at, reason=lock.reason)
        row = _row(lock)
        alike = and_(*(locks.c[name] == row[name] for name in _ALONE))

        async def work(connection: AsyncConnection) -> StickyLock:
            acts = await self._end(connection, and_(alike, locks.c.until <= deed.at))
            if (await connection.execute(self._insert, row)).first() is None:
                return await self._there(connection, lock, alike)
            await raise_epoch(connection, self._database)
            await append(connection, [*(act for _, act in acts), _act("lock.placed", lock, deed, after=_state(lock))])
            return lock

        return await self._write(work)

    async def lift(self, lock_id: str, *, deed: Deed) -> StickyLock:
        """Take a lock away; see the port."""

        async def work(connection: AsyncConnection) -> StickyLock:
            row = await self._take(connection, lock_id)
            lock = _lock(row)
            if row["ended_at"] is not None:
                # Ours, should the connection have broken while it was written.
                by = _ended_by(row)
                if by is not None and by.same_as(deed.actor) and row["ended_at"] == deed.at:
                    return lock
                raise _over(row)
            body = {**_body(row), "ended_by": actor_out(deed.actor)}
            ended = update(locks).where(locks.c.id == lock_id).values(ended_at=deed.at, body=dump(body))
            await connection.execute(ended)
            await raise_epoch(connection, self._database)
            await append(connection, [_act("lock.lifted", lock, deed, before=_state(lock))])
            return lock

        return await self._write(work)

    async def extend(self, lock_id: str, *, longer: timedelta, deed: Deed) -> StickyLock:
        """Record that a lock is needed for so much longer from now."""
        return await self._change(lock_id, "lock.extended", lambda lock: lock.kept(deed.at, longer), deed)

    async def take_over(self, lock_id: str, *, deed: Deed, owner: Actor | None = None) -> StickyLock:
        """Make it the actor's, with their reason; see the port."""

        def change(lock: StickyLock) -> StickyLock:
            taken = lock.taken_over(deed.actor, deed.reason, deed.at)
            # Already as it is to be: ours, should the connection have broken while it was written.
            if taken != lock and owner is not None and not lock.owner.same_as(owner):
                raise SomebodyWasFaster(f"{lock.owner.name} has taken that lock over meanwhile: {lock.reason}.")
            return taken

        return await self._change(lock_id, "lock.taken_over", change, deed)

    async def current(self, *, at: datetime) -> Sequence[StickyLock]:
        """Every lock that is not over at ``at``, the oldest first."""

        async def look(connection: AsyncConnection) -> list[StickyLock]:
            return [_lock(row) for row in (await connection.execute(open_locks(at))).mappings()]

        return await self._database.read(look)

    async def expire(self, *, at: datetime) -> Sequence[StickyLock]:
        """Record the end of those whose time has passed; each comes back once."""

        async def work(connection: AsyncConnection) -> list[StickyLock]:
            acts = await self._end(connection, locks.c.until <= at)
            await append(connection, [act for _, act in acts])
            return [lock for lock, _ in acts]

        return await self._database.write(work)

    async def ended(self, *, since: datetime) -> Sequence[tuple[StickyLock, Actor | None]]:
        """Those that ended at ``since`` or later, each with who took it away; see the port."""
        statement = select(locks).where(locks.c.ended_at >= since).order_by(locks.c.ended_at, locks.c.id)

        async def look(connection: AsyncConnection) -> list[tuple[StickyLock, Actor | None]]:
            rows = (await connection.execute(statement)).mappings()
            return [(_lock(row).lifted(row["ended_at"]), _ended_by(row)) for row in rows]

        return await self._database.read(look)

    async def _change(
        self, lock_id: str, act: Act, change: Callable[[StickyLock], StickyLock], deed: Deed
    ) -> StickyLock:
        async def work(connection: AsyncConnection) -> StickyLock:
            row = await self._take(connection, lock_id)
            lock = _lock(row)
            if row["ended_at"] is not None or (lock.until is not None and lock.until <= deed.at):
                raise _over(row)
            changed = change(lock)
            if changed == lock:
                return lock
            await connection.execute(update(locks).where(locks.c.id == lock_id).values(_changed(changed)))
            await raise_epoch(connection, self._database)
            await append(connection, [_act(act, lock, deed, before=_state(lock), after=_state(changed))])
            return changed

        return await self._write(work)

    async def _take(self, connection: AsyncConnection, lock_id: str) -> RowMapping:
        statement = select(locks).where(locks.c.id == lock_id).with_for_update()
        row = (await connection.execute(statement)).mappings().first()
        if row is None:
            raise NothingToDo("There is no such lock.")
        return row

    async def _there(self, connection: AsyncConnection, lock: StickyLock, alike: ColumnElement[bool]) -> StickyLock:
        """The lock that was to be put, if it has been; raises `SomebodyWasFaster` when another one is in its place."""
        ours = (await connection.execute(select(locks).where(locks.c.id == lock.id))).mappings().first()
        if ours is not None:
            return _lock(ours)
        other = (await connection.execute(select(locks).where(_OPEN, alike))).mappings().first()
        if other is None:
            raise StoreError("The lock is being changed by somebody else; nothing was changed.")
        raise SomebodyWasFaster(f"{_lock(other).sentence}.", hint="Lift that lock first, or take it over.")

    async def _end(
        self, connection: AsyncConnection, which: ColumnElement[bool]
    ) -> list[tuple[StickyLock, AuditEntry]]:
        """Record the end of those of ``which`` that are still open; each with what the audit says about it."""
        ended = update(locks).where(_OPEN, which).values(ended_at=locks.c.until).returning(*locks.c)
        found = [_lock(row) for row in (await connection.execute(ended)).mappings()]
        found.sort(key=lambda lock: (lock.until or lock.at, lock.id))
        return [
            (lock, _act("lock.expired", lock, Deed(actor=BOT, at=lock.until or lock.at), before=_state(lock)))
            for lock in found
        ]

    async def _write(self, work: Callable[[AsyncConnection], Any]) -> StickyLock:
        lock: StickyLock = await self._database.write(work)
        return lock


def _row(lock: StickyLock) -> dict[str, Any]:
    return {
        "id": lock.id,
        "scope": lock.scope.key,
        "change_type": lock.change_type.value,
        "level": lock.level.value,
        "automatic": lock.automatic,
        "apart": _apart(lock),
        "at": lock.at,
        "until": lock.until,
        "ended_at": None,
        "body": dump(
            {
                "reason": lock.reason,
                "owner": actor_out(lock.owner),
                "hard": lock.hard,
                "pause": lock.pause,
                "incident": lock.incident,
                "kept_until": instant_out(lock.kept_until) if lock.kept_until else None,
                "taken_from": actor_out(lock.taken_from) if lock.taken_from else None,
            }
        ),
    }


def _changed(lock: StickyLock) -> dict[str, Any]:
    """The row of a lock that is there already: whose it is by now does not make it another incident's."""
    return {name: value for name, value in _row(lock).items() if name != "apart"}


def _apart(lock: StickyLock) -> str:
    """What lets a lock stand beside others of its kind: a system's lock is of one incident, and ends with it."""
    system = lock.owner.kind is ActorKind.SERVICE_ACCOUNT
    return f"{lock.owner.id} {lock.incident}" if system and lock.incident else ""


def _lock(row: RowMapping) -> StickyLock:
    body = _body(row)
    kept_until, taken_from = body.get("kept_until"), body.get("taken_from")
    return StickyLock(
        id=row["id"],
        scope=scope_of(row["scope"]),
        change_type=enum_of(ChangeType, row["change_type"], "kind of change"),
        level=enum_of(LockLevel, row["level"], "level of a lock"),
        automatic=row["automatic"],
        at=row["at"],
        until=row["until"],
        reason=body.get("reason", ""),
        owner=actor_in(body["owner"]),
        hard=body.get("hard", False),
        pause=body.get("pause", False),
        incident=body.get("incident"),
        kept_until=None if kept_until is None else instant_in(kept_until),
        taken_from=None if taken_from is None else actor_in(taken_from),
    )


def _body(row: RowMapping) -> dict[str, Any]:
    return load(row["body"], f"lock {row['id']}")


def _ended_by(row: RowMapping) -> Actor | None:
    by = _body(row).get("ended_by")
    return None if by is None else actor_in(by)


def _over(row: RowMapping) -> NothingToDo:
    by = _ended_by(row)
    return NothingToDo(f"{by.name} has lifted that lock already." if by else "That lock has ended by itself.")


def _act(act: Act, lock: StickyLock, deed: Deed, *, before: str = "", after: str = "") -> AuditEntry:
    return AuditEntry(act=act, object=f"lock:{lock.id}", about=lock.scope.key, before=before, after=after, deed=deed)


def _state(lock: StickyLock) -> str:
    """What a lock is, in one line of the audit."""
    words = [lock.level.value, lock.change_type.value, f"owner {lock.owner.id}"]
    words += ["hard"] * lock.hard + ["pause"] * lock.pause + ["automatic"] * lock.automatic
    words += [f"until {instant(lock.until)}"] if lock.until else []
    words += [f"kept until {instant(lock.kept_until)}"] if lock.kept_until else []
    words += [f"incident {lock.incident}"] if lock.incident else []
    return ", ".join(words)
