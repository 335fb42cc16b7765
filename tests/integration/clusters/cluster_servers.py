"""What clusters are reached through, as real servers on this machine: an API server, and what clouds answer.

Each answers what its documentation says and no more. The API server knows tokens and nothing else. Google's Cluster
Manager is a gRPC server of the SDK's own message types (cloud.google.com/kubernetes-engine/docs/reference/rpc). EKS and
STS answer as botocore's models have it, Azure's Resource Manager and Entra ID as learn.microsoft.com/rest/api says.
"""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import grpc
from aiohttp import web
from google.cloud.container_v1.types import Cluster, GetClusterRequest
from kube.tls import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@contextlib.asynccontextmanager
async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """The address of a server that hands every request to ``handle``."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@dataclass
class ApiServer:
    """A cluster that lets in whoever shows a token that is good now, and writes down what it was shown."""

    url: str = ""
    ca: bytes = b""
    good: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.shown.append(token)
        if token not in self.good:
            body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized", "code": 401}
            return web.json_response(body, status=401)
        return web.json_response({"kind": "Namespace", "metadata": {"name": "shop"}})


@contextlib.asynccontextmanager
async def api_server(folder: Path, *good: str, authority: Authority | None = None) -> AsyncIterator[ApiServer]:
    """A cluster over TLS, with a certificate of its own authority."""
    own = authority or Authority()
    server = ApiServer(ca=own.pem, good=set(good))
    async with serving(server.answer, tls=own.context(folder)) as server.url:
        yield server


@dataclass
class GoogleFake:
    """The Cluster Manager over gRPC, and the place where service accounts get their tokens."""

    clusters: dict[str, Cluster] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    lasts: int = 3600
    grpc_address: str = ""
    token_url: str = ""
    asked: list[str] = field(default_factory=list)
    refuses: grpc.StatusCode | None = None
    minted: int = 0
    broken: bool = False

    async def get_cluster(self, request: GetClusterRequest, context: Any) -> Cluster:
        self.asked.append(request.name)
        if self.refuses is not None:
            await context.abort(self.refuses, "the caller does not have permission")
        if request.name not in self.clusters:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {request.name}.")
        return self.clusters[request.name]

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = json.loads(_unpadded(str(form["assertion"]).split(".")[1]))
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        if self.broken:
            return web.json_response(
                {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400
            )
        self.minted += 1
        name = f"ya29.token-{self.minted}"
        self.tokens.append(name)
        return web.json_response({"access_token": name, "expires_in": self.lasts, "token_type": "Bearer"})


@contextlib.asynccontextmanager
async def google() -> AsyncIterator[GoogleFake]:
    fake = GoogleFake()
    method = grpc.unary_unary_rpc_method_handler(
        fake.get_cluster, request_deserializer=GetClusterRequest.deserialize, response_serializer=Cluster.serialize
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.container.v1.ClusterManager", {"GetCluster": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    fake.grpc_address = f"127.0.0.1:{port}"
    try:
        async with serving(fake.token) as url:
            fake.token_url = f"{url}/token"
            yield fake
    finally:
        await server.stop(None)


@dataclass
class AmazonFake:
    """EKS as JSON over REST, STS as a query with an answer in XML."""

    url: str = ""
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Service and operation, by whom: the access key id in the signature."""
    refuses: tuple[int, str, str] | None = None
    says: object = None
    """Answered about every cluster instead of what is known of it."""
    assumed: list[dict[str, str]] = field(default_factory=list)
    expiration: str = "2099-01-01T00:00:00Z"

    async def answer(self, request: web.Request) -> web.Response:
        credential = request.headers["Authorization"].partition("Credential=")[2].split(",")[0]
        key, _, region, service, _ = credential.split("/")
        assert region == "eu-west-1"
        self.asked.append((f"{service} {request.method} {request.path}", key))
        if service == "sts":
            form = parse_qs(await request.text())
            assert form["Action"] == ["AssumeRole"]
            self.assumed.append({name: values[0] for name, values in form.items()})
            return web.Response(content_type="text/xml", text=_ASSUMED.format(expiration=self.expiration))
        assert service == "eks"
        if self.refuses is not None:
            status, kind, message = self.refuses
            return web.json_response({"message": message}, status=status, headers={"x-amzn-ErrorType": kind})
        if self.says is not None:
            return web.json_response(self.says)
        name = request.path.removeprefix("/clusters/")
        if name not in self.clusters:
            kind, message = "ResourceNotFoundException", f"No cluster found for name: {name}."
            return web.json_response({"message": message}, status=404, headers={"x-amzn-ErrorType": kind})
        return web.json_response({"cluster": {"name": name, **self.clusters[name]}})


_ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role/session</SessionToken>
<Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@contextlib.asynccontextmanager
async def amazon() -> AsyncIterator[AmazonFake]:
    fake = AmazonFake()
    async with serving(fake.answer) as fake.url:
        yield fake


@dataclass
class AzureFake:
    """The Resource Manager."""

    arm: str = ""
    kubeconfigs: dict[str, str] = field(default_factory=dict)
    """By path of the cluster."""
    good: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    elsewhere: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.elsewhere:
            return web.Response(status=307, headers={"Location": self.elsewhere})
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.good:
            return _error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if self.status != 200:
            return _error(self.status, "AuthorizationFailed", "The client does not have authorization.")
        path, _, action = request.path.rpartition("/")
        if action != "listClusterUserCredential" or request.method != "POST" or path not in self.kubeconfigs:
            return _error(404, "ResourceNotFound", "The Resource was not found.")
        assert request.query["format"] == "exec"
        value = base64.b64encode(self.kubeconfigs[path].encode()).decode()
        return web.json_response({"kubeconfigs": [{"name": "clusterUser", "value": value}]})


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


@contextlib.asynccontextmanager
async def azure() -> AsyncIterator[AzureFake]:
    fake = AzureFake()
    async with serving(fake.answer) as fake.arm:
        yield fake


@dataclass
class EntraFake:
    """The token endpoint of one tenant, with which the real azure-identity speaks."""

    authority: str = ""
    scopes: list[str] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    refuses: bool = False

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"https://{self.authority}/tenant"
            return web.json_response(
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "issuer": f"{base}/v2.0",
                }
            )
        form = await request.post()
        assert form["client_secret"] == "not-for-logs"
        if self.refuses:
            body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return web.json_response(body, status=401)
        self.scopes.append(str(form["scope"]))
        self.issued.append(f"entra-{len(self.issued) + 1}")
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": self.issued[-1]})


@contextlib.asynccontextmanager
async def entra(folder: Path) -> AsyncIterator[EntraFake]:
    fake = EntraFake()
    own = Authority("a test tenant's CA")
    (folder / "entra.crt").write_bytes(own.pem)
    async with serving(fake.answer, tls=own.context(folder)) as url:
        fake.authority = url.removeprefix("https://")
        yield fake


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
