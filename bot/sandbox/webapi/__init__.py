"""The Web API: every method of every family behind POST and GET /api/<method>.

Dispatch, authentication, faults and the log live here; what a method means lives in its family's module.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.model import Call, SlackError
from bot.sandbox.webapi import chat, conversations, files, misc, people, streams, views
from bot.sandbox.webapi._base import Api, Args
from bot.sandbox.webapi._limits import RateLimits
from bot.sandbox.webapi._scopes import ALL, NEEDED

if TYPE_CHECKING:
    from bot.sandbox.faults import Faults
    from bot.sandbox.model import JsonDict
    from bot.sandbox.socket_mode import SocketHub
    from bot.sandbox.webapi._base import Method
    from bot.sandbox.workspace import Workspace

METHODS: dict[str, Method] = {
    **chat.METHODS,
    **streams.METHODS,
    **views.METHODS,
    **conversations.METHODS,
    **people.METHODS,
    **files.METHODS,
    **misc.METHODS,
}
WITHOUT_TOKEN = {"api.test", "blocks.validate"}
WITH_APP_TOKEN = {"apps.connections.open"}


class WebApi:
    """Answers calls. One instance per server."""

    def __init__(self, workspace: Workspace, faults: Faults, hub: SocketHub) -> None:
        self._api = Api(workspace, faults, hub)
        self._limits = RateLimits(workspace)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call, from bytes to bytes: HTTP 200 with `ok`, but for limits and broken platforms."""
        faults = self._api.faults
        method = request.match_info["method"]
        try:
            raw, token = await _arguments(request)
        except SlackError as refusal:
            return self._answer(method, {}, {"ok": False, "error": refusal.error, **refusal.extra})
        verdict = faults.on_call()
        if verdict is not None:
            if verdict.delay:
                await asyncio.sleep(verdict.delay)
            if verdict.reset:
                self._log(method, raw, {"ok": False, "error": "connection_reset"}, 0)
                return _cut(request)
            if verdict.status != 200:
                return self._broken(method, raw, verdict.status, verdict.retry_after)
        if faults.enforce_rate_limits and (wait := self._limits.exceeded(method, raw)):
            return self._limited(method, raw, wait)
        answer = self._call(method, raw, token)
        response = self._answer(method, raw, answer)
        return _cut(request) if faults.loses_response(method) else response

    def _call(self, method: str, raw: JsonDict, token: str) -> JsonDict:
        ws = self._api.ws
        function = METHODS.get(method)
        if function is None:
            return {"ok": False, "error": "unknown_method", "req_method": method}
        try:
            if method not in WITHOUT_TOKEN:
                self._authenticate(method, token)
            if error := self._api.faults.error_for(method):
                raise SlackError(error)
            if ws.scopes is not None and (needed := NEEDED.get(method)) and not needed & ws.scopes:
                raise SlackError("missing_scope", needed=",".join(sorted(needed)), provided=",".join(sorted(ws.scopes)))
            return {"ok": True, **function(self._api, Args(raw))}
        except SlackError as refusal:
            return {"ok": False, "error": refusal.error, **refusal.extra}

    def _authenticate(self, method: str, token: str) -> None:
        ws = self._api.ws
        if not token:
            raise SlackError("not_authed")
        if token not in {ws.bot_token, ws.app_token}:
            raise SlackError("invalid_auth")
        if (token == ws.app_token) != (method in WITH_APP_TOKEN):
            raise SlackError("not_allowed_token_type")

    def _answer(self, method: str, raw: JsonDict, answer: JsonDict) -> web.Response:
        body = json.dumps(answer)
        self._log(method, raw, answer, 200)
        ws = self._api.ws
        return web.Response(
            text=body,
            content_type="application/json",
            headers={
                "X-OAuth-Scopes": ",".join(sorted(ALL if ws.scopes is None else ws.scopes)),
                "X-Slack-Req-Id": secrets.token_hex(16),
            },
        )

    def _broken(self, method: str, raw: JsonDict, status: int, wait: int) -> web.Response:
        if status == 429:
            return self._limited(method, raw, wait)
        self._log(method, raw, {"ok": False, "error": "service_unavailable"}, status)
        if status == 500:
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        return web.Response(status=status, text="<html><body>503 Service Unavailable</body></html>")

    def _limited(self, method: str, raw: JsonDict, wait: int) -> web.Response:
        answer: JsonDict = {"ok": False, "error": "ratelimited"}
        self._log(method, raw, answer, 429)
        return web.json_response(answer, status=429, headers={"Retry-After": str(wait)})

    def _log(self, method: str, raw: JsonDict, answer: JsonDict, status: int) -> None:
        self._api.ws.log(Call(method, raw, self._api.ws.now(), answer, status))

    def close(self) -> None:
        for _, timer in self._api.scheduled.values():
            timer.cancel()
        self._api.scheduled.clear()


async def _arguments(request: web.Request) -> tuple[JsonDict, str]:
    """The call's arguments without the token, and the token. The header's token wins over the argument's."""
    raw: JsonDict = dict(request.query)
    if request.method == "POST" and request.body_exists:
        if request.content_type == "application/json":
            text = await request.text()
            try:
                body = json.loads(text) if text.strip() else {}
            except ValueError:
                raise SlackError("invalid_json") from None
            if not isinstance(body, dict):
                raise SlackError("json_not_object")
            raw |= body
        elif request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            form = await request.post()
            raw |= {key: value for key, value in form.items() if isinstance(value, str)}
        elif await request.read():
            raise SlackError("invalid_post_type")
    argument = raw.pop("token", "")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return raw, token.strip() if scheme.lower() == "bearer" and token else str(argument)


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    if isinstance(request.transport, asyncio.WriteTransport):
        request.transport.abort()
    return web.Response(status=503)
