"""Getting payloads to the app: one attempt of three seconds for what a person waits for, retries for events.

Over Socket Mode or signed HTTP, whichever transport it is given; what a payload says is none of its business.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias
from urllib.parse import urlencode

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from bot.sandbox.faults import Faults
    from bot.sandbox.model import JsonDict
    from bot.sandbox.workspace import Workspace

Kind: TypeAlias = Literal["slash_commands", "interactive", "events_api"]

ACK_SECONDS = 3.0
RETRY_DELAYS = (0.0, 60.0, 300.0)
TIMEOUT, NOBODY = "operation_timeout", "dispatch_failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one delivery ended. `error` is Slack's word for it when it was not acked; times are in seconds."""

    acked: bool
    payload: JsonDict | None = None
    error: str | None = None
    retry_reason: str = ""
    delivered_at: float | None = None
    elapsed: float = 0.0
    retriable: bool = True


class Transport(Protocol):
    """One way to reach the app. `send` makes a single attempt and never raises."""

    ack_seconds: float

    @property
    def connected(self) -> int: ...

    async def send(
        self, kind: Kind, payload: JsonDict, *, accepts_response: bool, attempt: int = 0, reason: str = ""
    ) -> Outcome: ...

    async def close(self) -> None: ...


class Delivery:
    """Sends, repeats what must be repeated, and keeps hold of what still runs."""

    def __init__(
        self,
        faults: Faults,
        transport: Transport,
        *,
        retry_delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self._faults = faults
        self.transport = transport
        self.retry_delays = tuple(retry_delays)
        self._running: set[asyncio.Task[object]] = set()

    async def deliver(self, kind: Kind, payload: JsonDict, *, accepts_response: bool = False) -> Outcome:
        """The outcome of the first attempt; retries of an event go on behind the caller's back."""
        if self._faults.is_on("duplicate deliveries"):
            self._spawn(self.transport.send(kind, payload, accepts_response=accepts_response))
        outcome = await self.transport.send(kind, payload, accepts_response=accepts_response)
        if outcome.acked and self._faults.loses_ack():
            outcome = Outcome(
                False,
                error=TIMEOUT,
                retry_reason="timeout",
                delivered_at=outcome.delivered_at,
                elapsed=outcome.elapsed,
            )
        if kind == "events_api" and not outcome.acked and outcome.retriable:
            self._spawn(self._retry(payload, outcome.retry_reason))
        return outcome

    async def _retry(self, payload: JsonDict, reason: str) -> None:
        for attempt, delay in enumerate(self.retry_delays, start=1):
            await asyncio.sleep(delay)
            outcome = await self.transport.send(
                "events_api", payload, accepts_response=False, attempt=attempt, reason=reason
            )
            if (outcome.acked and not self._faults.loses_ack()) or not outcome.retriable:
                return
            reason = outcome.retry_reason or "timeout"

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(_run(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def idle(self) -> None:
        """Return when no retry and no duplicate is under way any more."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.transport.close()


async def _run(work: Coroutine[object, object, object]) -> object:
    return await work


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature of a request body."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)
    return "v0=" + digest.hexdigest()


class SignedHttp:
    """Delivery to the app's request URL, signed over the raw bytes."""

    def __init__(self, workspace: Workspace, url: str) -> None:
        self._ws = workspace
        self.url = url
        self.ack_seconds = ACK_SECONDS
        self._session: aiohttp.ClientSession | None = None
        self._reachable = True

    @property
    def connected(self) -> int:
        """1 unless the last request found nobody at the address."""
        return int(self._reachable)

    def _reached(self, reachable: bool) -> None:
        if reachable != self._reachable:
            self._reachable = reachable
            self._ws.announce("bot", connected=self.connected)

    async def send(
        self, kind: Kind, payload: JsonDict, *, accepts_response: bool, attempt: int = 0, reason: str = ""
    ) -> Outcome:
        if kind == "events_api":
            body, content_type = json.dumps(payload).encode(), "application/json"
        else:
            fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
            body, content_type = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        headers = {"Content-Type": content_type}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason}
        return await self._post(body, headers, accepts_response=accepts_response)

    async def verify(self) -> bool:
        """Slack's question to a new request URL: does it give the challenge back?"""
        challenge = self._ws.new_id("CH")
        question = {
            "type": "url_verification",
            "token": self._ws.verification_token,
            "challenge": challenge,
        }
        body = json.dumps(question).encode()
        outcome = await self._post(body, {"Content-Type": "application/json"}, accepts_response=True)
        answer = outcome.payload or {}
        return outcome.acked and challenge in {answer.get("challenge"), answer.get("text")}

    async def _post(self, body: bytes, headers: dict[str, str], *, accepts_response: bool) -> Outcome:
        timestamp = str(int(self._ws.now()))
        headers |= {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._ws.signing_secret, timestamp, body),
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Accept": "application/json,*/*",
        }
        loop = asyncio.get_running_loop()
        delivered_at, begun = self._ws.now(), loop.time()

        def failed(error: str, reason: str, *, retriable: bool = True) -> Outcome:
            elapsed = loop.time() - begun
            return Outcome(False, None, error, reason, delivered_at, elapsed, retriable)

        try:
            async with (
                asyncio.timeout(self.ack_seconds),
                self._client().post(self.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                self._reached(True)
                raw = await answer.read()
                if answer.status >= 300:
                    error = "http_service_error" if answer.status >= 500 else "http_client_error"
                    retriable = answer.headers.get("X-Slack-No-Retry") != "1"
                    return failed(error, "http_error", retriable=retriable)
                elapsed = loop.time() - begun
                payload = _ack_payload(raw, answer.content_type) if accepts_response else None
                return Outcome(True, payload, delivered_at=delivered_at, elapsed=elapsed)
        except TimeoutError:
            return failed(TIMEOUT, "http_timeout")
        except (aiohttp.ClientError, OSError):
            self._reached(False)
            return failed(NOBODY, "connection_failed")

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _ack_payload(raw: bytes, content_type: str) -> JsonDict | None:
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        return None
    if content_type == "application/json":
        try:
            parsed = json.loads(text)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else {"text": parsed} if isinstance(parsed, str) else None
    return {"text": text}
