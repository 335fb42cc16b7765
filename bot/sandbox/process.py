"""The bot as a process of its own, as it would run anywhere; only the addresses in its environment differ."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_START = 20.0
_END = 10.0
_TAIL = 15


@dataclass(kw_only=True)
class BotProcess:
    """Starts ``python -m bot serve``, ends it, or kills it without a word. All three are safe to repeat."""

    environment: Mapping[str, str]
    log: Path
    connected: Callable[[], bool]
    """Whether the workspace hears the bot."""
    command: Sequence[str] = ("-m", "bot", "serve")
    """What Python is given."""
    _process: asyncio.subprocess.Process | None = field(default=None)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until the workspace hears it; raises `RuntimeError` with the end of its log."""
        if self.running:
            return
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        with self.log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self.command, env={**keep, **self.environment}, stdout=log, stderr=log
            )
        deadline = asyncio.get_running_loop().time() + _START
        while not self.connected():
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                await self.kill()
                raise RuntimeError(f"The bot did not start. The end of {self.log}:\n{self._tail()}")
            await asyncio.sleep(0.02)

    async def ended(self) -> int:
        """Wait until it has ended by itself; its exit code, negative for a signal."""
        assert self._process is not None, "it was never started"
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL: no farewell, as in a crash."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        try:
            async with asyncio.timeout(_END):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
        await self._process.wait()

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        return "(there is no log)"
