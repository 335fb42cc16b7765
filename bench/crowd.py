"""A thousand deployments in one process: 500 that run, each in a place of its own, and 500 that wait behind them.

They are asked for as people ask, through the workspace; only what they deploy to costs nothing. Memory and the event
loop are looked at while commands go on coming in, then everything is let go and must end.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row
from bench.world import CHANNEL, Place, child, environment, prepare, service, until
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

_SERVICES = 100
_ENVIRONMENTS = 5
_PLACES = _SERVICES * _ENVIRONMENTS
_AT_ONCE = 8
_SECONDS = 8.0
_SPACING = 0.2


async def measure(folder: Path) -> Found:
    """Memory, the delay of the event loop, and how long all of them take to end."""
    prepare(folder, services=_SERVICES, environments=_ENVIRONMENTS)
    server = SandboxServer(Workspace())
    await server.start()
    try:
        place = Place(folder=folder, api_url=server.url)
        variables = place.variables(http=False)
        async with child("-m", "bench.crowd_bot", variables=variables, log=folder / "bot.log") as bot:
            empty = json.loads(await bot.line())
            began = time.monotonic()
            await _ask_for_all(server, "v1")
            await _ask_for_all(server, "v2")

            async def all_there() -> bool:
                phases = await place.phases()
                return phases.get("deploying", 0) == phases.get("queued", 0) == _PLACES

            await until(all_there, within=100, what=f"{_PLACES} that deploy and {_PLACES} that wait")
            asked = time.monotonic() - began
            await bot.ask("look")
            answered = await _go_on(server)
            full = json.loads(await bot.ask("look"))
            began = time.monotonic()
            await bot.ask("release")

            async def all_over() -> bool:
                return await place.phases() == {"succeeded": 2 * _PLACES}

            await until(all_over, within=90, what="an end of all of them")
            ended = time.monotonic() - began
            over = json.loads(await bot.ask("look"))
    finally:
        await server.stop()
    return Found(
        rows=[
            Row(
                name="memory with 1,000 under way",
                measured=full["rss_mb"],
                unit="MB",
                baseline=empty["rss_mb"],
                aim=Aim(limit=300),
            ),
            Row(name="event loop's delay, p99", measured=full["lag_p99_ms"], unit="ms", aim=Aim(limit=50)),
            Row(name="event loop's delay, longest", measured=full["lag_max_ms"], unit="ms"),
            Row(name="ack while 1,000 are under way, p50", measured=answered, unit="ms"),
            Row(name="all 1,000 accepted and in place", measured=asked, unit="s"),
            Row(name="all 1,000 ended after the release", measured=ended, unit="s"),
        ],
        details={"empty": empty, "full": full, "while_ending": over},
    )


async def _ask_for_all(server: SandboxServer, version: str) -> None:
    """A deployment of ``version`` for each place, as fast as eight people can ask."""
    left = iter([(number, place) for place in range(_ENVIRONMENTS) for number in range(_SERVICES)])

    async def person() -> None:
        for number, place in left:
            await _say(server, f"{service(number)} {version} {environment(place)}")

    await asyncio.gather(*(person() for _ in range(_AT_ONCE)))


async def _go_on(server: SandboxServer) -> float:
    """What people ask meanwhile, for some seconds; the middle of the times until it was acknowledged, in ms."""
    texts = [
        f"status {service(3)}",
        "status",
        f"queue {service(5)}",
        f"history {service(7)} {environment(1)}",
        f"{service(9)} v3 {environment(2)} dry-run=true",
        "where",
    ]
    taken = []
    loop = asyncio.get_running_loop()
    end = loop.time() + _SECONDS
    number = 0
    while loop.time() < end:
        taken.append(await _say(server, texts[number % len(texts)]))
        number += 1
        await asyncio.sleep(_SPACING)
    return sorted(taken)[len(taken) // 2] * 1000


async def _say(server: SandboxServer, text: str) -> float:
    began = time.monotonic()
    receipt = await server.hands.command("ada", "/deploy", text, channel=CHANNEL)
    if not receipt.acked:
        raise RuntimeError(f"{text!r} was not acknowledged: {receipt.error}")
    return time.monotonic() - began
