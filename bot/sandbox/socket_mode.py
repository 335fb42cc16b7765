"""Socket Mode: tickets, connections, envelopes and their acknowledgements.

A ticket opens one connection, a payload goes to one connection, and only that connection's ack counts.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from bot.sandbox.delivery import ACK_SECONDS, NOBODY, TIMEOUT, Kind, Outcome
from bot.sandbox.model import SlackError

if TYPE_CHECKING:
    from bot.sandbox.faults import Faults
    from bot.sandbox.model import JsonDict
    from bot.sandbox.workspace import Workspace

TICKET_SECONDS = 30.0
MOST_CONNECTIONS = 10
GRACE_SECONDS = 10.0
CONNECTION_SECONDS = 18_060


@dataclass(eq=False, slots=True)
class Connection:
    id: str
    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None
    pending: dict[str, asyncio.Future[JsonDict | None]] = field(default_factory=dict)
    draining: bool = False

    def abort(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class SocketHub:
    """All connections of the app; a `Transport`."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self.faults: Faults | None = None
        self.ack_seconds = ACK_SECONDS
        self.connections: list[Connection] = []
        self.late_acks = 0
        self._tickets: dict[str, float] = {}
        self._turn = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> int:
        return len(self.connections)

    # -- coming and going

    def ticket_url(self) -> str:
        """The single-use address that apps.connections.open hands out."""
        now = self._ws.now()
        self._tickets = {ticket: until for ticket, until in self._tickets.items() if until > now}
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = now + TICKET_SECONDS
        base = self._ws.base_url.replace("http", "ws", 1)
        return f"{base}/link?ticket={ticket}&app_id={self._ws.app_id}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /link: the WebSocket handshake and everything after it."""
        if self.faults is not None and self.faults.is_down:
            return web.Response(status=503, text="service unavailable")
        expires = self._tickets.pop(request.query.get("ticket", ""), 0.0)
        if expires <= self._ws.now():
            return web.json_response({"ok": False, "error": "invalid_ticket"}, status=403)
        if self.faults is not None and self.faults.refuses_handshake():
            return web.Response(status=503, text="handshake refused")
        socket = web.WebSocketResponse(heartbeat=15.0, compress=False, max_msg_size=4 * 1024 * 1024)
        await socket.prepare(request)
        connection = Connection(secrets.token_hex(8), socket, request.transport)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json(_goodbye("too_many_websockets"))
            await socket.close()
            return socket
        self.connections.append(connection)
        try:
            await socket.send_json(self._hello(connection))
            self._ws.announce("bot", connected=self.connected)
            await self._listen(connection)
        except ConnectionError:
            pass  # it went while we were greeting it: the same as hanging up
        finally:
            self._gone(connection)
        return socket

    async def _listen(self, connection: Connection) -> None:
        async for frame in connection.socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            try:
                message = json.loads(frame.data)
            except ValueError:
                continue
            if not isinstance(message, dict) or "envelope_id" not in message:
                continue
            waiting = connection.pending.pop(str(message["envelope_id"]), None)
            if waiting is None or waiting.done():
                self.late_acks += 1
                continue
            payload = message.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else {"text": payload} if payload else None)

    def _gone(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self._ws.announce("bot", connected=self.connected)
        for waiting in connection.pending.values():
            if not waiting.done():
                waiting.cancel()

    def _hello(self, connection: Connection) -> JsonDict:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "debug_info": {
                "host": f"applink-{connection.id}",
                "build_number": 1,
                "approximate_connection_time": CONNECTION_SECONDS,
            },
            "connection_info": {"app_id": self._ws.app_id},
        }

    def drop(self) -> int:
        """Cut every connection without a word; returns how many there were."""
        dropped = self.connections[:]
        for connection in dropped:
            connection.abort()
            self._gone(connection)
        return len(dropped)

    def refresh(self, reason: str) -> int:
        """Tell every connection to come anew, and cut those that are still there ten seconds later."""
        if reason not in {"warning", "refresh_requested", "link_disabled", "too_many_websockets"}:
            raise SlackError("invalid_disconnect_reason")
        loop = asyncio.get_running_loop()
        for connection in self.connections:
            connection.draining = reason != "warning"
            sending = loop.create_task(_tell(connection, reason))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
            self._timers.add(loop.call_later(GRACE_SECONDS, connection.abort))
        return len(self.connections)

    # -- delivering

    async def send(
        self, kind: Kind, payload: JsonDict, *, accepts_response: bool, attempt: int = 0, reason: str = ""
    ) -> Outcome:
        """Send an envelope to the connection whose turn it is, and wait for its ack."""
        connection = self._next()
        if connection is None:
            return Outcome(False, error=NOBODY, retry_reason="connection_failed")
        envelope_id = secrets.token_hex(16)
        envelope: JsonDict = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[JsonDict | None] = loop.create_future()
        connection.pending[envelope_id] = waiting
        delivered_at, begun = self._ws.now(), loop.time()
        error: str | None = None
        answer: JsonDict | None = None
        try:
            async with asyncio.timeout(self.ack_seconds):
                await connection.socket.send_str(json.dumps(envelope))
                # The wait stops when the ack comes or the connection goes, whichever is first.
                await asyncio.wait([waiting])
        except (TimeoutError, ConnectionError):
            error = TIMEOUT
        finally:
            connection.pending.pop(envelope_id, None)
        if waiting.done() and not waiting.cancelled():
            answer = waiting.result()
        else:
            error = TIMEOUT
        elapsed = loop.time() - begun
        if error is not None:
            return Outcome(False, None, error, "timeout", delivered_at, elapsed)
        return Outcome(True, answer if accepts_response else None, delivered_at=delivered_at, elapsed=elapsed)

    def _next(self) -> Connection | None:
        usable = [c for c in self.connections if not c.socket.closed]
        usable = [c for c in usable if not c.draining] or usable
        if not usable:
            return None
        self._turn += 1
        return usable[self._turn % len(usable)]

    async def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for connection in self.connections[:]:
            connection.abort()
            self._gone(connection)
        await asyncio.gather(*self._sending, return_exceptions=True)


def _goodbye(reason: str) -> JsonDict:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}


async def _tell(connection: Connection, reason: str) -> None:
    try:
        await connection.socket.send_json(_goodbye(reason))
        if reason == "link_disabled":
            await connection.socket.close()
    except (ConnectionError, RuntimeError):
        connection.abort()  # it was closing already
