"""A cluster with a service of each kind that a cluster can roll out, and bots as processes that find it.

``checkout`` is a Deployment, ``payments`` a Canary of Flagger's, ``catalog`` a Rollout of Argo's. What Flagger asks, it
asks the bot's own gates over HTTP. Never tells a bot anything but by the cluster's API.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from integration.images.fake_oci import NAME, fake
from integration.images.real_registry import digest_of
from kube.argo import ArgoController
from kube.deployments import DeploymentController
from kube.flagger import FlaggerController
from kube.front import Cut
from kube.manifests import canary, deployment, rollout
from kube.server import KubeServer
from world import World, until

from bot.bootstrap import flagger_webhooks
from integrations._shared.workloads import marks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from integration.images.fake_oci import FakeRegistry
    from kube.server import Call

SECRET = "a-secret-of-some-length"
BAD = "v1.3"
"""Its pods crash."""
VERSIONS = ("v1.1", "v1.2", BAD, "v1.4")
FLAGGER_STEPS, ARGO_STEPS = (20, 40), (25, 50)
_PLURALS = {"checkout": "deployments", "payments": "deployments", "catalog": "rollouts"}
_CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
  staging: {{}}
clusters:
  main: {{ type: kubeconfig, path: "{kubeconfig}" }}
strategies:
  flagged:
    canary:
      steps: [{{ weight: 20, bake: 1s, approval: true }}, {{ weight: 40, bake: 1s, approval: true }}]
      timeout: 10m
  paused:
    canary:
      steps: [{{ weight: 25, bake: 1s, approval: true }}, {{ weight: 50, bake: 1s, approval: true }}]
      timeout: 10m
defaults:
  health: {{ path: /health, interval: 0.1, timeout: 2s, passes: 2, deadline: 30s }}
  deadline: 90s
services:
  checkout:
    target: {{ type: kubernetes, cluster: main, namespace: shop, workload: checkout, container: web }}
    images: {images}
  payments:
    target: {{ type: flagger, cluster: main, namespace: shop, canary: payments, container: web }}
    images: {images}
    strategy: flagged
  catalog:
    target: {{ type: argo_rollouts, cluster: main, namespace: shop, rollout: catalog, container: web }}
    images: {images}
    strategy: paused
roles:
  deployer:
    members: ["@deployers", "@release-managers"]
    allow:
      - actions: [deploy, rollback, abort, resolve, promote, approve, lock, unlock]
        services: "*"
        environments: "*"
"""


@dataclass(kw_only=True)
class Watch:
    """What the traffic of a service was, whenever its controller came round."""

    rounds: list[int] = field(default_factory=list)
    ceiling: int = 100
    """Up to where people have let it go so far."""
    beyond: list[str] = field(default_factory=list)
    """When it had more than that."""

    def see(self, weight: int) -> None:
        self.rounds.append(weight)
        if weight > self.ceiling:
            self.beyond.append(f"{weight} % in round {len(self.rounds)} although {self.ceiling} % were allowed")


class _Flagger(FlaggerController):
    watch: Watch

    async def tick(self) -> None:
        await super().tick()
        self.watch.see(self.traffic("shop", "payments"))


class _Argo(ArgoController):
    watch: Watch

    def tick(self) -> bool:
        wrote = super().tick()
        self.watch.see(self.traffic("shop", "catalog"))
        return wrote


@dataclass(kw_only=True)
class Cluster:
    """The cluster, its controllers, and the registry that has the images."""

    server: KubeServer
    registry: FakeRegistry
    pods: DeploymentController
    flagger: _Flagger
    argo: _Argo
    watches: dict[str, Watch]
    """Of the services whose traffic is split."""
    loses_answers: bool = False
    """Whether nobody who changes something over the API ever hears that it was done."""

    def location(self, version: str) -> str:
        """A version as an image."""
        return f"{self.registry.address}/{NAME}@{digest_of(self.registry.manifests[version])}"

    def get(self, service: str) -> dict[str, Any]:
        """What holds the template of a service."""
        return self.server.get(_PLURALS[service], "shop", service)

    def primary(self) -> dict[str, Any]:
        """What Flagger made of its Deployment."""
        return self.server.get("deployments", "shop", "payments-primary")

    @property
    def phase(self) -> str:
        """Flagger's."""
        return str(self.server.get("canaries", "shop", "payments").get("status", {}).get("phase", ""))

    def serves(self, service: str) -> str:
        """The version that a service is to have for all of the traffic, when nothing is under way."""
        image = image_of(self.primary() if service == "payments" else self.get(service))
        return next(version for version in VERSIONS if self.location(version) == image)

    def templates(self, service: str, since: int) -> list[str]:
        """The images that its template was given in turn after so many changes, whoever did it."""
        return [
            image_of(change.object)
            for change in self.server.store.changes[since:]
            if change.resource.plural == _PLURALS[service]
            and change.place == ("shop", service)
            and change.before is not None
            and change.before["spec"]["template"] != change.object["spec"]["template"]
        ]

    def operations(self, service: str, since: int) -> list[str]:
        """What bots have written into its books after so many changes, in order."""
        found: list[str] = []
        for change in self.server.store.changes[since:]:
            if change.resource.plural == _PLURALS[service] and change.place == ("shop", service):
                before = marks.history(change.before) if change.before is not None else {}
                found += [each for each in marks.history(change.object) if each not in before and each not in found]
        return found

    def patches(self, service: str, since: int, *, status: bool = False) -> int:
        """How many changes of it, or of its status, came over the API after so many calls and were made."""
        path = f"/{_PLURALS[service]}/{service}{'/status' if status else ''}"
        return sum(call.writes and call.code == 200 and call.path.endswith(path) for call in self.server.log[since:])

    def settled(self, service: str) -> bool:
        """Whether all of its pods are of the template that it has, ready, and of no other."""
        one = self.primary() if service == "payments" else self.get(service)
        wanted, status = one["spec"]["replicas"], one.get("status", {})
        sets = [
            each
            for each in self.server.all("replicasets", "shop")
            if each["metadata"]["ownerReferences"][0]["uid"] == one["metadata"]["uid"] and each["spec"]["replicas"]
        ]
        images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets]
        return images == [image_of(one)] and status.get("readyReplicas") == status.get("replicas") == wanted

    async def holds_still(self) -> None:
        """While nobody is there who says yes, Flagger gives no more traffic and promotes nothing."""
        rounds = self.watches["payments"].rounds
        after = len(rounds) + 1  # in the round that has begun it may act on a yes of before

        def round_by(number: int) -> Any:
            async def look() -> bool:
                return len(rounds) > number

            return look

        await until(round_by(after), what="a round of Flagger's")
        phase, last = self.phase, len(rounds)
        await until(round_by(last + 3), what="three rounds of Flagger's")
        held = rounds[after:]
        assert held == sorted(held, reverse=True), f"Flagger has gone on although nobody said yes: {held}"
        if phase in ("Progressing", "WaitingPromotion", "Waiting"):
            assert self.phase not in ("Promoting", "Finalising", "Succeeded"), f"{self.phase} although nobody said yes"


