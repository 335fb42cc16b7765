"""The HTTP application. Knows neither Slack nor the engine: it is handed what it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[[Request], Awaitable[Response]]
    Readiness = Callable[[], Awaitable[Mapping[str, str]]]


def build_api(
    *,
    readiness: Readiness,
    slack: Handler | None,
    metrics: Handler | None = None,
    webhooks: Mapping[str, Handler] | None = None,
) -> FastAPI:
    """The application; ``readiness`` names what is not ready and why, empty when all is."""
    api = FastAPI(title="Deployment Architect", docs_url=None, redoc_url=None, openapi_url=None)

    async def healthz() -> Response:
        """The process lives."""
        return JSONResponse({"status": "ok"})

    async def readyz() -> Response:
        """The process can do its work now."""
        missing = dict(await readiness())
        return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)

    api.add_api_route("/healthz", healthz, methods=["GET"])
    api.add_api_route("/readyz", readyz, methods=["GET"])
    if metrics is not None:
        api.add_route("/metrics", metrics, methods=["GET"])
    for path, webhook in (webhooks or {}).items():
        api.add_route(path, webhook, methods=["POST"])
    if slack is not None:
        # Starlette's plain route: Slack's signature is over the raw bytes, which nothing may parse before.
        api.add_route("/slack/events", slack, methods=["POST"])
    return api
