"""Trouble on request: Slack limiting, failing, vanishing, repeating itself.

Every fault is something that the real platform does. None of them touches what the people see (their client keeps
working), only the traffic between Slack and the bot. Calls return at once; whatever ends by time ends by itself.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox.model import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.workspace import Workspace

RATE_LIMIT, DOWN, DUPLICATES, SLOW, SERVER_ERROR = "429", "down", "duplicate deliveries", "slow", "500"
SOCKET_DROP = "socket drop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a Web API call should suffer before it is looked at."""

    status: int = 200
    reset: bool = False
    retry_after: int = 0
    delay: float = 0.0


class Faults:
    """Switches. `drop` and `refresh` are given by the Socket Mode hub that owns the connections."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        drop: Callable[[], int],
        refresh: Callable[[str], int],
        enforce_rate_limits: bool = False,
    ) -> None:
        self._ws = workspace
        self._drop = drop
        self._refresh = refresh
        self.enforce_rate_limits = enforce_rate_limits
        self._until: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._delay = 0.0
        self._down_calls = 0
        self._handshakes_to_refuse = 0
        self._failing: dict[str, tuple[str, int]] = {}
        self._losing: dict[str, int] = {}
        self._stale_hashes = 0
        self._acks_to_lose = 0
        self.elsewhere: dict[str, Callable[[bool], None]] = {}
        """Trouble that others make, by name: called with True when it begins and with False when it ends."""

    # -- switching trouble on

    def rate_limit(self, seconds: float) -> None:
        """Answer every Web API call with 429 and the seconds left as Retry-After."""
        self._start(RATE_LIMIT, seconds)

    def down(self, seconds: float) -> None:
        """Slack is gone: sockets are closed, no ticket is given, calls meet 503 and connection resets in turn."""
        self._start(DOWN, seconds)
        self._drop()

    def server_error(self, seconds: float) -> None:
        """Answer every Web API call with HTTP 500."""
        self._start(SERVER_ERROR, seconds)

    def drop_sockets(self) -> int:
        """Cut every Socket Mode connection without a goodbye; returns how many there were."""
        dropped = self._drop()
        self._ws.announce("fault", name=SOCKET_DROP, active=self.active())
        return dropped

    def disconnect(self, reason: str = "refresh_requested") -> int:
        """Ask every connection to come anew (`warning`, `refresh_requested`, `link_disabled`), as Slack does hourly."""
        return self._refresh(reason)

    def refuse_handshakes(self, times: int) -> None:
        """Give tickets, but refuse the next `times` WebSocket handshakes made with them."""
        self._handshakes_to_refuse = times

    def duplicate_deliveries(self, seconds: float) -> None:
        """Deliver every command, interaction and event twice, the second time without waiting for an answer."""
        self._start(DUPLICATES, seconds)

    def slow(self, seconds: float, delay: float = 1.0) -> None:
        """Let every Web API call take `delay` seconds longer."""
        self._delay = delay
        self._start(SLOW, seconds)

    def fail_method(self, method: str, error: str, times: int = 1) -> None:
        """Answer the next `times` calls of a method with this error; nothing happens in the workspace."""
        self._failing[method] = (error, times)

    def lose_response(self, method: str, times: int = 1) -> None:
        """Carry out the next `times` calls of a method, but cut the connection before the answer."""
        self._losing[method] = times

    def stale_hash(self, times: int = 1) -> None:
        """Let the next `times` view updates that carry a hash find that somebody was faster."""
        self._stale_hashes = times

    def lose_acks(self, times: int = 1) -> None:
        """Ignore the app's next `times` acknowledgements, as if they had come too late."""
        self._acks_to_lose = times

    def start(self, name: str, seconds: float = 10.0) -> None:
        """Switch a fault on by the name that the page and the scripts use; SandboxError when there is none such."""
        match name:
            case "429":
                self.rate_limit(seconds)
            case "down":
                self.down(seconds)
            case "socket drop":
                self.drop_sockets()
            case "duplicate deliveries":
                self.duplicate_deliveries(seconds)
            case "slow":
                self.slow(seconds)
            case "500":
                self.server_error(seconds)
            case _ if name in self.elsewhere:
                self.elsewhere[name](True)
                self._start(name, seconds)
            case _:
                known = (RATE_LIMIT, DOWN, SOCKET_DROP, DUPLICATES, SLOW, SERVER_ERROR, *self.elsewhere)
                raise SandboxError(f"there is no fault {name!r}; there are {', '.join(map(repr, known))}")

    def clear(self) -> None:
        """End all trouble now."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for name in self._until:
            self._end_elsewhere(name)
        self._until.clear()
        self._failing.clear()
        self._losing.clear()
        self._handshakes_to_refuse = self._stale_hashes = self._acks_to_lose = 0
        self._ws.announce("fault", name=None, active={})

    # -- asked by the server

    def active(self) -> dict[str, float]:
        """What is on, with the seconds left."""
        now = self._ws.now()
        return {name: round(until - now, 3) for name, until in self._until.items() if until > now}

    def is_on(self, name: str) -> bool:
        until = self._until.get(name)
        return until is not None and until > self._ws.now()

    @property
    def is_down(self) -> bool:
        return self.is_on(DOWN)

    def on_call(self) -> Verdict | None:
        """What the next Web API call meets; None when nothing is on."""
        if not self._until:
            return None
        if self.is_down:
            self._down_calls += 1
            return Verdict(status=503, reset=self._down_calls % 2 == 0)
        if self.is_on(SERVER_ERROR):
            return Verdict(status=500)
        if self.is_on(RATE_LIMIT):
            left = self._until[RATE_LIMIT] - self._ws.now()
            return Verdict(status=429, retry_after=max(1, math.ceil(left)))
        return Verdict(delay=self._delay) if self.is_on(SLOW) else None

    def error_for(self, method: str) -> str | None:
        if method not in self._failing:
            return None
        error, times = self._failing.pop(method)
        if times > 1:
            self._failing[method] = (error, times - 1)
        return error

    def loses_response(self, method: str) -> bool:
        times = self._losing.pop(method, 0)
        if times > 1:
            self._losing[method] = times - 1
        return times > 0

    def refuses_handshake(self) -> bool:
        if self._handshakes_to_refuse > 0:
            self._handshakes_to_refuse -= 1
            return True
        return False

    def makes_hash_stale(self) -> bool:
        if self._stale_hashes > 0:
            self._stale_hashes -= 1
            return True
        return False

    def loses_ack(self) -> bool:
        if self._acks_to_lose > 0:
            self._acks_to_lose -= 1
            return True
        return False

    # -- time

    def _start(self, name: str, seconds: float) -> None:
        self._until[name] = self._ws.now() + seconds
        if (old := self._timers.pop(name, None)) is not None:
            old.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._ended, name)
        self._ws.announce("fault", name=name, seconds=seconds, active=self.active())

    def _ended(self, name: str) -> None:
        self._timers.pop(name, None)
        self._until.pop(name, None)
        self._end_elsewhere(name)
        self._ws.announce("fault", name=name, seconds=0, active=self.active())

    def _end_elsewhere(self, name: str) -> None:
        if (switch := self.elsewhere.get(name)) is not None:
            switch(False)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
