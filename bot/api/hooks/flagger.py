"""Answers Flagger: ``POST /hooks/flagger/TOKEN/HOOK``. 200 lets it go on, or for ``rollback`` takes everything back.

Answers from the database alone, within a second, and no to whatever is not certain. Must not call anything else, and
must not repeat what it was sent.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect

from bot.domain.errors import DeploymentArchitectError
from bot.domain.gate import Answer, Hook, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from fastapi import Request, Response

    from bot.domain.gate import Door
    from bot.ports.gates import Gates

    Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes that a question may have."""
PATIENCE = 0.8
"""Seconds within which there is an answer, whatever the database does."""
_MOST_AT_ONCE = 64
_OVER = {"Connection": "close"}
"""With every no: what somebody goes on to send would be read to its end, and it may have none."""


@dataclass(kw_only=True)
class FlaggerHooks:
    """The routes; without a secret there are none."""

    gates: Gates
    door: Door
    now: Callable[[], datetime]
    _asking: set[asyncio.Task[Answer | None]] = field(default_factory=set)

    def routes(self) -> dict[str, Handler]:
        """What is answered, by path."""
        return {"/hooks/flagger/{token}/{hook}": self.ask} if self.door.there else {}

    async def ask(self, request: Request) -> Response:
        """One question."""
        try:
            hook = Hook(request.path_params["hook"])
        except ValueError:
            return _nothing()
        token = str(request.path_params["token"])
        if len(token) > 128 or len(self._asking) >= _MOST_AT_ONCE:
            return _nothing() if len(token) > 128 else _closed("Closed: too much is asked at once.")
        # Not cancelled when it is too late: what a yes has to leave behind is then written all the same, which only
        # makes the next answer more careful.
        asking = asyncio.create_task(self._answer(request, token, hook))
        self._asking.add(asking)
        asking.add_done_callback(self._done)
        await asyncio.wait({asking}, timeout=PATIENCE)
        if not asking.done():
            return _closed("Closed: the bot's database does not answer in time.")
        if asking.exception() is not None:
            return _closed("Closed: the bot's database does not answer.")
        found = asking.result()
        if found is None:
            return _nothing()
        return PlainTextResponse(found.why, status_code=200) if found.open else _closed(found.why)

    async def close(self) -> None:
        """Wait for what is still being written."""
        if self._asking:
            await asyncio.wait(set(self._asking), timeout=5.0)

    async def _answer(self, request: Request, token: str, hook: Hook) -> Answer | None:
        """The answer; None for somebody who does not know the token of any place."""
        key = await self._key(token)
        if key is None:
            return None
        payload = await _payload(request)
        if payload is None:
            return Answer(open=False, why="Closed: what was sent is not what Flagger sends.")
        name, _, _ = key.rpartition("@")
        if f"{payload.get('namespace')}/{payload.get('name')}" != name:
            return Answer(open=False, why="Closed: this address belongs to another canary.")
        if hook is Hook.EVENT:  # no more than a hint, and the cluster itself tells sooner
            return Answer(open=True, why="Heard.")
        gate = await self.gates.get(key)
        found = answer(gate, hook, at=self.now(), checksum=str(payload.get("checksum") or "")[:128])
        if found.keep is not None:
            await self.gates.put(found.keep)
        if found.open:
            log.info("%s may go on at %s: %s", name, hook, found.why)
        return found

    async def _key(self, token: str) -> str | None:
        shown, found = token.encode("utf-8", "replace"), None
        for key in await self.gates.keys():  # all of them: how long it takes tells nothing
            if hmac.compare_digest(shown, self.door.token(key).encode()):
                found = key
        return found

    def _done(self, asking: asyncio.Task[Answer | None]) -> None:
        self._asking.discard(asking)
        error = None if asking.cancelled() else asking.exception()
        if isinstance(error, DeploymentArchitectError):
            log.warning("a gate stays closed: %s", error.message)
        elif error is not None:
            log.error("a gate stays closed, because the bot broke", exc_info=error)


async def _payload(request: Request) -> dict[str, object] | None:
    """What was sent; None when it is too large or no object."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST:
                return None
    except ClientDisconnect:
        return None
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _nothing() -> Response:
    return PlainTextResponse("There is nothing here.", status_code=404, headers=_OVER)


def _closed(why: str) -> Response:
    return PlainTextResponse(why, status_code=403, headers=_OVER)
