"""Alerts that others told us of. Must not decide which deployment one belongs to, nor what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.alert import Alert, AlertSource, AlertStatus
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.store.body import dump, enum_of, load
from bot.store.tables import alerts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.alert import AlertOutcome
    from bot.store.engine import Database

_FIRING = AlertStatus.FIRING.value


def pending_alerts(limit: int) -> Select[Any]:
    """Those of which nothing became yet, the oldest first."""
    return (
        select(alerts)
        .where(literal_column("settled_at IS NULL"))
        .order_by(alerts.c.received_at, alerts.c.key)
        .limit(literal_column(str(int(limit))))
    )


def alerts_of(deployment_id: DeploymentId) -> Select[Any]:
    """Those that belong to a deployment, the oldest first."""
    return (
        select(alerts).where(alerts.c.deployment_id == deployment_id).order_by(alerts.c.starts_at, alerts.c.received_at)
    )


class StoredAlerts:
    """`bot.ports.alerts.Alerts` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        # What it returns tells whether it was new: PostgreSQL's driver does not count what it inserts.
        self._insert = insert(alerts).on_conflict_do_nothing(index_elements=["key"]).returning(alerts.c.key)

    async def add(self, alerts: Sequence[Alert]) -> int:
        """Keep those that are not there yet; see the port."""
        rows = [_row(one) for one in sorted(alerts, key=lambda one: one.key)]

        async def work(connection: AsyncConnection) -> int:
            return sum([(await connection.execute(self._insert, row)).first() is not None for row in rows])

        return await self._database.write(work) if rows else 0

    async def pending(self, *, limit: int = 100) -> Sequence[Alert]:
        """Those of which nothing became yet; see the port."""
        return await self._all(pending_alerts(limit))

    async def attach(self, key: str, deployment_id: DeploymentId) -> None:
        """Record which deployment an alert belongs to; the first word stands."""
        statement = update(alerts).where(alerts.c.key == key, alerts.c.deployment_id.is_(None))
        await self._change(statement.values(deployment_id=deployment_id))

    async def end(self, alert: Alert) -> DeploymentId | None:
        """Record that an alert is over; see the port."""
        there = (
            select(alerts)
            .where(
                alerts.c.source == alert.source.value,
                alerts.c.fingerprint == alert.fingerprint,
                alerts.c.starts_at <= alert.starts_at,
                alerts.c.status == _FIRING,
                alerts.c.deployment_id.is_not(None),
            )
            .order_by(alerts.c.starts_at.desc())
            .limit(1)
        )

        async def work(connection: AsyncConnection) -> DeploymentId | None:
            row = (await connection.execute(there)).mappings().first()
            if row is None:
                return None
            over = update(alerts).where(alerts.c.key == row["key"], alerts.c.ended_at.is_(None))
            await connection.execute(over.values(ended_at=alert.received_at))
            return DeploymentId(row["deployment_id"])

        return await self._database.write(work)

    async def settle(self, key: str, outcome: AlertOutcome, *, at: datetime) -> bool:
        """Record what became of an alert; see the port."""
        statement = update(alerts).where(alerts.c.key == key, alerts.c.settled_at.is_(None))
        return await self._change(statement.values(outcome=outcome.value, settled_at=at)) > 0

    async def of(self, deployment_id: DeploymentId) -> Sequence[Alert]:
        """Those that belong to a deployment."""
        return await self._all(alerts_of(deployment_id))

    async def prune(self, *, before: datetime) -> int:
        """Forget what concerned nothing; see the port."""
        old = (alerts.c.received_at < before, alerts.c.settled_at.is_not(None), alerts.c.deployment_id.is_(None))
        return await self._change(delete(alerts).where(*old))

    async def _change(self, statement: Any) -> int:
        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(statement)).rowcount)

        return await self._database.write(work)

    async def _all(self, statement: Select[Any]) -> list[Alert]:
        async def look(connection: AsyncConnection) -> list[Alert]:
            return [_alert(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.read(look)


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "source": alert.source.value,
        "fingerprint": alert.fingerprint,
        "status": alert.status.value,
        "service": alert.service,
        "environment": alert.environment,
        "starts_at": alert.starts_at,
        "received_at": alert.received_at,
        "body": dump({"name": alert.name}),
    }


def _alert(row: RowMapping) -> Alert:
    body = load(row["body"], f"alert {row['key']}")
    return Alert(
        source=enum_of(AlertSource, row["source"], "source of alerts"),
        fingerprint=row["fingerprint"],
        status=enum_of(AlertStatus, row["status"], "status of an alert"),
        name=body.get("name", ""),
        service=ServiceName(row["service"]),
        environment=EnvironmentName(row["environment"]),
        starts_at=row["starts_at"],
        received_at=row["received_at"],
        ended_at=row["ended_at"],
    )
