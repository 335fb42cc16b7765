"""Due instants of deployments: each change under the lock of its row, with its audit in the same transaction.

Must not start anything: whoever asks what is due does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, literal_column, select, update

from bot.domain.audit import AuditEntry, about_deployment, instant
from bot.domain.errors import NothingToDo, SomebodyWasFaster, UnknownDeployment
from bot.domain.ids import DeploymentId
from bot.domain.schedule import Schedule
from bot.store.body import actor_in, actor_out, dump, load
from bot.store.chain import append
from bot.store.codec import deployment_of
from bot.store.tables import deployments, schedules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.audit import Deed
    from bot.domain.deployment import Deployment
    from bot.store.engine import Database

Act = Literal["schedule.set", "schedule.moved", "schedule.cancelled", "schedule.fired", "schedule.expired"]
"""What the audit says was done to a schedule."""
End = Literal["cancelled", "fired", "expired"]

_OPEN = schedules.c.ended_at.is_(None)


def open_schedules() -> Select[Any]:
    """Every time that is waited for, the next one first."""
    return select(schedules).where(_OPEN).order_by(schedules.c.at, schedules.c.deployment_id)


def due_schedules(before: datetime, limit: int) -> Select[Any]:
    """Those whose time has come, the longest due first."""
    return open_schedules().where(schedules.c.at <= before).limit(literal_column(str(int(limit))))


class StoredSchedules:
    """`bot.ports.schedules.Schedules` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, deployment_id: DeploymentId, *, at: datetime, expires: datetime, deed: Deed) -> Schedule:
        """Give a deployment its time; see the port."""
        _check(at, expires)

        async def work(connection: AsyncConnection) -> Schedule:
            deployment, row = await _take(connection, deployment_id)
            values: dict[str, Any] = {"at": at, "expires": expires, "ended_at": None}
            values["body"] = dump({"by": actor_out(deed.actor)})
            if row is None:
                made = Schedule(deployment=deployment_id, at=at, expires=expires, by=deed.actor)
                await connection.execute(insert(schedules).values(deployment_id=deployment_id, version=1, **values))
            else:
                there = _schedule(row)
                made = Schedule(
                    deployment=deployment_id, at=at, expires=expires, by=deed.actor, version=there.version + 1
                )
                if row["ended_at"] is None:
                    if (there.at, there.expires) == (at, expires):
                        return there
                    raise SomebodyWasFaster(f"{there.by.name} has given it a time already.", hint="Move it instead.")
                await connection.execute(_change(deployment_id).values(version=made.version, **values))
            await append(connection, [_act("schedule.set", deployment, deed, after=_state(made))])
            return made

        return await self._database.write(work)

    async def of(self, deployment_id: DeploymentId) -> Schedule | None:
        """The time that a deployment waits for."""
        found = await self._all(open_schedules().where(schedules.c.deployment_id == deployment_id))
        return found[0] if found else None

    async def due(self, *, before: datetime, limit: int = 100) -> Sequence[Schedule]:
        """Those that are due at ``before`` or earlier, expired ones too, the longest due first."""
        return await self._all(due_schedules(before, limit))

    async def all(self) -> Sequence[Schedule]:
        """Every one that is open, in the order of their times."""
        return await self._all(open_schedules())

    async def move(
        self, deployment_id: DeploymentId, *, at: datetime, expires: datetime, deed: Deed, version: int | None = None
    ) -> Schedule:
        """Change the time; see the port."""
        _check(at, expires)

        async def work(connection: AsyncConnection) -> Schedule:
            deployment, row = await _take(connection, deployment_id)
            before = _waiting(row)
            if (before.at, before.expires) == (at, expires):
                return before
            _still_at(version, before)
            moved = Schedule(
                deployment=deployment_id, at=at, expires=expires, by=deed.actor, version=before.version + 1
            )
            values = {"at": at, "expires": expires, "body": dump({"by": actor_out(deed.actor)})}
            await connection.execute(_change(deployment_id).values(version=moved.version, **values))
            await append(
                connection, [_act("schedule.moved", deployment, deed, before=_state(before), after=_state(moved))]
            )
            return moved

        return await self._database.write(work)

    async def cancel(self, deployment_id: DeploymentId, *, deed: Deed, version: int | None = None) -> Schedule:
        """Take the time away; see the port."""

        async def work(connection: AsyncConnection) -> Schedule:
            deployment, row = await _take(connection, deployment_id)
            if row is not None and row["ended_at"] == deed.at and _ended_by(row) == deed.actor.id:
                return _schedule(row)  # ours, should the connection have broken while it was written
            before = _waiting(row)
            _still_at(version, before)
            await _end(connection, before, "cancelled", deployment, deed)
            return before

        return await self._database.write(work)

    async def close(
        self, deployment_id: DeploymentId, *, deed: Deed, expired: bool = False, version: int | None = None
    ) -> bool:
        """Record that the time came, or that it came too late; see the port."""

        async def work(connection: AsyncConnection) -> bool:
            deployment, row = await _take(connection, deployment_id)
            if row is None or row["ended_at"] is not None:
                return row is not None and row["ended_at"] == deed.at and _ended_by(row) == deed.actor.id
            if version not in {None, row["version"]}:
                return False
            await _end(connection, _schedule(row), "expired" if expired else "fired", deployment, deed)
            return True

        return await self._database.write(work)

    async def _all(self, statement: Select[Any]) -> list[Schedule]:
        async def look(connection: AsyncConnection) -> list[Schedule]:
            return [_schedule(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.read(look)


async def _take(connection: AsyncConnection, deployment_id: DeploymentId) -> tuple[Deployment, RowMapping | None]:
    """The deployment and its row here, which nobody else changes until we are done; raises `UnknownDeployment`."""
    statement = select(deployments).where(deployments.c.id == deployment_id).with_for_update()
    found = (await connection.execute(statement)).mappings().first()
    if found is None:
        raise UnknownDeployment(f"There is no deployment {deployment_id}.")
    # That lock is enough: nobody comes to this row past the deployment's.
    row = (await connection.execute(select(schedules).where(schedules.c.deployment_id == deployment_id))).mappings()
    return deployment_of(found), row.first()


_ENDS: dict[End, Act] = {"cancelled": "schedule.cancelled", "fired": "schedule.fired", "expired": "schedule.expired"}


async def _end(connection: AsyncConnection, before: Schedule, how: End, deployment: Deployment, deed: Deed) -> None:
    body = dump({"by": actor_out(before.by), "ended_by": actor_out(deed.actor), "how": how})
    values = {"ended_at": deed.at, "version": before.version + 1, "body": body}
    await connection.execute(_change(before.deployment).values(values))
    await append(connection, [_act(_ENDS[how], deployment, deed, before=_state(before))])


def _change(deployment_id: DeploymentId) -> Any:
    return update(schedules).where(schedules.c.deployment_id == deployment_id)


def _waiting(row: RowMapping | None) -> Schedule:
    """What is waited for; raises `NothingToDo`."""
    if row is None:
        raise NothingToDo("It waits for no time.")
    if row["ended_at"] is not None:
        body = load(row["body"], f"schedule of {row['deployment_id']}")
        how, who = body.get("how", "ended"), actor_in(body["ended_by"]).name
        raise NothingToDo(f"{who} has cancelled it already." if how == "cancelled" else f"It has {how} already.")
    return _schedule(row)


def _still_at(version: int | None, found: Schedule) -> None:
    """Raise `SomebodyWasFaster` if it changed since somebody looked."""
    if version is not None and version != found.version:
        raise SomebodyWasFaster(f"{found.by.name} has moved it meanwhile.")


def _ended_by(row: RowMapping) -> str | None:
    ended_by = load(row["body"], f"schedule of {row['deployment_id']}").get("ended_by")
    return None if ended_by is None else actor_in(ended_by).id


def _check(at: datetime, expires: datetime) -> None:
    if expires <= at:
        raise ValueError("A deployment must expire after it is due.")


def _schedule(row: RowMapping) -> Schedule:
    body = load(row["body"], f"schedule of {row['deployment_id']}")
    return Schedule(
        deployment=DeploymentId(row["deployment_id"]),
        at=row["at"],
        expires=row["expires"],
        by=actor_in(body["by"]),
        version=row["version"],
    )


def _act(act: Act, deployment: Deployment, deed: Deed, *, before: str = "", after: str = "") -> AuditEntry:
    return AuditEntry(
        act=act,
        object=f"deployment:{deployment.id}",
        about=about_deployment(deployment),
        before=before,
        after=after,
        deed=deed,
    )


def _state(schedule: Schedule) -> str:
    """When it is due, in one line of the audit."""
    return f"at {instant(schedule.at)}, expires {instant(schedule.expires)}"
