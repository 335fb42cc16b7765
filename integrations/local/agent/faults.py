"""Trouble on request, for tests of whoever uses the agent. Does nothing unless the agent allows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from integrations.local.agent.model import Refused

if TYPE_CHECKING:
    from integrations.local import wire


class Faults:
    """What mutations and readers suffer. ``allowed`` is set by ``--allow-faults`` or ``LOCAL_AGENT_FAULTS=1``."""

    def __init__(self, *, allowed: bool) -> None:
        self._allowed = allowed
        self._now: wire.Faults = {}

    def set(self, faults: wire.Faults) -> None:
        """Replace what they suffer; raises `Refused` unless allowed."""
        if not self._allowed:
            raise Refused("unknown", "This agent was started without --allow-faults.")
        self._now = faults

    async def reading(self) -> None:
        """Wait as long as was asked for, or until whoever asked has given up."""
        await asyncio.sleep(self._now.get("read", 0.0))

    async def before(self) -> bool:
        """Wait as long as was asked for; whether this mutation is to fail unapplied."""
        await asyncio.sleep(self._now.get("before", 0.0))
        left = self._now.get("fail", 0)
        self._now["fail"] = max(0, left - 1)
        return left > 0

    async def after(self) -> bool:
        """Wait as long as was asked for; whether the connection is to be dropped without an answer."""
        await asyncio.sleep(self._now.get("after", 0.0))
        left = self._now.get("drop", 0)
        self._now["drop"] = max(0, left - 1)
        return left > 0
