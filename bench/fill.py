"""Fills a store with any number of past deployments, in one statement a table: rows as the store itself writes them.

Their events are left out: neither history nor status reads them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from bench.world import environment, service
from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment
from bot.domain.history import Event, Placement, ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, OperationId, ServiceName, new_deployment_id
from bot.domain.lifecycle import Phase
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Plan, Progress, Running
from bot.store.codec import deployment_row, proven_row
from bot.store.tables import Instant, deployments, proven

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.store import Store

SERVICES, ENVIRONMENTS = 20, 5
_NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
_ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")
_PHASES = (
    (Phase.REQUESTED, 0.0),
    (Phase.QUEUED, 0.05),
    (Phase.DEPLOYING, 0.2),
    (Phase.VERIFYING, 40.0),
    (Phase.SUCCEEDED, 43.0),
)
_BASE = 10_000_000_000_000
_NUMBERED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
# What differs between rows; everything else is the same text in all of them. Numbers run through the places in turn.
_VARYING = {
    "id": f"'d' || ({_BASE} + i)",
    "number": "i",
    "service": f"'service-' || substr(CAST(1000 + i % {SERVICES} AS TEXT), 2)",
    "environment": f"'place-' || ((i / {SERVICES}) % {ENVIRONMENTS})",
    "scope": f"'service-' || substr(CAST(1000 + i % {SERVICES} AS TEXT), 2) || '@place-' || ((i / {SERVICES}) % 5)",
    "origin": f"'trigger:' || ({_BASE} + i)",
    "turn": f"'d' || ({_BASE} + i) || '-turn'",
    "deployment_id": f"'d' || ({_BASE} + i)",
    "digest": "'sha256:' || (i % 50)",
}


async def fill(store: Store, *, past: int) -> None:
    """Write ``past`` deployments that are over, what they proved, what runs now, and three that are under way."""
    gone = _deployment(service(0), environment(0), digest="0")
    row = {**deployment_row(gone), "told_view": gone.view, "untold_since": _NOON}
    good = ProvenRelease(
        service=gone.service,
        environment=gone.environment,
        release=gone.release,
        proven_at=_NOON,
        deployment=gone.id,
        by=_ADA,
    )

    async def work(connection: AsyncConnection) -> None:
        if store.shared:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(*_bulk(deployments.name, row, past))
        await connection.execute(*_bulk(proven.name, proven_row(good), past))
        await connection.execute(
            text("INSERT INTO counters (name, value) VALUES ('deployments', :past)"), {"past": past}
        )
        if store.shared:
            await connection.execute(text("ANALYZE"))  # as a server does by itself sooner or later

    await store.database.write(work)
    for number in range(max(1, past - SERVICES * ENVIRONMENTS + 1), past + 1):
        where = service(number % SERVICES), environment(number // SERVICES % ENVIRONMENTS)
        placed = _deployment(*where, digest=str(number % 50))
        await store.releases.place(
            Placement(
                service=placed.service,
                environment=placed.environment,
                release=placed.release,
                since=_NOON,
                deployment=DeploymentId(f"d{_BASE + number}"),
                by=_ADA,
            )
        )
    for phase in (Phase.DEPLOYING, Phase.QUEUED, Phase.QUEUED):
        await _under_way(store, phase)


async def _under_way(store: Store, phase: Phase) -> None:
    name = new_deployment_id()
    found = replace(
        _deployment(service(1), environment(1), digest="new"),
        id=name,
        origin=f"trigger:{name}",
        phase=phase,
        timeline=(Moment(phase=Phase.REQUESTED, at=_NOON, actor=_ADA), Moment(phase=phase, at=_NOON, actor=BOT)),
    )
    await store.deployments.add(
        found, event=Event(deployment=name, key="requested", kind="requested", actor=_ADA, at=_NOON, after=phase)
    )


def _bulk(table: str, row: dict[str, Any], count: int) -> tuple[Any, dict[str, Any]]:
    """The statement that writes ``count`` rows like this one, and its values."""
    columns = ", ".join(row)
    values = ", ".join(_VARYING.get(name) or _literal(value) or f":{name}" for name, value in row.items())
    statement = text(f"{_NUMBERED} INSERT INTO {table} ({columns}) SELECT {values} FROM n")
    bound = {name: value for name, value in row.items() if name not in _VARYING and _literal(value) is None}
    times = [bindparam(name, type_=Instant) for name, value in bound.items() if isinstance(value, datetime)]
    return statement.bindparams(*times), {"count": count, **bound}


def _literal(value: object) -> str | None:
    """What both databases read as the same value of the same type; None for what must be bound."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''").replace(":", "\\:") + "'"
    return None


def _deployment(name: str, place: str, *, digest: str) -> Deployment:
    """A deployment that has succeeded, with all that the engine leaves in one."""
    release = Release(
        service=ServiceName(name),
        version="v1.2",
        artifact=Artifact(digest=f"sha256:{digest}", location=f"registry.example/{name}"),
    )
    before = replace(release, version="v1.1", artifact=replace(release.artifact, digest="sha256:before"))
    running = Running(release=before, healthy=2, instances=2, operation=OperationId("d1-apply-1"))
    number = DeploymentId("d10000000000001")
    return Deployment(
        id=number,
        number=0,
        service=release.service,
        environment=EnvironmentName(place),
        scope=LockScope(f"{name}@{place}"),
        release=release,
        reason="The new basket, at last",
        requester=_ADA,
        channel="#deployments",
        catalog_revision="0" * 64,
        origin="trigger:1",
        phase=Phase.SUCCEEDED,
        version=6,
        view=14,
        timeline=tuple(
            Moment(phase=phase, at=_NOON + timedelta(seconds=after), actor=BOT if after else _ADA)
            for phase, after in _PHASES
        ),
        plan=Plan(current=running, changes=("Replace v1.1 by v1.2, one instance after the other.",)),
        previous=running,
        previous_recorded=True,
        handle=Handle(operation=OperationId(f"{number}-apply-1"), generation="8"),
        progress=Progress(done=2, total=2, message="2 of 2 instances healthy"),
        turn=f"{number}:turn",
    )


def places() -> Sequence[tuple[ServiceName, EnvironmentName]]:
    """Every place that something was deployed to."""
    return [
        (ServiceName(service(number)), EnvironmentName(environment(place)))
        for number in range(SERVICES)
        for place in range(ENVIRONMENTS)
    ]
