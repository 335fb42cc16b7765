"""Gates by compare-and-swap; looks at the platform beside them, the newest wins. Must not decide what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.errors import SomebodyWasFaster
from bot.domain.gate import Gate, Goal, Sighting
from bot.store.body import dump, enum_of, instant_in, instant_out, load, maybe
from bot.store.tables import gates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database


class StoredGates:
    """`bot.ports.gates.Gates` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert

    async def get(self, key: str) -> Gate:
        """The gate of a place; see the port."""
        statement = select(gates).where(gates.c.key == key)

        async def look(connection: AsyncConnection) -> Gate:
            row = (await connection.execute(statement)).mappings().first()
            return Gate(key=key) if row is None else _gate(row)

        return await self._database.read(look)

    async def keys(self) -> Sequence[str]:
        """Every place that ever had a gate."""

        async def look(connection: AsyncConnection) -> list[str]:
            return list((await connection.execute(select(gates.c.key))).scalars())

        return await self._database.read(look)

    async def put(self, gate: Gate, *, blind: bool = False) -> Gate:
        """Store it if nobody has changed it; see the port."""
        body, version = _body(gate), gate.version + 1
        unseen: dict[str, Any] = {"seen_at": None, "seen": None} if blind else {}

        async def work(connection: AsyncConnection) -> Gate:
            statement = select(gates).where(gates.c.key == gate.key).with_for_update()
            row = (await connection.execute(statement)).mappings().first()
            values = {"version": version, "body": body, **unseen}
            if row is None:
                insert = self._insert(gates).on_conflict_do_nothing(index_elements=["key"]).returning(gates.c.key)
                if gate.version or (await connection.execute(insert, {"key": gate.key, **values})).first() is None:
                    raise SomebodyWasFaster("The gate was changed by somebody else.")
            elif (row["version"], row["body"]) != (version, body):  # else ours, should the connection have broken
                if row["version"] != gate.version:
                    raise SomebodyWasFaster("The gate was changed by somebody else.")
                await connection.execute(update(gates).where(gates.c.key == gate.key).values(values))
            stored = (await connection.execute(select(gates).where(gates.c.key == gate.key))).mappings().one()
            return _gate(stored)

        return await self._database.write(work)

    async def saw(self, key: str, sighting: Sighting) -> None:
        """Record a look, unless there is a newer one."""
        statement = (
            update(gates)
            .where(gates.c.key == key, or_(gates.c.seen_at.is_(None), gates.c.seen_at < sighting.at))
            .values(seen_at=sighting.at, seen=_sighting_out(sighting))
        )

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.write(work)


def _body(gate: Gate) -> str:
    return dump(
        {
            "held": gate.held,
            "goal": gate.goal.value,
            "operation": gate.operation,
            "base": gate.base,
            "digest": gate.digest,
            "uid": gate.uid,
            "percent": gate.percent,
            "ceiling": gate.ceiling,
            "promote": gate.promote,
            "rollback": gate.rollback,
            "steps": list(gate.steps),
            "before": list(gate.before),
            "to": gate.to,
            "unskip": gate.unskip,
            "checksum": gate.checksum,
            "granted": gate.granted,
            "granted_at": maybe(gate.granted_at, instant_out),
            "past": [list(one) for one in gate.past],
        }
    )


def _gate(row: RowMapping) -> Gate:
    body = load(row["body"], "gate")
    return Gate(
        key=row["key"],
        held=body["held"],
        goal=enum_of(Goal, body["goal"], "goal of a gate"),
        operation=body["operation"],
        base=body["base"],
        digest=body["digest"],
        uid=body["uid"],
        percent=body["percent"],
        ceiling=body["ceiling"],
        promote=body["promote"],
        rollback=body["rollback"],
        steps=tuple(body["steps"]),
        before=tuple(body["before"]),
        to=body["to"],
        unskip=body["unskip"],
        checksum=body["checksum"],
        granted=body["granted"],
        granted_at=maybe(body["granted_at"], instant_in),
        past=tuple((operation, told) for operation, told in body["past"]),
        seen=None if row["seen"] is None else _sighting_in(row),
        version=row["version"],
    )


def _sighting_out(sighting: Sighting) -> str:
    return dump(
        {
            "phase": sighting.phase,
            "weight": sighting.weight,
            "digest": sighting.digest,
            "going_on": sighting.going_on,
            "begun": sighting.begun,
        }
    )


def _sighting_in(row: RowMapping) -> Sighting:
    seen = load(row["seen"], "look at a canary")
    return Sighting(
        at=row["seen_at"],
        phase=seen["phase"],
        weight=seen["weight"],
        digest=seen["digest"],
        going_on=seen["going_on"],
        begun=seen["begun"],
    )
