"""One at a time within an event loop. Deployments may run in more than one, and a lock of asyncio belongs to one."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary


class Turns:
    """A lock in whatever loop it is asked for; between loops it keeps nobody waiting."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @property
    def here(self) -> asyncio.Lock:
        """The lock of the loop that runs now."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
