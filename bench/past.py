"""What people ask for must not get slower as the years go by: a million past deployments against a thousand.

The same questions are asked of two databases of the same kind in turn, through the bot's own queries.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.asking import queries_of
from bench.fill import ENVIRONMENTS, SERVICES, fill, places
from bench.report import Aim, Found, Row, percentile
from bench.world import prepare
from bot.bootstrap import check_catalog
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.engine.queries import Queries

_FEW, _MANY = 1_000, 1_000_000
_QUESTIONS = 150
_NOWHERE = "{ target: { type: local, root: platform }, images: { type: local, folder: artifacts } }"
"""Nothing is ever deployed to it."""
_KINDS = ("history of a place", "history of a service", "status")


async def measure(folder: Path) -> Found:
    """On SQLite, and on PostgreSQL when its wheel is installed."""
    prepare(folder, services=SERVICES, environments=ENVIRONMENTS, block=_NOWHERE)
    catalog = check_catalog(folder / ".deploy" / "config.yaml")
    rows: list[Row] = []
    details: dict[str, object] = {}
    for name, few, many in databases(folder):
        async with _filled(few, _FEW, catalog) as against, _filled(many, _MANY, catalog) as measured:
            taken = await _ask(measured[0], against[0])
        for kind in _KINDS:
            old, new = taken[kind, _MANY], taken[kind, _FEW]
            rows.append(
                Row(
                    name=f"{kind} after 1,000,000, {name}, p50",
                    measured=percentile(old, 0.5),
                    unit="ms",
                    baseline=percentile(new, 0.5),
                    aim=Aim(limit=2, of_ratio=True),
                )
            )
            details[f"{name}, {kind}, p99 in ms"] = {
                str(_MANY): percentile(old, 0.99),
                str(_FEW): percentile(new, 0.99),
            }
        details[f"{name}, seconds to fill"] = measured[1]
    return Found(rows=rows, details=details)


async def _ask(measured: Queries, against: Queries) -> dict[tuple[str, int], list[float]]:
    """Milliseconds by kind of question and size of the past."""
    chance = random.Random(7)
    taken: dict[tuple[str, int], list[float]] = defaultdict(list)
    everywhere = places()
    for number in range(_QUESTIONS + 20):
        place = chance.choice(everywhere)
        for queries, size in ((measured, _MANY), (against, _FEW))[:: 1 if number % 2 else -1]:
            for kind in _KINDS:
                began = time.perf_counter()
                await _question(kind, queries, *place)
                if number >= 20:
                    taken[kind, size].append((time.perf_counter() - began) * 1000)
    return taken


async def _question(kind: str, queries: Queries, service: ServiceName, environment: EnvironmentName) -> None:
    if kind == "status":
        for running in await queries.under_way():
            await queries.view_of(running)
        await queries.where(service, environment)
        [latest] = await queries.history(service, environment, limit=1)
        await queries.view_of(latest)
        return
    found = await queries.history(service, environment if kind == "history of a place" else None, limit=10)
    assert len(found) == 10


@contextlib.asynccontextmanager
async def _filled(url: str, past: int, catalog: Catalog) -> AsyncIterator[tuple[Queries, float]]:
    began = time.monotonic()
    async with Store.open(url, replica="bench") as store:
        await fill(store, past=past)
        yield queries_of(store, catalog), time.monotonic() - began


def databases(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name of the kind, and the addresses of two empty databases of it."""
    yield "SQLite", f"sqlite:///{folder / 'few.sqlite'}", f"sqlite:///{folder / 'many.sqlite'}"
    try:
        from tests.postgres import PostgresServer, _binaries
    except ImportError:  # the tests, or what they need, are not here
        return
    with tempfile.TemporaryDirectory(prefix="bench-postgres-", ignore_cleanup_errors=True) as name:
        binaries = _binaries(Path(name))
        if binaries is None:
            return
        server = PostgresServer(binaries, Path(name))
        server.prepare()
        server.start()
        try:
            yield "PostgreSQL", server.create_database(), server.create_database()
        finally:
            server.stop()
