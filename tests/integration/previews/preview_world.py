"""A cluster with a template namespace and somebody else's namespaces; previews come beside them, by the real client."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.resources import RESOURCES
from kube.server import KubeServer

from bot.domain.ids import OperationId, ServiceName
from bot.domain.release import Artifact, Release
from integrations._shared.kube.api import Kube
from integrations.previews.options import PreviewsOptions
from integrations.previews.previews import NamespacePreviews, build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.ports.previews import Preview

CHECKOUT, PAYMENTS = ServiceName("checkout"), ServiceName("payments")
TEMPLATE = "shop-template"
OPTIONS: dict[str, Any] = {
    "cluster": "main",
    "template": TEMPLATE,
    "namespaces": "shop-pr-{number}",
    "address": "https://{service}-pr-{number}.preview.example.com",
    "services": {"checkout": {"workload": "checkout", "container": "web"}, "payments": {"workload": "pay"}},
    "secrets": ["database"],
    "most": 3,
}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=3)


def release(version: str = "v1.2", *, service: ServiceName = CHECKOUT, how: str = "well") -> Release:
    """A version as an image; ``how`` its pods fare."""
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    location = f"ghcr.io/acme/{service}-{how}@{digest}"
    return Release(service=service, version=version, artifact=Artifact(digest=digest, location=location))


def template(server: KubeServer) -> None:
    """A service with all that it needs, as it is after a cluster and its tools have written on it."""
    tools = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop-template/checkout",
        "team": "checkout",
    }
    server.add("namespaces", None, {"metadata": {"name": TEMPLATE, "labels": LABELS}})
    server.add("resourcequotas", TEMPLATE, {"metadata": {"name": "quota"}, "spec": {"hard": {"pods": "10"}}})
    server.add("limitranges", TEMPLATE, {"metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container"}]}})
    fence = {"podSelector": {}, "policyTypes": ["Egress"]}
    server.add("networkpolicies", TEMPLATE, {"metadata": {"name": "fence"}, "spec": fence})
    for name in ("default", "checkout"):
        server.add("serviceaccounts", TEMPLATE, {"metadata": {"name": name}, "secrets": [{"name": "token-x"}]})
    for name in ("kube-root-ca.crt", "settings"):
        meta = {"name": name, "annotations": tools}
        made = server.add("configmaps", TEMPLATE, {"metadata": meta, "data": {"a": "1"}})
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": made["metadata"]["uid"]}
    server.add("configmaps", TEMPLATE, {"metadata": {"name": "derived", "ownerReferences": [owner]}, "data": {}})
    for name in ("database", "stripe"):
        server.add("secrets", TEMPLATE, {"metadata": {"name": name}, "data": {"password": "c2VjcmV0"}})
    ports = {"ports": [{"port": 80, "nodePort": 30080}], "selector": {"app": "checkout"}}
    address = {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "externalIPs": ["203.0.113.9"]}
    server.add("services", TEMPLATE, {"metadata": {"name": "checkout"}, "spec": {**ports, **address}})
    web = deployment(
        "checkout", {"web": "ghcr.io/acme/checkout:main", "side": "r/side:1"}, replicas=2, annotations=tools
    )
    web["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "stripe", "key": "password"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}},
    ]
    server.add("deployments", TEMPLATE, web)
    server.add("deployments", TEMPLATE, deployment("pay", {"pay": "ghcr.io/acme/payments:main"}, replicas=1))
    backend = {"service": {"name": "checkout", "port": {"number": 80}}}
    rule = {"host": "checkout-pr-number.preview.example.com", "http": {"paths": [{"path": "/", "backend": backend}]}}
    tls = {"hosts": ["checkout-pr-number.preview.example.com"], "secretName": "tls"}
    server.add("ingresses", TEMPLATE, {"metadata": {"name": "checkout"}, "spec": {"rules": [rule], "tls": [tls]}})


LABELS = {"pod-security.kubernetes.io/enforce": "restricted", "argocd.argoproj.io/instance": "shop"}


def everything(server: KubeServer, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """All objects as text, by path, but those in some namespaces and those namespaces themselves."""
    found = {}
    for resource in RESOURCES:
        for one in server.store.all(resource, None):
            meta = one["metadata"]
            where = (
                meta.get("namespace") if resource.namespaced else (meta["name"] if resource.kind == "Namespace" else "")
            )
            if where not in but:
                found[resource.path(meta.get("namespace"), meta["name"])] = json.dumps(one, sort_keys=True)
    return found


def inside(server: KubeServer, namespace: str) -> dict[str, Any]:
    """What is in a namespace, without what differs each time that it is made."""
    found = {}
    for resource in RESOURCES:
        if resource.namespaced and resource.kind not in ("Pod", "ReplicaSet", "Event"):
            for one in server.store.all(resource, namespace):
                kept = json.loads(json.dumps(one))
                for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
                    kept["metadata"].pop(key, None)
                kept["metadata"]["annotations"].pop("deployment-architect.io/uid", None)
                kept.pop("status", None)
                found[f"{resource.plural}/{one['metadata']['name']}"] = kept
    return found


@dataclass
class World:
    """What a test of previews has at hand."""

    server: KubeServer
    controller: DeploymentController
    kube: Kube
    before: Mapping[str, str]
    """All that there was before any preview."""

    def previews(self, *, kube: Kube | None = None, **options: Any) -> NamespacePreviews:
        """The subject: as a process has it that has just begun."""
        return build(options=PreviewsOptions.model_validate({**OPTIONS, **options}), kube=kube or self.kube)

    async def open(
        self, number: int = 7, *, version: str = "v1.2", operation: str = "one", previews: Any = None, **more: Any
    ) -> Preview:
        """Open a preview as most tests do."""
        given: dict[str, Any] = {"release": release(version), "until": LATER, "by": "Ada", **more}
        subject = previews or self.previews()
        found: Preview = await subject.open(number=number, operation=OperationId(operation), **given)
        return found

    def untouched(self, *numbers: int) -> bool:
        """Whether all but those previews is as it was before; says what is not."""
        now = everything(self.server, but=tuple(f"shop-pr-{number}" for number in numbers))
        changed = {path for path in {*now, *self.before} if now.get(path) != self.before.get(path)}
        assert not changed, sorted(changed)
        return True

    def numbers(self) -> list[str]:
        """The namespaces that are called as previews are."""
        names = (one["metadata"]["name"] for one in self.server.all("namespaces"))
        return sorted(name for name in names if name.startswith("shop-pr-"))


@asynccontextmanager
async def world(*, alive: bool = False, housekeeping: bool = True) -> AsyncIterator[World]:
    """``alive``: Deployments are rolled out. Otherwise nothing changes but by what the test does."""
    async with KubeServer.running(housekeeping=housekeeping) as server:
        controller = DeploymentController(server, pace=0.01, second=0.01)
        server.add("deployments", "shop", deployment("checkout", {"web": "ghcr.io/acme/checkout:v1.0"}))
        server.add("namespaces", None, {"metadata": {"name": "shop-pr-99", "labels": {"team": "somebody"}}})
        server.add("configmaps", "shop-pr-99", {"metadata": {"name": "precious"}, "data": {"a": "b"}})
        template(server)
        kube = Kube(server.access())
        found = World(server, controller, kube, everything(server))
        try:
            if alive:
                async with controller:
                    yield found
            else:
                yield found
        finally:
            await kube.close()
