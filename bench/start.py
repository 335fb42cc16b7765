"""How long a person waits for ``--help``, and an operator for a bot that is ready, from the start of its process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from bench.report import Aim, Found, Row, percentile
from bench.world import Place, prepare, tail
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

_STARTS = 4
_HELPS = 9
_LIBRARIES = "import dbos, slack_bolt.async_app, fastapi, uvicorn, alembic, sqlalchemy.ext.asyncio, psycopg, aiohttp"


async def measure(folder: Path) -> Found:
    """Medians; what is compared takes turns."""
    command = Path(sys.executable).with_name("deployment-architect")
    helps, nothing = [], []
    for _ in range(_HELPS):
        helps.append(await _runs(str(command), "--help"))
        nothing.append(await _runs(sys.executable, "-c", "pass"))
    server = SandboxServer(Workspace())
    await server.start()
    new, again, libraries = [], [], []
    try:
        for number in range(_STARTS):
            inside = folder / str(number)
            inside.mkdir()
            prepare(inside, services=3, environments=2)
            variables = Place(folder=inside, api_url=server.url).variables(http=False)
            new.append(await _ready(variables, inside / "bot.log"))
            again.append(await _ready(variables, inside / "bot.log"))
            libraries.append(await _runs(sys.executable, "-c", _LIBRARIES))
    finally:
        await server.stop()
    imports = percentile(libraries, 0.5)
    return Found(
        rows=[
            Row(
                name="--help",
                measured=percentile(helps, 0.5),
                unit="s",
                baseline=percentile(nothing, 0.5),
                aim=Aim(limit=0.3),
            ),
            Row(
                name="serve is ready",
                measured=percentile(again, 0.5),
                unit="s",
                baseline=imports,
                aim=Aim(limit=2),
            ),
            Row(
                name="serve is ready, with an empty database",
                measured=percentile(new, 0.5),
                unit="s",
                baseline=imports,
                aim=Aim(limit=2),
            ),
        ],
        details={"help": helps, "nothing": nothing, "new": new, "again": again, "libraries": libraries},
    )


async def _runs(*command: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise RuntimeError(f"{' '.join(command)} failed")
    return time.perf_counter() - began


async def _ready(variables: Mapping[str, str], log: Path) -> float:
    """Seconds from the start of ``serve`` until it says that it is ready; it is stopped then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve", env={**variables, "PORT": str(port)}, stdout=file, stderr=file
        )
    try:
        async with httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/readyz", timeout=5)).status_code == 200:
                        return time.perf_counter() - began
                if process.returncode is not None or time.perf_counter() - began > 30:
                    raise RuntimeError(f"the bot did not start:\n{tail(log)}")
                await asyncio.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
