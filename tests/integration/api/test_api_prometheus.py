"""A real Prometheus reads the bot's metrics, and answers every question of the dashboard from them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from integration.metrics.real_prometheus import needed, prometheus
from unit.api.measured import Replica
from unit.api.promql import shown
from unit.engine.engine_world import open_world

from bot.api.app import build_api
from bot.api.scrape import Scrape
from bot.api.server import HttpServer, bind
from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.long]

NO_DATA_YET = ("service_environment:", "rollback_reaction_seconds", "outcome=")
"""Of what nothing has been: recorded series, rollbacks, and a rate of failures."""


async def test_the_first_deployment_of_a_process_is_seen_and_the_dashboard_is_answered(tmp_path: Path) -> None:
    needed()

    async def ready() -> Mapping[str, str]:
        return {}

    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(tmp_path))
        world.time = datetime.now(UTC)
        replica = Replica(world)
        scrape = Scrape(registry=replica.metrics.registry, refresh=replica.telemetry.look)
        server = HttpServer(build_api(readiness=ready, slack=None, metrics=scrape.answer), bind("127.0.0.1", 0))
        server.start()
        stack.push_async_callback(server.stop)
        manager = prometheus(tmp_path / "prometheus", scrape=f"127.0.0.1:{server.port}", past=False)
        address = await asyncio.to_thread(manager.__enter__)
        stack.callback(manager.__exit__, None, None, None)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=address))

        async def ask(query: str) -> list[dict[str, Any]]:
            answer = await client.post("/api/v1/query", data={"query": query})
            assert answer.status_code == 200, f"{query}: {answer.text}"
            found: list[dict[str, Any]] = answer.json()["data"]["result"]
            return found

        async def until(query: str) -> float:
            deadline = time.monotonic() + 20.0
            while time.monotonic() < deadline:
                if found := await ask(f"({query}) > 0"):
                    return float(found[0]["value"][1])
                await asyncio.sleep(0.1)
            raise AssertionError(f"{query} has no value above zero")

        await until('count(deployments_total{service="checkout"} == 0)')
        made = await world.deployed(Phase.AWAITING_APPROVAL)
        replica.ledger.now = lambda: datetime.now(UTC)
        await until('active_deployments{environment="staging"}')
        await replica.takes(made, Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING, Phase.SUCCEEDED)
        status = 'service="checkout", environment="staging", strategy="rolling", status="succeeded"'
        assert await until(f"increase(deployments_total{{{status}}}[1m])") > 0.5
        assert await until("active_deployments == bool 0") == 1

        for panel, query in shown():
            found = await ask(query.replace("[1d]", "[1m]"))
            assert found or any(name in query for name in NO_DATA_YET), f"{panel}: {query}"
