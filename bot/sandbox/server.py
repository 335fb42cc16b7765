"""The workspace as a server: Web API, Socket Mode or signed HTTP, response URLs, uploads, and the page.

This module only puts the parts together and gives them an address.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox import responses
from bot.sandbox.delivery import RETRY_DELAYS, Delivery, SignedHttp
from bot.sandbox.faults import Faults
from bot.sandbox.hands import Hands
from bot.sandbox.model import SlackError
from bot.sandbox.socket_mode import SocketHub
from bot.sandbox.viewer import Viewer
from bot.sandbox.webapi import WebApi
from bot.sandbox.webapi.files import receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sandbox.delivery import Transport
    from bot.sandbox.model import JsonDict
    from bot.sandbox.viewer import Hints
    from bot.sandbox.workspace import Workspace

PAGE = Path(__file__).parent / "page"
LARGEST_BODY = 64 * 1024 * 1024


async def _always_asked_for(request: web.Request, response: web.StreamResponse) -> None:
    """A browser must not mix modules of two versions of the page."""
    if request.path.startswith("/page/"):
        response.headers["Cache-Control"] = "no-cache"


class SandboxServer:
    """A workspace that answers on `url`.

    Payloads go to the app over Socket Mode, or, with `deliver_to`, to that request URL, signed. `ack_seconds` is how
    long the app may take to ack, `retry_delays` how many seconds pass before each repetition of an event.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        deliver_to: str | None = None,
        enforce_rate_limits: bool = False,
        hints: Hints | None = None,
        ack_seconds: float = 3.0,
        retry_delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self.workspace = workspace
        self._host, self._port = host, port
        self.hub = SocketHub(workspace)
        self.faults = Faults(
            workspace, drop=self.hub.drop, refresh=self.hub.refresh, enforce_rate_limits=enforce_rate_limits
        )
        self.hub.faults = self.faults
        self.transport: Transport = SignedHttp(workspace, deliver_to) if deliver_to else self.hub
        self.transport.ack_seconds = ack_seconds
        self.delivery = Delivery(self.faults, self.transport, retry_delays=retry_delays)
        self.hands = Hands(workspace, self.delivery)
        self.web_api = WebApi(workspace, self.faults, self.hub)
        self.viewer = Viewer(workspace, self.hands, self.faults, lambda: self.transport.connected, hints=hints)
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. OSError when the address is taken."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.add_routes(
            [
                web.post("/api/{method}", self.web_api.handle),
                web.get("/api/{method}", self.web_api.handle, allow_head=False),
                web.get("/link", self.hub.handle, allow_head=False),
                web.post("/hook/{hook_id}", self._hook),
                web.post("/upload/{file_id}", self._upload),
                *self.viewer.routes(),
                web.get("/", self._page),
                web.get("/archives/{channel}/p{ts:[0-9]{7,}}", self._permalink),
            ]
        )
        if PAGE.is_dir():
            app.router.add_static("/page", PAGE)
            app.on_response_prepare.append(_always_asked_for)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            self._runner = None
            raise
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.workspace.base_url = self.url

    async def stop(self) -> None:
        """Hang up on everybody and stop listening."""
        self.faults.close()
        self.web_api.close()
        await self.viewer.close()
        await self.delivery.close()
        if self.transport is not self.hub:
            await self.hub.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _hook(self, request: web.Request) -> web.Response:
        """POST /hook/<id>: a response_url."""
        if self.faults.is_down:
            return web.Response(status=503, text="service unavailable")
        text = await request.text()
        try:
            if request.content_type == "application/x-www-form-urlencoded":
                text = str((await request.post()).get("payload", text))
            body: JsonDict = json.loads(text)
            if not isinstance(body, dict):
                raise SlackError("invalid_payload")
            responses.use(self.workspace, request.match_info["hook_id"], body)
        except ValueError:
            return web.Response(status=400, text="invalid_payload")
        except SlackError as refusal:
            gone = refusal.error in {"expired_url", "used_url", "no_service"}
            answer = {"ok": False, "error": refusal.error, **refusal.extra}
            return web.json_response(answer, status=404 if gone else 400)
        return web.Response(text="ok", content_type="text/plain")

    async def _upload(self, request: web.Request) -> web.Response:
        if self.faults.is_down:
            await request.read()
            return web.Response(status=503, text="service unavailable")
        return await receive(self.workspace, request)

    async def _permalink(self, request: web.Request) -> web.Response:
        """GET /archives/<channel>/p<ts>: where chat.getPermalink points to, on the page."""
        channel = self.workspace.channels.get(request.match_info["channel"])
        digits = request.match_info["ts"]
        message = channel.messages.get(f"{digits[:-6]}.{digits[-6:]}") if channel else None
        if channel is None or message is None:
            return web.Response(status=404, text="there is no such message")
        raise web.HTTPFound(f"/#{channel.name}/{message.thread_ts or message.ts}")

    async def _page(self, _request: web.Request) -> web.StreamResponse:
        index = PAGE / "index.html"
        if not index.is_file():
            return web.Response(status=404, text="this server was built without its page")
        return web.FileResponse(index)
