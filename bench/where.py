"""What runs where in a large organisation: asked of the store and drawn, as for `/deploy where`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert

from bench.asking import queries_of
from bench.past import databases
from bench.report import Aim, Found, Row, percentile
from bench.world import environment, prepare, service
from bot.bootstrap import check_catalog
from bot.domain.actor import Actor
from bot.domain.history import Placement
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.release import Artifact, Release
from bot.slack.render import answers
from bot.store.codec import placement_row
from bot.store.store import Store
from bot.store.tables import placements

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.catalog import Catalog

_SERVICES, _ENVIRONMENTS = 500, 5
_LOOKS = 60
_NOWHERE = "{ target: { type: local, root: platform }, images: { type: local, folder: artifacts } }"
_NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
_ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")


async def measure(folder: Path) -> Found:
    """On SQLite, and on PostgreSQL when its wheel is installed."""
    prepare(folder, services=_SERVICES, environments=_ENVIRONMENTS, block=_NOWHERE)
    catalog = check_catalog(folder / ".deploy" / "config.yaml")
    rows: list[Row] = []
    details: dict[str, object] = {}
    for name, url, _ in databases(folder):
        asked, drawn, one = await _looks(url, catalog)
        whole = [a + b for a, b in zip(asked, drawn, strict=True)]
        what = f"where, {_SERVICES} × {_ENVIRONMENTS}, {name}"
        rows.append(Row(name=f"{what}, p50", measured=percentile(whole, 0.5), unit="ms", aim=Aim(limit=50)))
        rows.append(Row(name=f"{what}, p95", measured=percentile(whole, 0.95), unit="ms"))
        details[f"{name}, p50 in ms"] = {
            "asked": percentile(asked, 0.5),
            "drawn": percentile(drawn, 0.5),
            "one service, asked": percentile(one, 0.5),
        }
    return Found(rows=rows, details=details)


async def _looks(url: str, catalog: Catalog) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds to ask for everything and to draw it, and to ask for one service alone."""
    asked, drawn, one = [], [], []
    async with Store.open(url, replica="bench") as store:
        await _place(store)
        queries = queries_of(store, catalog)
        for number in range(_LOOKS + 5):
            began = time.perf_counter()
            found = await queries.where()
            told = time.perf_counter()
            message = answers.where(found)
            end = time.perf_counter()
            assert len(found) == _SERVICES * _ENVIRONMENTS
            assert service(0) in message.text
            before = time.perf_counter()
            assert len(await queries.where(ServiceName(service(number)))) == _ENVIRONMENTS
            if number >= 5:
                one.append((time.perf_counter() - before) * 1000)
                asked.append((told - began) * 1000)
                drawn.append((end - told) * 1000)
    return asked, drawn, one


async def _place(store: Store) -> None:
    """Something runs in every place."""
    everything = [
        placement_row(
            Placement(
                service=ServiceName(service(number)),
                environment=EnvironmentName(environment(place)),
                release=Release(
                    service=ServiceName(service(number)),
                    version=f"v1.{number}",
                    artifact=Artifact(digest=f"sha256:{number}", location=f"registry.example/{service(number)}"),
                ),
                since=_NOON,
                deployment=DeploymentId(f"d{number * _ENVIRONMENTS + place}"),
                by=_ADA,
            )
        )
        for number in range(_SERVICES)
        for place in range(_ENVIRONMENTS)
    ]

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(placements), everything)

    await store.database.write(work)
