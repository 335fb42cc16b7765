"""What stands around a bot that is measured: a catalog of any size, its environment, its process, its workspace."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bench import provider
from bot.domain.errors import StoreError
from bot.sandbox import seed
from bot.sandbox.process import BotProcess
from bot.store.engine import Database
from bot.store.tables import deployments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "C0DEPLOY"
ROOT = Path(__file__).parents[1]
_PORT = re.compile(r"serves on port (\d+)")
_BENCH = "{ target: { type: bench }, images: { type: bench } }"
_HEAD = """\
version: 1
channel: "#deployments"
defaults:
  health: { path: /health, interval: 0.1, timeout: 1s, passes: 1, deadline: 60s }
  deadline: 10m
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - { actions: [deploy, rollback, abort, resolve], services: "*", environments: "*" }
"""


def service(number: int) -> str:
    """The name of a service of `prepare`."""
    return f"service-{number:03}"


def environment(number: int) -> str:
    """The name of an environment of `prepare`."""
    return f"place-{number}"


def prepare(folder: Path, *, services: int, environments: int, block: str = _BENCH) -> None:
    """Write a catalog with that many places, each with a lock of its own; ``block`` says what they run on."""
    lines = ["environments:", *(f"  {environment(number)}: {{}}" for number in range(environments)), "services:"]
    lines += [f"  {service(number)}: {block}" for number in range(services)]
    (folder / ".deploy").mkdir()
    (folder / ".deploy" / "config.yaml").write_text(_HEAD + "\n".join(lines) + "\n")
    provider.install(folder / "plugins")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder that was prepared, and the workspace whose Web API is at ``api_url``."""

    folder: Path
    api_url: str

    @property
    def database_url(self) -> str:
        """Where the bot keeps its record."""
        return f"sqlite:///{self.folder / 'deployments.sqlite'}"

    def variables(self, *, http: bool) -> Mapping[str, str]:
        """The environment of a bot here; with ``http`` it waits for signed requests instead of opening sockets."""
        hears = {"SLACK_SIGNING_SECRET": seed.SIGNING_SECRET} if http else {"SLACK_APP_TOKEN": seed.APP_TOKEN}
        return {
            "SLACK_BOT_TOKEN": seed.BOT_TOKEN,
            "SLACK_API_URL": f"{self.api_url}/api/",
            "DEPLOY_CONFIG": str(self.folder / ".deploy" / "config.yaml"),
            "DATABASE_URL": self.database_url,
            "EXECUTOR_ID": "bench",
            "LOG_LEVEL": "WARNING",
            "PORT": "0",
            "PYTHONPATH": f"{ROOT}:{self.folder / 'plugins'}",
            **hears,
        }

    @contextlib.asynccontextmanager
    async def bot(self, *, http: bool) -> AsyncIterator[int]:
        """``serve`` as a process of its own; the port that it listens on."""
        log = self.folder / "bot.log"
        log.touch()

        def port() -> int:
            found = _PORT.search(log.read_text(errors="replace"))
            return int(found[1]) if found else 0

        process = BotProcess(environment=self.variables(http=http), log=log, connected=lambda: port() > 0)
        try:
            await process.start()
            yield port()
        finally:
            await process.stop()

    async def phases(self) -> dict[str, int]:
        """How many deployments are in which phase."""
        counted = select(deployments.c.phase, func.count()).group_by(deployments.c.phase)

        async def look(connection: AsyncConnection) -> dict[str, int]:
            return {row[0]: row[1] for row in await connection.execute(counted)}

        try:
            async with await Database.open(self.database_url, read_only=True) as database:
                return await database.read(look)
        except StoreError:
            return {}


@contextlib.asynccontextmanager
async def child(*command: str, variables: Mapping[str, str], log: Path) -> AsyncIterator[Child]:
    """A Python process that answers lines with lines, ended with the block."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env={**variables},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            limit=1 << 24,
        )
    try:
        yield Child(process, log)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Child:
    """Talks to a process that `child` started."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def line(self) -> str:
        """What it says next; raises `RuntimeError` with its log when it has ended."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        if not line:
            raise RuntimeError(f"a process of the bench ended:\n{tail(self._log)}")
        return line

    async def ask(self, word: str) -> str:
        """Say something and hear the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()
        return await self.line()


async def until(look: Callable[[], Awaitable[bool]], *, within: float, what: str) -> None:
    """Wait for a condition; raises `RuntimeError` that names it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not await look():
        if loop.time() > deadline:
            raise RuntimeError(f"after {within:g} s there is still not {what}")
        await asyncio.sleep(0.05)


def tail(log: Path) -> str:
    """The end of what a process has told."""
    return log.read_text(errors="replace")[-2000:]
