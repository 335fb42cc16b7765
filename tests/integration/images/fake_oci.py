"""A registry and its token server that keep to the word of the specifications, and lie when they are told to.

Follows the OCI distribution specification 1.1 (content negotiation, digests, pages of tags) and the token
authentication of the distribution project. What `docker-registry` was seen to do is done here too: an image whose kind
is not among those asked for is 404 MANIFEST_UNKNOWN, and a HEAD has no body that would explain anything.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from integration.images.real_registry import INDEX, digest_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NAME = "acme/checkout"
USER, PASSWORD = "robot$acme", "hub-password-1618"
CONTENT = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()


class FakeRegistry:
    """One repository with images, all of the same kind."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {"v1.2": CONTENT}
        """Tag -> manifest."""
        self.kind = INDEX
        self.tags: list[Any] | None = None
        """What is listed instead of the tags that there are."""
        self.guarded = False
        """Whether a token is needed."""
        self.anonymous = True
        """Whether the token server gives one to everybody."""
        self.says_digest = True
        self.realm = ""
        self.link = "/v2/{name}/tags/list?{query}"
        self.lifetime: object = 300
        self.page = 100
        """Tags on a page, whatever was asked for."""
        self.instead: dict[str, Handler] = {}
        """First word of the path behind the repository, or "token" -> what answers in its place."""
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        """Method, path with query and headers of all that came to the registry."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Path with query and headers of all that came to the token server."""
        self.given: set[str] = set()
        """Tokens that count."""
        self.address = ""
        self.token_address = ""

    def paths(self, word: str) -> list[str]:
        """Methods and paths of what came about ``word``."""
        return [f"{method} {path}" for method, path, _ in self.seen if f"/{word}/" in path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What a client of the registry gets."""
        self.seen.append((request.method, request.raw_path, dict(request.headers)))
        rest = request.path.removeprefix(f"/v2/{NAME}/")
        word, _, reference = rest.partition("/")
        if instead := self.instead.get(word):
            return await instead(request)
        if self.guarded and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.given:
            said = f'Bearer realm="{self.realm or self.token_address}",service="fake, of tests",scope="{SCOPE}"'
            return error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": said})
        if rest == request.path:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        return self._page(request) if word == "tags" else self._manifest(request, reference)

    def _manifest(self, request: web.Request, reference: str) -> web.StreamResponse:
        found = self.manifests.get(reference)
        for content in self.manifests.values():
            found = content if digest_of(content) == reference else found
        accepted = [kind.strip() for line in request.headers.getall("Accept", []) for kind in line.split(",")]
        if found is None or self.kind not in accepted:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        headers = {"Content-Type": self.kind}
        if self.says_digest:
            headers["Docker-Content-Digest"] = digest_of(found)
        return web.Response(body=found, headers=headers)

    def _page(self, request: web.Request) -> web.StreamResponse:
        tags = sorted(self.manifests) if self.tags is None else self.tags
        size, last = int(request.query.get("n", "100")), int(request.query.get("last", "0"))
        page = tags[last : last + min(size, self.page)]
        headers = {}
        if last + len(page) < len(tags):
            there = self.link.format(name=NAME, query=f"last={last + len(page)}&n={size}")
            headers["Link"] = f'<{there}>; rel="next"'
        return web.json_response({"name": NAME, "tags": page}, headers=headers)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """What a client of the token server gets."""
        self.asked.append((request.raw_path, dict(request.headers)))
        if instead := self.instead.get("token"):
            return await instead(request)
        known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        said = request.headers.get("Authorization")
        if said != known and (said is not None or not self.anonymous):
            return web.json_response({"details": "incorrect username or password"}, status=401)
        token = f"token-{len(self.asked)}-{'of-robot' if said else 'of-nobody'}"
        self.given.add(token)
        return web.json_response({"token": token, "expires_in": self.lifetime})


SCOPE = f"repository:{NAME}:pull"


def error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error as registries write it."""
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)


def saying(status: int, text: str | bytes = "", **headers: str) -> Handler:
    """A handler that answers that to everything."""

    async def answer(_: web.Request) -> web.StreamResponse:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=text.encode() if isinstance(text, str) else text, headers=said)

    return answer


async def silent(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("nothing sets that event")


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer for ever, as fast as it is read."""
    response = web.StreamResponse(headers={"Content-Type": INDEX})
    await response.prepare(request)
    while request.method != "HEAD":
        await response.write(b" " * 65536)
    return response


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Host and port of a server in which ``handler`` answers everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fake(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeRegistry]:
    """A registry and its token server, each on a port of its own."""
    found = FakeRegistry()
    async with listening(found.answer, tls) as found.address, listening(found.token, tls) as tokens:
        found.token_address = f"{'https' if tls else 'http'}://{tokens}/token"
        yield found
