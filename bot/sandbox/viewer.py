"""What the page is fed with: a snapshot, a stream of events, and a place to send acts to; each as one person.

Whatever only one person may see (ephemerals, modals, the Home tab) is sent to nobody else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import json
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from bot.sandbox.model import MessageRef, SandboxError, ViewRef
from bot.sandbox.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.sandbox.faults import Faults
    from bot.sandbox.hands import Hands
    from bot.sandbox.model import JsonDict, Person
    from bot.sandbox.workspace import Workspace

    Hint: TypeAlias = str | JsonDict
    Hints: TypeAlias = Callable[[str, str], Sequence[Hint] | Awaitable[Sequence[Hint]]]


FOREIGN = "only this server's own page may act here"


class Viewer:
    """The page's half of the server. `hints` completes half-typed commands: (user id, text) -> texts."""

    def __init__(
        self,
        workspace: Workspace,
        hands: Hands,
        faults: Faults,
        connected: Callable[[], int],
        hints: Hints | None = None,
    ) -> None:
        self._ws = workspace
        self._hands = hands
        self._faults = faults
        self.picture = Picture(workspace, faults, connected)
        self.hints = hints
        self._sockets: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/state", self.state),
            web.get("/sandbox/events", self.events),
            web.post("/sandbox/act", self.act),
            web.get("/sandbox/hints", self.complete),
            web.get("/sandbox/files/{file_id}", self.file),
        ]

    # -- the snapshot

    async def state(self, request: web.Request) -> web.Response:
        try:
            person = self._who(request.query.get("as"))
        except SandboxError as problem:
            return web.json_response({"ok": False, "error": str(problem)}, status=404)
        return web.json_response({"ok": True, **self.picture.snapshot(person)})

    # -- events

    async def events(self, request: web.Request) -> web.StreamResponse:
        if _is_foreign(request):
            return web.json_response({"ok": False, "error": FOREIGN}, status=403)
        try:
            person = self._who(request.query.get("as"))
        except SandboxError as problem:
            return web.json_response({"ok": False, "error": str(problem)}, status=404)
        since = self._ws.seq
        socket = web.WebSocketResponse(heartbeat=20.0, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        pushing = asyncio.get_running_loop().create_task(self._push(socket, person, since))
        try:
            async for _ in socket:
                pass  # the page only listens; reading notices that it went away
        finally:
            self._sockets.discard(socket)
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
        return socket

    async def _push(self, socket: web.WebSocketResponse, person: Person, since: int) -> None:
        async for change in self._ws.changes(since):
            if change.user not in {None, person.id}:
                continue
            if change.channel is not None and change.user is None and not self._is_in(person, change.channel):
                continue
            await socket.send_str(json.dumps(self.picture.event(change, person)))

    def _is_in(self, person: Person, channel: str) -> bool:
        found = self._ws.channels.get(channel)
        return found is not None and person.id in found.members

    # -- acts

    async def act(self, request: web.Request) -> web.Response:
        """POST: what a person does. {ok: true, ...} or {ok: false, error}."""
        if _is_foreign(request):
            return web.json_response({"ok": False, "error": FOREIGN}, status=403)
        try:
            if request.content_type == "multipart/form-data":
                return web.json_response(await self._upload_form(request))
            body = await request.json()
            if not isinstance(body, dict):
                raise SandboxError("an act is a JSON object")
            return web.json_response(await self._do(body))
        except SandboxError as problem:
            return web.json_response({"ok": False, "error": str(problem)})
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            error = f"the act cannot be understood: {type(problem).__name__} {problem}"
            return web.json_response({"ok": False, "error": error}, status=400)

    async def _do(self, body: JsonDict) -> JsonDict:
        hands = self._hands
        if body.get("kind") == "fault":
            self._faults.start(str(body["name"]), float(body.get("seconds") or 10))
            return {"ok": True, "faults": self._faults.active()}
        who = self._who(body.get("as")).id
        match body.get("kind"):
            case "command":
                command, text = _command_line(body)
                channel, thread = str(body["channel"]), body.get("thread_ts")
                receipt = await hands.command(who, command, text, channel=channel, thread_ts=thread)
                # A failure stands in the channel already, told by Slackbot to this person.
                return {"ok": True} | ({"told": receipt.error} if receipt.error else {})
            case "say":
                text, channel = str(body["text"]), str(body["channel"])
                receipt = await hands.say(who, text, channel=channel, thread_ts=body.get("thread_ts"))
                # The message is posted whether or not the bot took notice; retries are Slack's business.
                return {"ok": True, "ts": receipt.message.ts if receipt.message else None}
            case "click" | "choose":
                receipt = await self._press(who, body)
            case "suggest":
                return {"ok": True, "options": await self._suggest(who, body)}
            case "submit":
                receipt = await hands.submit_state(who, str(body["view_id"]), body.get("state"))
                return _answer(receipt.error, receipt.errors)
            case "close":
                everything = bool(body.get("all") or body.get("everything"))
                receipt = await hands.close(who, str(body["view_id"]), everything=everything)
                return {"ok": True}
            case "home":
                receipt = await hands.open_home(who, str(body.get("tab") or "home"))
            case "upload":
                return await self._upload(who, body)
            case kind:
                raise SandboxError(f"there is no act {kind!r}")
        return _answer(receipt.error, receipt.errors)

    async def _press(self, who: str, body: JsonDict) -> Any:
        change = {key: body[key] for key in body if key.startswith("selected_") or key in {"value", "files"}}
        if isinstance(body.get("change"), dict):
            change |= body["change"]
        values = body.get("values")
        container, action_id = _container(body["container"]), str(body["action_id"])
        if not change and isinstance(values, list):
            return await self._hands.choose(
                who,
                container=container,
                action_id=action_id,
                values=[str(value) for value in values],
                block_id=body.get("block_id"),
            )
        return await self._hands.act(
            who,
            container=container,
            action_id=action_id,
            block_id=body.get("block_id"),
            change=change,
            state=body.get("state"),
        )

    async def _suggest(self, who: str, body: JsonDict) -> list[JsonDict]:
        return await self._hands.suggest(
            who,
            container=_container(body["container"]),
            action_id=str(body["action_id"]),
            query=str(body.get("query") or ""),
            block_id=body.get("block_id"),
        )

    async def _upload(self, who: str, body: JsonDict) -> JsonDict:
        given = body.get("content_base64") or body.get("base64")
        try:
            content = base64.b64decode(given) if given else str(body.get("content") or "").encode()
        except binascii.Error:
            raise SandboxError("the file's content is no base64") from None
        name = str(body.get("name") or body.get("filename") or "file.txt")
        return await self._share(who, body, name, content)

    async def _upload_form(self, request: web.Request) -> JsonDict:
        form = await request.post()
        fields: JsonDict = {key: value for key, value in form.items() if isinstance(value, str)}
        parts = [part for part in form.values() if isinstance(part, web.FileField)]
        if not parts:
            raise SandboxError("there is no file in the upload")
        return await self._share(self._who(fields.get("as")).id, fields, parts[0].filename, parts[0].file.read())

    async def _share(self, who: str, fields: JsonDict, name: str, content: bytes) -> JsonDict:
        ref = await self._hands.upload(
            who,
            channel=str(fields["channel"]),
            name=name,
            content=content,
            text=str(fields.get("text") or ""),
            thread_ts=fields.get("thread_ts") or None,
        )
        return {"ok": True, "ts": ref.ts}

    # -- the rest

    async def complete(self, request: web.Request) -> web.Response:
        """GET: completions of a half-typed command."""
        text = request.query.get("text", "")
        try:
            person = self._who(request.query.get("as"))
        except SandboxError as problem:
            return web.json_response({"ok": False, "error": str(problem)}, status=404)
        found: list[Any] = []
        if self.hints is not None:
            given = self.hints(person.id, text)
            found = list(await given if inspect.isawaitable(given) else given)
        if not found:
            words = text.split(maxsplit=1)
            found = [
                {"text": c.command, "usage_hint": c.usage_hint, "description": c.description}
                for c in self._ws.commands.values()
                if words and " " not in text and c.command.startswith(words[0])
            ]
        hints = [{"text": hint} if isinstance(hint, str) else hint for hint in found]
        return web.json_response({"ok": True, "hints": hints})

    async def file(self, request: web.Request) -> web.Response:
        stored = self._ws.files.get(request.match_info["file_id"])
        if stored is None or stored.content is None:
            return web.Response(status=404, text="there is no such file")
        name = "".join(char if char.isalnum() or char in "._- " else "_" for char in stored.name)
        return web.Response(
            body=stored.content,
            content_type=stored.mimetype,
            headers={
                "Content-Disposition": f'inline; filename="{name}"',
                "X-Content-Type-Options": "nosniff",
                # What people upload is shown, never run.
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            },
        )

    def _who(self, given: Any) -> Person:
        if not given:
            return next(p for p in self._ws.people.values() if not p.is_bot)
        return self._ws.person(str(given))

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=1001, message=b"the workspace is closing")


def _is_foreign(request: web.Request) -> bool:
    """Whether some other site's page sends this: a browser says where a page is from, and the page is from here."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _answer(error: str | None, errors: dict[str, str]) -> JsonDict:
    answer: JsonDict = {"ok": error is None and not errors}
    if errors:
        return answer | {"errors": errors}
    return answer if error is None else answer | {"error": error}


def _container(given: JsonDict) -> MessageRef | ViewRef:
    if given["type"] == "view":
        return ViewRef(str(given["view_id"]))
    return MessageRef(str(given["channel"]), str(given["ts"]))


def _command_line(body: JsonDict) -> tuple[str, str]:
    """The command and its text, given apart or as the one line that was typed."""
    text = str(body.get("text") or "").strip()
    if body.get("command"):
        return str(body["command"]), text
    if not text.startswith("/"):
        raise SandboxError("a command starts with a slash")
    command, _, rest = text.partition(" ")
    return command, rest.strip()
