"""The bot as it is served, in this process, before a sandbox workspace: what is asked of it is asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from dbos._dbos import _get_or_create_dbos_registry
from prometheus_client.parser import text_string_to_metric_families

from bot.bootstrap import Samples, running_bot
from bot.sandbox import seed
from bot.sandbox.samples import write_artifacts
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CATALOG = """\
version: 1
channel: "#deployments"
environments: { staging: {}, production: {} }
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 10s }
services:
  checkout:
    target: { type: local, root: platform, instances: 1, start_timeout: 10 }
    images: { type: local, folder: artifacts/checkout }
roles:
  deployer:
    members: ["@deployers"]
    allow: [{ actions: [deploy, rollback], services: "*", environments: "*" }]
"""
PATIENCE = 20.0


@dataclass
class Numbers:
    """One scrape."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, text: str) -> Numbers:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return cls({(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples})

    def get(self, name: str, **labels: str) -> float | None:
        return self.values.get((name, frozenset(labels.items())))

    def sum(self, name: str, **labels: str) -> float:
        """Of all series that have these labels among theirs."""
        return sum(value for (found, has), value in self.values.items() if found == name and labels.items() <= has)


@dataclass
class House:
    """A folder with a catalog, the workspace, and a bot that can be started and ended any number of times."""

    folder: Path
    server: SandboxServer
    client: httpx.AsyncClient
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    port: int = 0

    async def begin(self, **settings: Any) -> None:
        # One process has one DBOS, and here bots come one after the other.
        self.stack.callback(_get_or_create_dbos_registry().instance_info_map.clear)
        bot = await self.stack.enter_async_context(
            running_bot(
                Settings(
                    slack_bot_token=seed.BOT_TOKEN,
                    slack_app_token=seed.APP_TOKEN,
                    slack_api_url=f"{self.server.url}/api/",
                    deploy_config=self.config,
                    database_url=f"sqlite:///{self.folder / 'bot.sqlite'}",
                    executor_id="one",
                    port=0,
                    **settings,
                )
            )
        )
        self.port = bot.http.port

    async def end(self) -> None:
        await self.stack.aclose()
        # DBOS gave the loop its own threads and has ended them; the next bot is in the same loop.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4))

    @property
    def config(self) -> Path:
        return self.folder / ".deploy" / "config.yaml"

    async def get(self, path: str, **headers: str) -> httpx.Response:
        shown = {name: value.encode() for name, value in headers.items()}
        return await self.client.get(f"http://127.0.0.1:{self.port}{path}", headers=shown)

    async def raw(self, path: str, **headers: str) -> bytes:
        """The body as it came over the wire."""
        async with self.client.stream("GET", f"http://127.0.0.1:{self.port}{path}", headers=headers) as answer:
            assert answer.status_code == 200
            return b"".join([part async for part in answer.aiter_raw()])

    async def scrape(self) -> Numbers:
        answer = await self.get("/metrics")
        assert answer.status_code == 200, answer.text
        return Numbers.of(answer.text)

    async def until(self, look: Callable[[Numbers], object]) -> Numbers:
        """The first scrape of which that is true."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            numbers = await self.scrape()
            if look(numbers):
                return numbers
            await asyncio.sleep(0.05)
        raise AssertionError(f"it never came: {sorted(map(str, numbers.values.items()))}")


@contextlib.asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    """A workspace, artifacts and a catalog; no bot yet."""
    (folder / ".deploy").mkdir()
    (folder / ".deploy" / "config.yaml").write_text(CATALOG)
    write_artifacts(folder / "artifacts")
    async with contextlib.AsyncExitStack() as stack:
        server = SandboxServer(Workspace())
        await server.start()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(Samples(folder=folder).shut_down)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=PATIENCE))
        house = House(folder, server, client)
        stack.push_async_callback(house.end)
        yield house
