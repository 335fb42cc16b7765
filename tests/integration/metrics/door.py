"""A door in front of any HTTP server of the tests: open, or silent, broken or shut. What passes is not changed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "accept-encoding"}


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[str]:
    """The address of ``app`` on a free port of this machine."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [(host, port)] = runner.addresses
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class Door:
    """Passes requests on to ``behind``, unless it is told otherwise."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.address = ""
        self.instead: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        """Answers in place of what is behind."""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path with query, headers and body of all that came."""
        self.waiting = 0
        """Requests that are kept waiting now."""
        self.changed = asyncio.Condition()

    async def silent(self, _: web.Request) -> web.StreamResponse:
        """Never answer."""
        await self._count(1)
        try:
            await asyncio.Event().wait()
        finally:
            await self._count(-1)
        raise AssertionError("nothing sets that event")

    async def dripping(self, request: web.Request) -> web.StreamResponse:
        """Answer for ever, a byte at a time, so that no single read takes long."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async def shut(self, request: web.Request) -> web.StreamResponse:
        """Hang up."""
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    def answering(self, status: int, text: str = "", **headers: str) -> None:
        """Answer that to everything."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

        self.instead = answer

    async def until_waiting(self, number: int) -> None:
        """Wait until so many requests are kept waiting."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.waiting == number)

    async def _count(self, more: int) -> None:
        async with self.changed:
            self.waiting += more
            self.changed.notify_all()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.raw_path, dict(request.headers), body))
        if self.instead is not None:
            return await self.instead(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        async with (
            aiohttp.ClientSession(auto_decompress=True) as session,
            session.request(
                request.method, self.behind + request.raw_path, headers=headers, data=body, allow_redirects=False
            ) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


@asynccontextmanager
async def door(behind: str) -> AsyncIterator[Door]:
    """A door before the address ``behind``."""
    found = Door(behind)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    async with serve(app) as address:
        found.address = address
        yield found
