"""Alerts and markers on either database: once, whoever is faster, and as they were."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from store_samples import CHECKOUT, NOON, STAGING, store

from bot.domain.alert import Alert, AlertOutcome, AlertSource, AlertStatus
from bot.domain.marker import Marker
from bot.store.alerts import StoredAlerts
from bot.store.markers import StoredMarkers

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.deployments import StoredDeployments
    from bot.store.engine import Database

MINUTE = timedelta(minutes=1)
EXACT = datetime(2031, 5, 17, 12, 0, 0, 123457, tzinfo=UTC)


def alert(fingerprint: str = "f1", **changes: Any) -> Alert:
    made = Alert(
        source=AlertSource.ALERTMANAGER,
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        name="High\x00Error \ud800 \U0001f525",
        service=CHECKOUT,
        environment=STAGING,
        starts_at=EXACT,
        received_at=EXACT + MINUTE,
    )
    return replace(made, **changes)


async def test_each_is_kept_once_whoever_tells_of_it_and_comes_back_as_it_was(database: Database) -> None:
    alerts = StoredAlerts(database)
    many = [alert(f"f{number}") for number in range(20)]
    added = await asyncio.gather(*(alerts.add(many[::step]) for step in (1, -1, 1, -1)))
    assert sum(added) == 20
    assert await alerts.add([]) == 0
    found = await alerts.pending(limit=100)
    assert {one.key: one for one in found} == {one.key: one for one in many}
    assert {one.key for one in found} == {one.key for one in many}
    assert len(await alerts.pending(limit=3)) == 3
    # Of another zone, it is the same instant and the same alert.
    again = alert("f1", starts_at=EXACT.astimezone(timezone(timedelta(hours=5))).astimezone(UTC))
    assert await alerts.add([again]) == 0
    # What began, what it says and who tells make another one.
    others = [
        alert("f1", starts_at=EXACT + timedelta(microseconds=1)),
        alert("f1", status=AlertStatus.RESOLVED),
        alert("f1", source=AlertSource.DATADOG),
    ]
    assert await alerts.add(others) == 3


async def test_what_became_of_it_is_recorded_by_one(database: Database, deployments: StoredDeployments) -> None:
    alerts, deployment = StoredAlerts(database), await store(deployments)
    other = await store(deployments)
    await alerts.add([alert("f1"), alert("f2")])
    await alerts.attach(alert("f1").key, deployment.id)
    await alerts.attach(alert("f1").key, other.id)
    settled = await asyncio.gather(*(alerts.settle(alert("f1").key, AlertOutcome.ATTACHED, at=NOON) for _ in range(5)))
    assert sorted(settled) == [False] * 4 + [True]
    assert [one.fingerprint for one in await alerts.pending()] == ["f2"]
    assert [one.fingerprint for one in await alerts.of(deployment.id)] == ["f1"]
    assert await alerts.of(other.id) == []

    over = alert("f1", status=AlertStatus.RESOLVED, received_at=EXACT + 9 * MINUTE)
    assert await alerts.end(replace(over, fingerprint="f3")) is None
    assert await alerts.end(replace(over, source=AlertSource.DATADOG)) is None
    assert await alerts.end(replace(over, starts_at=EXACT - MINUTE)) is None
    assert await alerts.end(alert("f2", status=AlertStatus.RESOLVED)) is None, "it belongs to none"
    assert await alerts.end(over) == deployment.id
    assert await alerts.end(replace(over, received_at=EXACT + 99 * MINUTE)) == deployment.id
    [kept] = await alerts.of(deployment.id)
    assert kept.ended_at == EXACT + 9 * MINUTE


async def test_only_what_concerned_nothing_is_forgotten(database: Database, deployments: StoredDeployments) -> None:
    alerts, deployment = StoredAlerts(database), await store(deployments)
    await alerts.add(
        [alert("attached"), alert("ignored"), alert("waits"), alert("new", received_at=EXACT + 60 * MINUTE)]
    )
    await alerts.attach(alert("attached").key, deployment.id)
    for name in ("attached", "ignored", "new"):
        await alerts.settle(alert(name).key, AlertOutcome.BEFORE, at=NOON)
    assert await alerts.prune(before=EXACT + 30 * MINUTE) == 1
    assert await alerts.add([alert("attached"), alert("ignored"), alert("waits"), alert("new")]) == 1


async def test_a_marker_is_served_by_one_at_a_time(database: Database, deployments: StoredDeployments) -> None:
    markers, deployment = StoredMarkers(database), await store(deployments)
    await asyncio.gather(*(markers.open(deployment.id, ["b", "a"], at=NOON) for _ in range(4)))
    await markers.open(deployment.id, [], at=NOON)
    assert await markers.due(before=NOON - MINUTE) == []
    first, second = await markers.due(before=NOON)
    assert (first, second.source) == (Marker(deployment=deployment.id, source="a", due_at=NOON), "b")

    claims = [replace(first, tries=1, due_at=NOON + number * MINUTE) for number in range(1, 5)]
    kept = await asyncio.gather(*(markers.keep(first, claim) for claim in claims))
    assert sorted(kept) == [False, False, False, True]
    [claim] = [claim for claim, was in zip(claims, kept, strict=True) if was]
    await markers.hasten(deployment.id, at=NOON - MINUTE)
    assert [one.source for one in await markers.due(before=NOON)] == ["b"], "one that is tried again keeps its pause"

    begun = replace(claim, tries=0, begun_at=NOON, due_at=NOON + 30 * MINUTE)
    assert await markers.keep(claim, begun)
    await markers.hasten(deployment.id, at=NOON)
    [there] = [one for one in await markers.due(before=NOON) if one.source == "a"]
    assert there == replace(begun, due_at=NOON)
    assert await markers.keep(there, replace(there, closed_at=NOON))
    assert not await markers.keep(there, replace(there, closed_at=None))
    await markers.hasten(deployment.id, at=NOON)
    assert [one.source for one in await markers.due(before=NOON + 99 * MINUTE)] == ["b"]


async def test_what_is_asked_all_the_time_has_an_index(database: Database) -> None:
    if database.dialect != "sqlite":
        return

    async def plans(connection: AsyncConnection) -> str:
        found = ""
        for statement in (
            "SELECT * FROM alerts WHERE settled_at IS NULL ORDER BY received_at, key LIMIT 100",
            "SELECT * FROM alerts WHERE deployment_id = 'd' ORDER BY starts_at",
            "SELECT * FROM markers WHERE closed_at IS NULL AND due_at <= '2031' ORDER BY due_at, deployment_id, source",
        ):
            for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")):
                found += f"{row.detail}\n"
        return found

    plan = await database.read(plans)
    for index in ("ix_alerts_pending", "ix_alerts_deployment", "ix_markers_due"):
        assert index in plan, plan
