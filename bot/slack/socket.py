"""Socket Mode that stays up: several connections, each watched and replaced when it dies.

The SDK's client retries a single-use address for ever once its first handshake has failed, and closes the old
connection before it opens the next one. So two connections run side by side, and a watchdog throws away a client
that has not been connected for a while and begins anew with a fresh address. A connection that Slack is about to take
down is kept until the next one is up and what was on its way over it has been answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

from bot.slack.trouble import brief

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

log = logging.getLogger(__name__)

_QUIET = logging.getLogger("bot.slack.socket.sdk")
"""The SDK logs a traceback for each refused connection; the supervisor tells the same in one line."""
_QUIET.setLevel(logging.CRITICAL)


@dataclass(kw_only=True)
class SocketSupervisor:
    """Keeps ``connections`` Socket Mode connections to Slack alive until it is stopped."""

    app: AsyncApp
    app_token: str
    connections: int = 2
    patience: float = 3.0
    """Seconds without connection after which a client is replaced."""
    handshake: float = 4.0
    """Seconds that connecting may take."""
    look: float = 0.5
    """Seconds between two looks at a connection."""
    grace: float = 5.0
    """Seconds that a connection which Slack takes down is still listened to; Slack gives ten."""
    _up: dict[int, bool] = field(default_factory=dict)
    _first: asyncio.Event = field(default_factory=asyncio.Event)
    _lines: list[asyncio.Task[None]] = field(default_factory=list)
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def connected(self) -> int:
        """How many connections are up now."""
        return sum(self._up.values())

    async def start(self, *, within: float = 5.0) -> bool:
        """Begin to connect; True as soon as one connection is up, False if none was ``within`` seconds."""
        self._lines = [
            asyncio.create_task(self._keep(number), name=f"socket-{number}") for number in range(self.connections)
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), within)
        return self._first.is_set()

    async def stop(self) -> None:
        """Close every connection."""
        running = [*self._lines, *self._leaving]
        for line in running:
            line.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _keep(self, number: int) -> None:
        failures = 0
        while True:
            handler = AsyncSocketModeHandler(self.app, self.app_token, logger=_QUIET)
            asked = _asked_to_leave(handler)
            try:
                await self._connect(handler)
                failures = 0
                self._up[number] = True
                self._first.set()
                log.info("connection %d to Slack is up", number + 1)
                await self._until_lost(handler, asked)
                log.info("connection %d to Slack was lost; a new one is opened", number + 1)
            except TimeoutError:
                failures += 1
                log.warning("connection %d to Slack did not come up within %g s", number + 1, self.handshake)
            except Exception as error:  # noqa: BLE001 - whatever it is, a line that ended would never be heard again
                failures += 1
                log.warning("connection %d to Slack failed: %s", number + 1, brief(error))
            finally:
                self._up[number] = False
                await self._part(handler, asked)
            if failures:
                await asyncio.sleep(min(0.25 * 2 ** min(failures, 6), 10.0) * random.uniform(0.7, 1.3))  # noqa: S311

    async def _connect(self, handler: AsyncSocketModeHandler) -> None:
        """Connect with an address of its own, within a deadline that ends the SDK's retries of a spent address."""
        client = handler.client
        client.wss_uri = await client.issue_new_wss_url()  # waits by itself when Slack says Retry-After
        await asyncio.wait_for(client.connect(), self.handshake)

    async def _until_lost(self, handler: AsyncSocketModeHandler, asked: asyncio.Event) -> None:
        lost_for = 0.0
        while lost_for < self.patience:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.look):
                    await asked.wait()
                    return
            session = handler.client.current_session
            if session is None or session.closed:
                return
            lost_for = 0.0 if await handler.client.is_connected() else lost_for + self.look

    async def _part(self, handler: AsyncSocketModeHandler, asked: asyncio.Event) -> None:
        """Let go of a connection: at once, or in a moment if Slack said that it is going to end."""
        session = handler.client.current_session
        if not asked.is_set() or session is None or session.closed:
            await self._discard(handler)
            return

        async def see_off() -> None:
            try:
                await asyncio.sleep(self.grace)
            finally:
                await self._discard(handler)

        leaving = asyncio.create_task(see_off(), name="socket-leaving")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _discard(self, handler: AsyncSocketModeHandler) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(handler.close_async(), 2.0)


def _asked_to_leave(handler: AsyncSocketModeHandler) -> asyncio.Event:
    """Set when the client would replace its connection; it must not, because it would close the old one first."""
    asked = asyncio.Event()

    async def connect_to_new_endpoint(force: bool = False) -> None:  # noqa: ARG001 - the SDK's signature
        asked.set()

    handler.client.connect_to_new_endpoint = connect_to_new_endpoint  # type: ignore[method-assign]  # see above
    return asked
