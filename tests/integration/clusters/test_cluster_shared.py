"""Several clusters in one catalog, each reached once, and rollouts that outlive their tokens."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.server import KubeServer

from bot.bootstrap import RegisteredProviders, provider_models
from bot.catalog.load import parse
from bot.domain.errors import ProviderUnavailable
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.domain.catalog import Catalog

CATALOG = """\
version: 1
channel: "#deployments"
environments: {{ staging: {{}}, production: {{}} }}
clusters:
  one: {{ type: kubeconfig, path: {folder}/one/kubeconfig }}
  two: {{ type: kubeconfig, path: {folder}/two/kubeconfig }}
defaults:
  images: {{ type: oci, repository: registry.example.com/shop }}
  target:
    type: kubernetes
    cluster: one
    namespace: shop
    container: web
    environments: {{ production: {{ cluster: two }} }}
services:
  checkout: {{ target: {{ workload: checkout }} }}
  payments: {{ target: {{ workload: payments }} }}
"""
CHECKOUT, PAYMENTS = ServiceName("checkout"), ServiceName("payments")
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")


def release(version: str) -> Release:
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    return Release(service=CHECKOUT, version=version, artifact=Artifact(digest=digest, location=f"r/checkout@{digest}"))


def read(folder: Path) -> Catalog:
    return parse(CATALOG.format(folder=folder), str(folder / "catalog.yaml"), provider_models())


def image(server: KubeServer) -> str:
    found: str = server.get("deployments", "shop", "checkout")["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


async def outcome(target: Any, handle: Any) -> Outcome:
    *_, last = [each async for each in target.observe(handle=handle)]
    assert isinstance(last, Outcome)
    return last


async def test_each_environment_goes_to_its_own_cluster_over_one_client(tmp_path: Path) -> None:
    async with KubeServer.running(tls=True) as one, KubeServer.running(tls=True) as two:
        for name, server in (("one", one), ("two", two)):
            (tmp_path / name).mkdir()
            server.kubeconfig(tmp_path / name)
            for service in (CHECKOUT, PAYMENTS):
                server.add("deployments", "shop", deployment(service, {"web": f"r/{service}:v1"}))
        providers, catalog = RegisteredProviders(), read(tmp_path)
        try:
            target = providers.target(catalog, CHECKOUT, PRODUCTION)
            async with DeploymentController(two, pace=0.005, second=0.02):
                handle = await target.apply(release=release("v2"), operation=OperationId("op-1"))
                assert (await outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
            assert image(two) == release("v2").artifact.location
            assert image(one) == "r/checkout:v1"
            assert [call for call in one.log if call.writes] == []
            # A cluster that is away takes no other along.
            one.faults.down()
            with pytest.raises(ProviderUnavailable, match="The cluster one cannot be reached"):
                await providers.target(catalog, CHECKOUT, STAGING).current()
            assert await providers.target(catalog, PAYMENTS, PRODUCTION).current() is not None
        finally:
            await providers.clusters.close()


async def test_a_rollout_outlives_its_token(tmp_path: Path) -> None:
    """Whoever keeps the file writes a new token into it in the middle of a rollout, and the old one is void at once."""
    async with KubeServer.running(tls=True, token="first") as server:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            path = server.kubeconfig(tmp_path / name)
            document = yaml.safe_load(path.read_text())
            document["users"][0]["user"] = {"tokenFile": "token"}
            path.write_text(yaml.safe_dump(document))
            (tmp_path / name / "token").write_text("first")
        server.add("deployments", "shop", deployment("checkout", {"web": "r/checkout:v1"}, replicas=3))
        providers = RegisteredProviders()
        try:
            target = providers.target(read(tmp_path), CHECKOUT, STAGING)
            handle = await target.apply(release=release("v2"), operation=OperationId("op-1"))
            watching = asyncio.create_task(outcome(target, handle))
            await happened(lambda: any(call.verb == "watch" for call in server.log))
            server.issue("second")
            (tmp_path / "one" / "token").write_text("second")
            server.expire("first")
            server.faults.cut_watches()
            async with DeploymentController(server, pace=0.005, second=0.02):
                assert (await watching).kind is OutcomeKind.SUCCEEDED
        finally:
            await providers.clusters.close()
        assert image(server) == release("v2").artifact.location


async def happened(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