@dataclass(kw_only=True)
class ClusterWorld(World):
    """A world whose bots roll out in a cluster, and answer Flagger always at the same address."""

    @property
    def url(self) -> str:
        """Where Flagger asks."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **environment: str) -> dict[str, str]:
        """What a bot needs to know to run in this world."""
        ours = {"PORT": str(self.port), "FLAGGER_URL": self.url, "FLAGGER_SECRET": SECRET}
        return super().settings(**{**ours, **environment})


def image_of(one: dict[str, Any]) -> str:
    """What its first container runs."""
    return str(one["spec"]["template"]["spec"]["containers"][0]["image"])


@contextlib.asynccontextmanager
async def cluster_world(
    folder: Path, database_url: str | None, *, tls: bool = False
) -> AsyncIterator[tuple[ClusterWorld, Cluster]]:
    """A cluster in which every service runs v1.1, and a world of bots that know it."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(KubeServer.running(tls=tls))
        registry = await stack.enter_async_context(fake())
        registry.manifests = {version: b'{"schemaVersion": 2, "of": "%s"}' % version.encode() for version in VERSIONS}
        kubeconfig = server.kubeconfig()
        images = f"{{ type: oci, repository: {registry.address}/{NAME}, insecure: true }}"
        text = _CATALOG.format(kubeconfig=kubeconfig, images=images)
        world = await ClusterWorld.open(folder, database_url, text=text, runs=None)
        stack.push_async_callback(world.close)
        assert isinstance(world, ClusterWorld)
        world.port = _free()
        pods = DeploymentController(server, pace=0.01, second=0.1)
        watches = {"payments": Watch(), "catalog": Watch()}
        flagger, argo = _Flagger(server, pods, pace=0.2), _Argo(server, pods, pace=0.01)
        flagger.watch, argo.watch = watches["payments"], watches["catalog"]
        cluster = Cluster(server=server, registry=registry, pods=pods, flagger=flagger, argo=argo, watches=watches)
        pods.behaves(digest_of(registry.manifests[BAD]), "crash")
        _fill(cluster, world)
        for controller in (pods, argo, flagger):
            controller.start()
            stack.push_async_callback(controller.stop)

        async def at_rest() -> bool:
            return cluster.phase == "Initialized" and all(cluster.settled(service) for service in _PLURALS)

        await until(at_rest, what="services that run")
        yield world, cluster


def _fill(cluster: Cluster, world: ClusterWorld) -> None:
    images = {"web": cluster.location("v1.1"), "side": "r/side:1"}
    server = cluster.server
    for service in ("checkout", "payments"):
        server.add("deployments", "shop", deployment(service, images, progressDeadlineSeconds=60))
    printed = flagger_webhooks(
        world.folder / ".deploy" / "config.yaml", "payments", "staging", url=world.url, secret=SECRET
    )
    hooks = yaml.safe_load(printed)["webhooks"]
    server.add("canaries", "shop", canary("payments", webhooks=hooks, stepWeights=[20, 40, 60]))
    server.add("rollouts", "shop", rollout("catalog", images))


def slow(cluster: Cluster, folder: Path, seconds: float) -> None:
    """Write down for `launcher` what comes to the cluster, and let each change be long under way, there and back."""

    async def under_way(call: Call) -> None:
        with (folder / "cluster.log").open("a") as log:
            log.write(f"{call.code or 'came'} {call.path}\n")
        await asyncio.sleep(seconds)
        if cluster.loses_answers and call.code == 200:
            raise Cut

    cluster.server.faults.under_way = under_way


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
