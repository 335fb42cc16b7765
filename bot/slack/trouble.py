"""What a call to Slack can raise, and whether asking again would help. Decides nothing; the publisher has its own view.

Slack, or a proxy before it, answers with pages that are no Slack answer while it is down, and the SDK then raises
whatever its next line raises. So the caught errors are one list, and an answer is read with suspicion.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

TROUBLE = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError, ValueError, AttributeError)
"""Everything that a call raises when Slack refuses it, cannot be reached or says something unreadable."""

_FIRST_PAUSE = 0.3
_LAST_PAUSE = 3.0
_AGAIN = frozenset({429, 500, 502, 503, 504})


def code_of(error: BaseException) -> str:
    """Slack's word for the refusal; empty when it gave none."""
    data = getattr(getattr(error, "response", None), "data", None)
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def brief(error: BaseException) -> str:
    """One line for the log."""
    if isinstance(error, SlackApiError):
        return code_of(error) or f"HTTP {_status(error)}"
    return str(error) or type(error).__name__


def pause_after(error: BaseException) -> float | None:
    """Seconds that Slack asks for, 0 when it asks for none; None when asking again would not help."""
    if not isinstance(error, SlackApiError):
        return 0.0
    code = code_of(error)
    if _status(error) not in _AGAIN and code not in {"ratelimited", "internal_error", "fatal_error"}:
        return 0.0 if not code else None
    headers = {str(name).lower(): value for name, value in dict(getattr(error.response, "headers", None) or {}).items()}
    try:
        return max(0.0, float(headers.get("retry-after") or 0))
    except ValueError:
        return 0.0


async def insistently(call: Callable[[], Awaitable[T]], *, within: float) -> T:
    """The result of a call that may be repeated, tried for ``within`` seconds; then what it raised last."""
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except TROUBLE as error:
            asked = pause_after(error)
            if asked is None or time.monotonic() + max(asked, pause) > deadline:
                raise
        await asyncio.sleep(max(asked, pause))
        pause = min(pause * 2, _LAST_PAUSE)


def _status(error: SlackApiError) -> int:
    response = error.response
    return int(getattr(response, "status_code", 0) or getattr(response, "status", 0) or 0)
