"""How fast a command is acknowledged in HTTP mode, against a Bolt app that does nothing else. Rounds take turns.

Each round of the bot is followed by a wait until it has done everything that it was asked, so that the work which it
does *after* an acknowledgement meets its own later acknowledgements, as it would, but not the other app's round.
"""

from __future__ import annotations

import itertools
import json
import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bench.load import Load
from bench.report import Aim, Found, Row, percentile
from bench.world import Place, child, environment, prepare, service, until
from bot.store.engine import Database
from bot.store.tables import inbox

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

_ROUNDS = 6
_COMMANDS = 300
_AT_ONCE = 8
_DEPLOYS = 150
_DEPLOYS_A_ROUND = 15
_SPACING = 0.1


async def measure(folder: Path) -> Found:
    """Latency and throughput of `/deploy status`, and latency of real deployments at a low rate."""
    prepare(folder, services=_DEPLOYS, environments=1)
    python = {"PYTHONPATH": str(folder / "plugins")}
    async with child("-m", "bench.workspace", variables=python, log=folder / "workspace.log") as workspace:
        told = json.loads(await workspace.line())
        place = Place(folder=folder, api_url=told["url"])
        variables = place.variables(http=True)
        async with (
            place.bot(http=True) as port,
            child("-m", "bench.bare", variables=variables, log=folder / "bare.log") as bare_app,
        ):
            hooks = itertools.cycle(told["hooks"])
            bot, bare = Load(port=port, hooks=hooks), Load(port=int(await bare_app.line()), hooks=hooks)
            for load in (bot, bare):
                await load.saturate("status", commands=100, at_once=_AT_ONCE, keep=False)
            await _idle(place)
            done = []
            for number in range(_ROUNDS):
                for load in (bare, bot) if number % 2 else (bot, bare):
                    began = time.perf_counter()
                    await load.saturate("status", commands=_COMMANDS, at_once=_AT_ONCE)
                    if load is bot:
                        await _idle(place)
                        done.append(_COMMANDS / (time.perf_counter() - began))
            slow, slow_bare = Load(port=bot.port, hooks=hooks), Load(port=bare.port, hooks=hooks)
            for first in range(0, _DEPLOYS, _DEPLOYS_A_ROUND):
                numbers = range(first, first + _DEPLOYS_A_ROUND)
                texts = [f"{service(number)} v1 {environment(0)}" for number in numbers]
                await slow_bare.pace(texts, spacing=_SPACING)
                await slow.pace(texts, spacing=_SPACING)
                await until(partial(_ended, place, numbers.stop), within=30, what="an end of every deployment")
    return _found(bot, bare, slow, slow_bare, done)


def _found(bot: Load, bare: Load, slow: Load, slow_bare: Load, done: list[float]) -> Found:
    def row(name: str, of: Load, against: Load, share: float, aim: Aim | None = None) -> Row:
        measured, baseline = (percentile(load.taken, share) * 1000 for load in (of, against))
        return Row(name=name, measured=measured, unit="ms", baseline=baseline, aim=aim)

    twice = Aim(limit=2, of_ratio=True)
    rates = [percentile(load.rates, 0.5) for load in (bot, bare)]
    return Found(
        rows=[
            row("ack of status, p50", bot, bare, 0.5),
            row("ack of status, p99", bot, bare, 0.99, twice),
            Row(
                name="acks per second",
                measured=rates[0],
                unit="/s",
                baseline=rates[1],
                aim=Aim(limit=0.5, at_most=False, of_ratio=True),
            ),
            Row(name="status answered per second", measured=percentile(done, 0.5), unit="/s"),
            row("ack of a deployment, 10/s, p50", slow, slow_bare, 0.5),
            row("ack of a deployment, 10/s, p99", slow, slow_bare, 0.99, twice),
        ],
        details={
            "rounds": _ROUNDS,
            "commands_a_round": _COMMANDS,
            "at_once": _AT_ONCE,
            "acks_per_second": {"bot": bot.rates, "bare": bare.rates},
            "answered_per_second": done,
            "slowest_ms": {"bot": max(bot.taken) * 1000, "bare": max(bare.taken) * 1000},
        },
    )


async def _idle(place: Place) -> None:
    """Wait until every command that was acknowledged has been carried out."""
    unfinished = select(func.count()).select_from(inbox).where(inbox.c.finished_at.is_(None))
    begun = select(func.count()).select_from(inbox)
    before = -1

    async with await Database.open(place.database_url, read_only=True) as database:

        async def look(connection: AsyncConnection) -> tuple[int, int]:
            open_, all_ = await connection.execute(unfinished), await connection.execute(begun)
            return open_.scalar_one(), all_.scalar_one()

        async def quiet() -> bool:
            nonlocal before
            open_, all_ = await database.read(look)
            same, before = all_ == before, all_
            return same and open_ == 0

        await until(quiet, within=30, what="an answer to every command")


async def _ended(place: Place, number: int) -> bool:
    return (await place.phases()).get("succeeded", 0) == number
