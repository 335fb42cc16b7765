"""The agent's HTTP API: checks the token, finds the place, translates errors. `wire` lists the paths."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import time
from typing import TYPE_CHECKING

from aiohttp import web

from integrations.local.agent import operations, requests, status
from integrations.local.agent.model import Damaged, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from integrations.local.agent.faults import Faults
    from integrations.local.agent.place import Place
    from integrations.local.agent.places import Places
    from integrations.local.artifacts import Artifacts
    from integrations.local.wire import OperationAnswer

log = logging.getLogger(__name__)

_STATUS = {"bad_request": 400, "unknown": 404, "unauthorized": 401, "rejected": 422, "superseded": 409, "damaged": 500}
_LONGEST_WAIT = 60.0
_BODY_LIMIT = 1_000_000
_PLACE = "/v1/places/{service}/{environment}"


class Api:
    """The handlers. ``stop`` ends the agent after every instance has ended."""

    def __init__(
        self, *, token: str, places: Places, artifacts: Artifacts, faults: Faults, stop: Callable[[], Awaitable[None]]
    ) -> None:
        self._token = token
        self._places = places
        self._artifacts = artifacts
        self._faults = faults
        self._stop = stop

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[self._guard], client_max_size=_BODY_LIMIT)
        application.add_routes(
            [
                web.get("/v1/ping", self.ping),
                web.get("/v1/places", self.places),
                web.get(_PLACE, self.place),
                web.get(_PLACE + "/health", self.health),
                web.get(_PLACE + "/stats", self.stats),
                web.get(_PLACE + "/recent", self.recent),
                web.get(_PLACE + "/journal", self.journal),
                web.post(_PLACE + "/operations", self.operate),
                web.post("/v1/stop", self.stop),
                web.post("/v1/test/delay", self.delay),
            ]
        )
        return application

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode()):
            return _error("unauthorized", "The token is missing or wrong.")
        try:
            return await handler(request)
        except Refused as refusal:
            return _error(refusal.code, refusal.message)
        except Damaged as damage:
            return _error("damaged", str(damage))
        except web.HTTPException as answer:
            return _error("unknown" if answer.status == 404 else "bad_request", f"{answer.reason}.", answer.status)
        except OSError as error:
            return _error("internal", f"The platform cannot write to its folder: {error.strerror or error}.", 507)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return _error("internal", "The agent made a mistake; its agent.log says more.", 500)

    def _find(self, request: web.Request) -> Place:
        service, environment = _names(request)
        return self._places.find(service, environment)

    async def ping(self, _: web.Request) -> web.Response:
        """Who answers."""
        return web.json_response({"pid": os.getpid()})

    async def places(self, _: web.Request) -> web.Response:
        """The status of every place."""
        return web.json_response([status.status(place) for place in self._places.all()])

    async def place(self, request: web.Request) -> web.Response:
        """The status of one place; waits for its next change when asked to."""
        place = self._find(request)
        after = request.query.get("after")
        if after is not None:
            wait = requests.seconds(request.query.get("wait"), default=20.0, most=_LONGEST_WAIT)
            await place.until(lambda: place.revision != after or place.closing, timeout=wait)
        return web.json_response(status.status(place))

    async def health(self, request: web.Request) -> web.Response:
        """One fresh look at the instances of a release."""
        place = self._find(request)
        path = request.query.get("path", "/")
        if not path.startswith("/"):
            raise Refused("bad_request", "The path of a health check must begin with /.")
        timeout = requests.seconds(request.query.get("timeout"), default=2.0, most=_LONGEST_WAIT)
        digest = request.query.get("digest", "")
        return web.json_response(await status.health(place, digest=digest, path=path, timeout=timeout))

    async def stats(self, request: web.Request) -> web.Response:
        """The proxy's numbers."""
        return web.json_response(status.stats(self._find(request)))

    async def recent(self, request: web.Request) -> web.Response:
        """What the proxy counted for one release, second by second."""
        place = self._find(request)
        await self._faults.reading()
        since = requests.instant(request.query.get("since"), default=0.0)
        until = requests.instant(request.query.get("until"), default=time.time())
        release = (request.query.get("digest", ""), request.query.get("version", ""))
        return web.json_response(place.proxy.recent.rows(release, since=since, until=until))

    async def journal(self, request: web.Request) -> web.Response:
        """The applied operations, with the one that is just being accepted."""
        place = self._find(request)
        async with place.lock:
            return web.json_response(status.journal(place))

    async def operate(self, request: web.Request) -> web.Response:
        """Accept a mutation."""
        service, environment = _names(request)
        wanted = requests.operation_request(await _json(request))
        if await self._faults.before():
            return _error("internal", "A test asked for this failure.", 500)
        place = await self._places.open(service, environment)
        # Once begun it is carried through, even when whoever asked goes away.
        operation, repeated = await asyncio.shield(operations.accept(place, wanted, self._artifacts))
        if await self._faults.after() and request.transport is not None:
            request.transport.abort()
        answer: OperationAnswer = {
            "operation": operation.id,
            "generation": place.generation(operation),
            "repeated": repeated,
        }
        return web.json_response(answer, status=200 if repeated else 202)

    async def stop(self, _: web.Request) -> web.Response:
        """Stop everything; answers when every instance has ended."""
        await asyncio.shield(self._stop())
        return web.json_response({})

    async def delay(self, request: web.Request) -> web.Response:
        """Set what mutations suffer; tests only."""
        self._faults.set(requests.faults(await _json(request)))
        return web.json_response({})


def _names(request: web.Request) -> tuple[str, str]:
    return (
        requests.place_name(request.match_info["service"], "a service"),
        requests.place_name(request.match_info["environment"], "an environment"),
    )


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refused("bad_request", "The request is not JSON.") from None


def _error(code: str, message: str, status: int | None = None) -> web.Response:
    return web.json_response({"error": code, "message": message}, status=status or _STATUS.get(code, 500))
