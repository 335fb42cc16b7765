"""The real official client in front of a fake server, set up from a kubeconfig file as people do it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import new_client_from_config

from .patches import JSON_PATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .resources import Object
    from .server import KubeServer


class Client:
    """Raw JSON through the client's own transport: what it sends and how it fails is the client's."""

    def __init__(self, api: client.ApiClient) -> None:
        self.api = api
        self.apps, self.core = client.AppsV1Api(api), client.CoreV1Api(api)
        self.custom, self.reviews = client.CustomObjectsApi(api), client.AuthorizationV1Api(api)

    async def patch(self, name: str, body: Any, kind: str = JSON_PATCH, **options: Any) -> Object:
        """Of a Deployment in ``shop``. Raises ApiException."""
        answer = await self.apps.patch_namespaced_deployment_without_preload_content(
            name, "shop", body, _content_type=kind, field_manager=options.pop("field_manager", "tests"), **options
        )
        return await told(answer)

    async def deployment(self, name: str) -> Object:
        return await told(await self.apps.read_namespaced_deployment_without_preload_content(name, "shop"))

    async def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> Object:
        """Anything else. Raises ApiException."""
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if body is not None else {})
        asked = await self.api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await self.api.call_api(*asked)
        return await told(answer)


async def told(answer: Any) -> Object:
    """The JSON of an answer. Raises ApiException for what is no success, as the client's typed calls do."""
    raw = (await answer.read()).decode()
    if not 200 <= answer.status < 300:
        raise ApiException.from_response(http_resp=answer, body=raw, data=None)
    return dict(json.loads(raw))


def said(error: ApiException) -> Object:
    """The Status in a refusal."""
    return dict(json.loads(error.body or "{}"))


@asynccontextmanager
async def connected(server: KubeServer, *, token: str | None = None) -> AsyncIterator[Client]:
    api: client.ApiClient = await new_client_from_config(str(server.kubeconfig(token=token)))  # type: ignore[no-untyped-call]  # has no types
    async with api:
        yield Client(api)
