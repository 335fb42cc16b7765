"""The whole bot, which tells about its memory and its event loop when it is asked. Run by `bench.crowd`.

Words on standard input: ``look`` answers with what was seen since the last look, ``release`` lets every change end.
"""

from __future__ import annotations

import asyncio
import json
import sys

import psutil

from bench.provider import Gate
from bench.report import percentile
from bot.bootstrap import running_bot
from bot.logs import configure
from bot.settings import read_settings

_TICK = 0.005


class Lag:
    """How much later than it wanted something that only wants to run every 5 ms does run."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def run(self) -> None:
        """Watch for ever."""
        loop = asyncio.get_running_loop()
        while True:
            wanted = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            self._late.append(max(0.0, loop.time() - wanted))

    def look(self) -> str:
        """What was seen since the last look, as JSON."""
        late, self._late = [seconds * 1000 for seconds in self._late] or [0.0], []
        return json.dumps(
            {
                "rss_mb": psutil.Process().memory_info().rss / 1e6,
                "cpu_seconds": sum(psutil.Process().cpu_times()[:2]),
                "looks": len(late),
                "lag_p50_ms": percentile(late, 0.5),
                "lag_p99_ms": percentile(late, 0.99),
                "lag_max_ms": max(late),
            }
        )


async def main() -> None:
    """Serve until standard input ends."""
    settings = read_settings()
    configure(settings.log_level)
    opened = Gate.shut()
    lag = Lag()
    async with running_bot(settings):
        watching = asyncio.create_task(lag.run())
        print(lag.look(), flush=True)
        while word := await asyncio.to_thread(sys.stdin.readline):
            if word.strip() == "release":
                opened.set()
            print(lag.look(), flush=True)
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
