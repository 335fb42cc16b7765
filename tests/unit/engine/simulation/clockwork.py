"""One thread, one clock: an event loop whose time passes only when nothing else is left to do.

With it a run is decided by its seed alone. Waiting costs nothing, and what two replicas do can be put in any order. The
store is the real one on SQLite; only its thread is gone: each statement is executed where it is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from typing import TYPE_CHECKING, Any

import aiosqlite
from aiosqlite import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NothingLeftError(Exception):
    """Everybody waits for somebody else: no timer is set and nothing is ready."""


class _Selector(selectors.SelectSelector):
    """Never waits: it lets the time pass instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftError
        if timeout > 0:
            self.loop.passed += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is a number."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.passed = 0.0
        super().__init__(selector)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Seconds since the loop began, as it counts them."""
        return self.passed

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # there is no thread
        """Do it here and now."""
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - it is handed on
            future.set_exception(error)
        return future


class _Here:
    """What the driver's thread would be given, done at once."""

    def put_nowait(self, asked: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = asked
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - it is handed on
            if future is not None:
                core.set_exception(future, error)
        else:
            if future is not None:
                core.set_result(future, result)


class _NoThread:
    daemon = True

    def start(self) -> None:
        return


class _Connection(aiosqlite.Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tx = _Here()  # type: ignore[assignment]  # takes the place of the queue to the thread
        self._thread = _NoThread()  # type: ignore[assignment]


@contextlib.contextmanager
def sqlite_in_this_thread() -> Iterator[None]:
    """Let the store's driver do without threads while the block lasts."""
    import sqlite3

    def connect(database: Any, **kwargs: Any) -> _Connection:
        return _Connection(lambda: sqlite3.connect(str(database), **kwargs), 64)

    real = aiosqlite.connect
    aiosqlite.connect = connect  # type: ignore[assignment]
    try:
        yield
    finally:
        aiosqlite.connect = real
