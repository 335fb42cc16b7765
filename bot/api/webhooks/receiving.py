"""What every webhook does alike: the body within its bounds, secrets compared in constant time, refusals in words."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request, Response

_SLOWEST = 10.0
"""Seconds that a delivery may take to arrive."""


class Unacceptable(Exception):
    """The body cannot be taken; ``answer`` says so to whoever sent it."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


async def received(request: Request, *, largest: int) -> bytes:
    """The body; raises `Unacceptable` when it has more than ``largest`` bytes, or is too slow."""
    try:
        async with asyncio.timeout(_SLOWEST):
            body = await _body(request, largest)
    except TimeoutError:
        raise Unacceptable(refusal(408, f"It did not arrive within {_SLOWEST:g} s.")) from None
    if body is None:
        size = f"{largest // 1024 // 1024} MiB" if largest >= 1024 * 1024 else f"{largest // 1024} KiB"
        raise Unacceptable(refusal(413, f"It is larger than {size}."))
    return body


async def _body(request: Request, largest: int) -> bytes | None:
    """The body; None as soon as it is too large, however little of it is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 12 or int(announced) > largest):
        return None
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > largest:
            return None
    return bytes(found)


def same(shown: str, secret: str | None) -> bool:
    """Whether the secret was shown. Where there is none, it never was."""
    return secret is not None and hmac.compare_digest(shown.encode("utf-8", "replace"), secret.encode())


def bearer(request: Request, token: str | None) -> bool:
    """Whether the request shows that token: ``Authorization: Bearer …``."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return same(shown.strip(), token) and scheme.lower() == "bearer"


def no_bearer(setting: str) -> Response:
    """That the token of this setting was not shown."""
    why = f"Show the token of {setting}: Authorization: Bearer …"
    return refusal(401, why, headers={"WWW-Authenticate": "Bearer"})


def refusal(
    status: int, why: str, *, suggestions: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that something is not done, and why."""
    body: dict[str, object] = {"error": why}
    if suggestions:
        body["did_you_mean"] = list(suggestions)
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))
