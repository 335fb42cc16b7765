"""From a person's command to the first change of what runs, in the demo: Socket Mode, SQLite, the local platform.

The end is the time that the platform's own journal gives for the operation, on the same machine's clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row, percentile
from bench.world import CHANNEL, until
from bot.bootstrap import demonstration
from bot.store.engine import Database
from bot.store.feed import DatabaseFeed
from integrations.local import LocalPlatform

if TYPE_CHECKING:
    from pathlib import Path

_COMMANDS = 12
_FREE = "staging"
"""The environment of the demo in which nobody must approve."""


async def measure(folder: Path) -> Found:
    """Commands for all places that ask nobody first, in turn, each after the one before has ended."""
    async with (
        demonstration(data=folder / "demo") as demo,
        await Database.open(demo.database_url, read_only=True) as database,
    ):
        feed = DatabaseFeed(database)
        platform = LocalPlatform(demo.folder / "platform")
        places = [place.split("@") for place in sorted(demo.addresses) if place.endswith(f"@{_FREE}")]
        taken = []
        for number in range(_COMMANDS + 1):
            service, environment = places[number % len(places)]
            version = "v1.1" if (number // len(places)) % 2 else "v1.2"
            marker = await feed.marker()
            began = time.time()
            receipt = await demo.server.hands.command(
                "ada", "/deploy", f"{service} {version} {environment}", channel=CHANNEL
            )
            if not receipt.acked:
                raise RuntimeError(f"the command was not acknowledged: {receipt.error}")

            async def ended(since: int = marker) -> bool:
                touched = await feed.touched(actor="U0ADA", since=since)
                return bool(touched) and await feed.phase(touched[-1].deployment_id) in {"succeeded", "failed"}

            await until(ended, within=30, what="an end of the deployment")
            [*_, last] = await platform.journal(service, environment)
            if number:  # the first one also met what was never used before
                taken.append((last["at"] - began) * 1000)
    return Found(
        rows=[
            Row(
                name="command to first change, p50",
                measured=percentile(taken, 0.5),
                unit="ms",
                aim=Aim(limit=150),
            ),
            Row(name="command to first change, slowest", measured=max(taken), unit="ms"),
        ],
        details={"ms": taken},
    )
