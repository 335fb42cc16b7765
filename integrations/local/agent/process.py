"""Detached processes: start one, adopt one, learn at once when it ends, end it with its whole group.

A process here is no part of the agent: it has its own session, writes to its own log and outlives the agent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from integrations.local.identity import born

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL = 0.2


class Process:
    """One running process, ours or adopted. Needs a running event loop."""

    def __init__(self, pid: int, identity: str, child: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self.identity = identity
        self.exited = asyncio.Event()
        self.status: int | None = None
        """Exit status, negative for a signal; None while it runs or if only its parent could know."""
        self._child = child
        self._callbacks: list[Callable[[], None]] = []
        self._poller: asyncio.Task[None] | None = None
        self._watch()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.exited.is_set()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once it has ended."""
        self._callbacks.append(callback)

    def ending(self) -> str:
        """How it ended, in words that follow its name."""
        if self.status is None:
            return "stopped"
        if self.status < 0:
            with suppress(ValueError):
                return f"was ended by {signal.Signals(-self.status).name}"
            return f"was ended by signal {-self.status}"
        return f"stopped with exit status {self.status}"

    async def end(self, *, patience: float) -> None:
        """SIGTERM to its group, SIGKILL after ``patience`` seconds; returns when it has ended."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.exited.wait()
            return
        self.signal(signal.SIGKILL)
        await self.exited.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` to the process and everything it started, if it still runs."""
        if self.alive and born(self.pid) == self.identity:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _watch(self) -> None:
        if not hasattr(os, "pidfd_open"):
            self._poller = asyncio.get_running_loop().create_task(self._poll())
            return
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            self._ended()
            return
        # The number may have been given to another process just before it was opened.
        if born(self.pid) != self.identity:
            os.close(descriptor)
            self._ended()
            return
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._ended()

        loop.add_reader(descriptor, readable)

    async def _poll(self) -> None:
        while born(self.pid) == self.identity:  # noqa: ASYNC110 - the system tells nobody but its parent
            await asyncio.sleep(_POLL)
        self._ended()

    def _ended(self) -> None:
        if self.exited.is_set():
            return
        # What it started and left behind goes too. While our child is not reaped, nothing else can have its number.
        with suppress(ProcessLookupError, PermissionError):
            if self._child is not None or born(self.pid) is None:
                os.killpg(self.pid, signal.SIGKILL)
        if self._child is not None:
            self.status = self._child.wait()
        self.exited.set()
        for callback in self._callbacks:
            callback()


def start(*, command: Sequence[str], cwd: Path, variables: Mapping[str, str], log: Path) -> Process:
    """Start ``command`` in its own session with nothing but ``variables``; raises `OSError`."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - the command is the artifact's own, checked against its digest
            list(command),
            cwd=cwd,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            close_fds=True,
        )
    finally:
        os.close(descriptor)
    return Process(child.pid, born(child.pid) or "", child)


def adopt(*, pid: int, identity: str) -> Process | None:
    """The process that an earlier agent started, if it still runs."""
    if not identity or born(pid) != identity:
        return None
    process = Process(pid, identity, None)
    return process if process.alive else None
