"""A running workspace with an unmodified Bolt app in it, over Socket Mode or over signed HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.workspace import Workspace


class Clock:
    """Time that passes only when a test says so, ahead of the real one."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.at = start

    def __call__(self) -> float:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += seconds


def client_of(server: SandboxServer) -> AsyncWebClient:
    return AsyncWebClient(token=server.workspace.bot_token, base_url=f"{server.url}/api/")


class Bot:
    """An AsyncApp that knows nothing of the sandbox but its address."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.client = client_of(server)
        self.app = AsyncApp(client=self.client, signing_secret=server.workspace.signing_secret)
        self.got: list[dict[str, Any]] = []
        self.handlers: list[AsyncSocketModeHandler] = []

    async def connect(self) -> AsyncSocketModeHandler:
        """One more Socket Mode connection, ready to receive."""
        before = self.server.hub.connected
        handler = AsyncSocketModeHandler(self.app, self.server.workspace.app_token)
        self.handlers.append(handler)
        await handler.connect_async()
        await self.server.workspace.wait_for(lambda: self.server.hub.connected > before)
        return handler

    async def close(self) -> None:
        for handler in self.handlers:
            await handler.close_async()
        # Bolt leaves its own sessions to the garbage collector otherwise.
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(workspace: Workspace, **options: Any) -> AsyncIterator[SandboxServer]:
    server = SandboxServer(workspace, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def http_front() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A request URL for Bolt in HTTP mode; put the app under "app" once it is there. Raw requests are kept."""
    here: dict[str, Any] = {"app": None, "requests": [], "answer": None}

    async def receive(request: web.Request) -> web.Response:
        raw = await request.text()
        here["requests"].append((dict(request.headers), raw))
        if here["answer"] is not None:
            answer: web.Response = here["answer"]()
            return answer
        reply = await here["app"].async_dispatch(
            AsyncBoltRequest(body=raw, headers={name: [value] for name, value in request.headers.items()})
        )
        return web.Response(
            status=reply.status, text=reply.body, headers={name: reply.first_headers()[name] for name in reply.headers}
        )

    front = web.Application()
    front.add_routes([web.post("/slack/events", receive)])
    runner = web.AppRunner(front, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events", here
    finally:
        await runner.cleanup()
