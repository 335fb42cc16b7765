"""Answers ``GET /metrics``: text as Prometheus always read it, or OpenMetrics for who asks for that.

However many ask at once and however large the catalog is, one answer is made at a time, in a thread, and serves all
who ask within a second: whatever else the bot answers goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import hmac
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request, Response
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from prometheus_client import CollectorRegistry

_TEXT = exposition.CONTENT_TYPE_PLAIN_0_0_4
_OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_FRESH = 1.0
_SWITCH = 0.0005


@dataclass(kw_only=True)
class Scrape:
    """The route. ``refresh`` brings the registry up to date first; ``token`` is what one must show, if there is one."""

    registry: CollectorRegistry
    refresh: Callable[[], Awaitable[None]]
    token: str | None = None
    _made: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answer(self, request: Request) -> Response:
        """Every metric, or 401."""
        if self.token is not None and not _shows(self.token, request.headers.get("authorization", "")):
            return Response(
                "Show the token of METRICS_TOKEN: Authorization: Bearer …\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
                media_type="text/plain",
            )
        kind = _OPEN if _wants_openmetrics(request.headers.get("accept", "")) else _TEXT
        packed = await self._answer(kind)
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if _quality(request.headers.get("accept-encoding", ""), "gzip") > 0:
            return Response(packed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(await asyncio.to_thread(gzip.decompress, packed), headers=headers)

    async def _answer(self, kind: str) -> bytes:
        """What there is to read now, packed."""
        async with self._making:
            clock = asyncio.get_running_loop().time
            at, packed = self._made.get(kind, (0.0, b""))
            if packed and clock() - at < _FRESH:
                return packed
            await self.refresh()
            packed = await asyncio.to_thread(self._render, kind)
            self._made[kind] = (clock(), packed)
            return packed

    def _render(self, kind: str) -> bytes:
        generate = openmetrics.generate_latest if kind == _OPEN else exposition.generate_latest
        with _in_the_background():
            return gzip.compress(generate(self.registry), compresslevel=1)


@contextlib.contextmanager
def _in_the_background() -> Iterator[None]:
    """Let the event loop go first while a thread of ours computes.

    Sixty thousand samples, all gone a moment later, would make the collector look through everything that the process
    holds, and nobody could do anything meanwhile. And a loop with little to do each time would wait 5 ms every time.
    """
    collects, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collects:
            gc.enable()


def _shows(token: str, authorization: str) -> bool:
    scheme, _, shown = authorization.partition(" ")
    return hmac.compare_digest(shown.strip().encode(), token.encode()) and scheme.lower() == "bearer"


def _wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is asked for by name, and nothing else is liked better."""
    wish = _quality(accept, "application/openmetrics-text")
    return wish > 0 and wish >= _quality(accept, "text/plain")


def _quality(header: str, name: str) -> float:
    """How much somebody wants that, from 0 to 1; 0 when it is not named."""
    best = 0.0
    for part in header.split(","):
        named, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if named == name:
            asked = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
            try:
                best = max(best, float(asked))
            except ValueError:
                continue
    return best
