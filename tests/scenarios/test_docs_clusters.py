"""What the pages about clusters show works: their catalogs, by the command line and the bot, with the rights that come
with them and no other. Changed in them are only addresses, and how long a step is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cluster_world import SECRET, ClusterWorld, image_of
from integration.images.fake_oci import NAME, fake
from integration.images.real_registry import digest_of
from kube.argo import ArgoController
from kube.deployments import DeploymentController
from kube.flagger import FlaggerController
from kube.manifests import canary, deployment, rollout
from kube.server import KubeServer
from world import until

from bot.bootstrap import flagger_webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration.images.fake_oci import FakeRegistry

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
RBAC = ROOT / "deploy" / "kubernetes" / "rbac"
BOT = "system:serviceaccount:deployment-architect:deployment-architect"
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def examples(page: str, language: str) -> list[str]:
    found = FENCE.finditer((ROOT / page).read_text())
    return [textwrap.dedent(match["body"]) for match in found if match["language"] == language]


def shown(page: str, word: str) -> str:
    """The one catalog of a page that has this in it."""
    [only] = [text for text in examples(page, "yaml") if word in text]
    return only


def without_token(lines: list[str]) -> list[str]:
    """Addresses differ from one bot to the next in all but their last word."""
    return [re.sub(r"http://.*(?=/)", "http://", line) for line in lines]


@dataclass(kw_only=True)
class Shown:
    """A cluster as a page expects it, and the bot that reads the page's catalog."""

    server: KubeServer
    registry: FakeRegistry
    pods: DeploymentController
    world: ClusterWorld

    def location(self, version: str) -> str:
        return f"{self.registry.address}/{NAME}@{digest_of(self.registry.manifests[version])}"

    def image(self, kind: str, namespace: str, name: str) -> str:
        return image_of(self.server.get(kind, namespace, name))

    def grant(self, role: str, **names: str) -> None:
        """Give the rights of a file that comes with the bot, with names of ours in it."""
        text = (RBAC / f"{role}.yaml").read_text()
        for old, new in names.items():
            assert f"namespace: {old}\n" in text
            text = text.replace(f"namespace: {old}\n", f"namespace: {new}\n")
        known = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
        self.server.load("", *[one for one in yaml.safe_load_all(text) if one and one["kind"] in known])

    async def doctor(self) -> tuple[int, str]:
        """What the command says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "doctor"),
            env={**os.environ, **self.world.settings()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode() + (errors.decode() if process.returncode else "")

    async def is_well(self) -> str:
        code, said = await self.doctor()
        assert code == 0, said
        assert "0 wrong, 0 less, " in said, said
        return said

    async def says(self, text: str) -> None:
        await self.world.command("ada", text)

    async def succeeds(self, service: str) -> None:
        async def there() -> bool:
            newest = await self.world.newest(service)
            return newest is not None and newest.phase == "succeeded"

        await until(there, what=f"a deployment of {service} that succeeded: {self.world.log_tail()}")

    async def sees(self, words: str) -> None:
        async def there() -> bool:
            return any(words in message.text or words in str(message.blocks) for message in self.world.messages())

        await until(there, what=words)


@contextlib.asynccontextmanager
async def place(folder: Path, text: str) -> AsyncIterator[Shown]:
    """The bot has no rights at all until they are granted."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(KubeServer.running(tls=True))
        registry = await stack.enter_async_context(fake())
        registry.manifests = {
            version: b'{"schemaVersion": 2, "of": "%s"}' % version.encode() for version in ("v1.1", "v1.2")
        }
        server.issue("bot", BOT)
        config = server.kubeconfig(folder, token="bot", context="prod")
        path = f'{{ type: kubeconfig, path: "{config}"'
        text = re.sub(r"\{ type: in_cluster", path, re.sub(r"\{ type: kubeconfig, path: ~/\.kube/config", path, text))
        text = text.replace("context: previews", "context: prod")
        text, count = re.subn(
            r"\{ type: oci, repository: [a-z0-9./-]+ \}",
            f"{{ type: oci, repository: {registry.address}/{NAME}, insecure: true }}",
            text,
        )
        assert count, "its images are in a registry"
        text = re.sub(r"\bbake: \d+m", "bake: 1s", text)
        world = await ClusterWorld.open(folder / "world", text=text, runs=None)
        assert isinstance(world, ClusterWorld)
        stack.push_async_callback(world.close)
        with socket.socket() as one:  # Flagger must know beforehand where the bot will listen
            one.bind(("127.0.0.1", 0))
            world.port = int(one.getsockname()[1])
        pods = DeploymentController(server, pace=0.01, second=0.1)
        pods.start()
        stack.push_async_callback(pods.stop)
        yield Shown(server=server, registry=registry, pods=pods, world=world)


async def test_the_readme_from_the_kubeconfig_to_production(tmp_path: Path) -> None:
    async with place(tmp_path, shown("README.md", "type: kubernetes")) as here:
        for namespace in ("shop", "shop-staging"):
            here.server.add("deployments", namespace, deployment("checkout", {"web": here.location("v1.1")}))
        code, said = await here.doctor()
        assert code == 1, "there are no rights yet"
        assert "In a Role in namespace shop-staging, under rules:" in said
        here.grant("rolling")
        here.grant("rolling", shop="shop-staging")
        told = (await here.is_well()).splitlines()
        [output] = [
            text
            for text in examples("README.md", "console")
            if "deployment-architect doctor\n" in text and "ok" in text
        ]
        for line in output.splitlines()[2:]:
            assert line in told, "the page shows what it does not say"
        await here.world.start()
        await here.says("checkout v1.2 production")
        await here.world.whispered("ada", "staging")  # which comes first
        assert here.image("deployments", "shop", "checkout") == here.location("v1.1")
        await here.says("checkout v1.2 staging")
        await here.world.ends(1, "succeeded")
        await here.says("checkout v1.2 production")
        await here.world.ends(2, "succeeded")
        assert here.image("deployments", "shop", "checkout") == here.location("v1.2")
        assert {call.code for call in here.server.log if call.user == BOT and call.writes} <= {200, 201}


async def test_the_page_on_kubernetes(tmp_path: Path) -> None:
    """Also a release of several Deployments, with an init container."""
    roles = 'roles: { deployer: { members: ["@deployers"], allow: [{ actions: deploy }] } }\n'
    async with place(tmp_path, shown("docs/kubernetes.md", "type: kubernetes") + roles) as here:
        old = here.location("v1.1")
        for namespace in ("shop", "shop-staging"):
            here.server.add("deployments", namespace, deployment("checkout", {"web": old, "side": "r/side:1"}))
            several = deployment("orders-api", {"app": old})
            several["spec"]["template"]["spec"]["initContainers"] = [{"name": "migrate", "image": old}]
            here.server.add("deployments", namespace, several)
            here.server.add("deployments", namespace, deployment("orders-worker", {"worker": old}))
        here.grant("rolling")
        here.grant("rolling", shop="shop-staging")
        code, said = await here.doctor()
        assert (code, "may not get, list, watch, patch deployments (apps) orders-api in namespace shop" in said) == (
            1,
            True,
        )
        rules: dict[str, list[Any]] = {}
        for namespace in ("shop", "shop-staging"):
            whole = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"]}
            rules[namespace] = [{**whole, "resourceNames": ["orders-api", "orders-worker"]}]
            role = here.server.get("roles", namespace, "deployment-architect")
            here.server.change(
                "roles", namespace, role["metadata"]["name"], {"rules": [*role["rules"], *rules[namespace]]}
            )
        await here.is_well()
        await here.world.start()
        await here.says("orders v1.2 staging")
        await here.succeeds("orders")
        assert {here.image("deployments", "shop", name) for name in ("orders-api", "orders-worker")} == {
            here.location("v1.2")
        }
        one = here.server.get("deployments", "shop", "orders-api")
        assert one["spec"]["template"]["spec"]["initContainers"][0]["image"] == here.location("v1.2")


async def test_the_page_on_argo_rollouts(tmp_path: Path) -> None:
    """The catalog and the Rollout's steps are those of the page."""
    [steps] = [yaml.safe_load(text) for text in examples("docs/argo-rollouts.md", "yml") if "setWeight" in text]
    async with place(tmp_path, shown("docs/argo-rollouts.md", "type: argo_rollouts")) as here:
        argo = ArgoController(here.server, here.pods, pace=0.01)
        argo.start()
        try:
            images = {"web": here.location("v1.1")}
            wanted = steps["spec"]["strategy"]["canary"]["steps"]
            here.server.add("rollouts", "shop", rollout("checkout", images, steps=wanted))
            here.grant("argo-rollouts")
            await here.is_well()
            await here.world.start()
            await here.says("checkout v1.2 production")
            await here.world.press("ada", "Promote to 100 %")
            await here.succeeds("checkout")
            assert here.image("rollouts", "shop", "checkout") == here.location("v1.2")
        finally:
            await argo.stop()


async def test_the_page_on_flagger(tmp_path: Path) -> None:
    """The webhooks are what the command prints, for a Canary with the strategy's own weights."""
    async with place(tmp_path, shown("docs/flagger.md", "type: flagger")) as here:
        flagger = FlaggerController(here.server, here.pods, pace=0.1)
        flagger.start()
        try:
            catalog = here.world.folder / ".deploy" / "config.yaml"
            printed = flagger_webhooks(catalog, "checkout", "production", url=here.world.url, secret=SECRET)
            hooks = yaml.safe_load(printed)["webhooks"]
            page = (ROOT / "docs" / "flagger.md").read_text()
            output = page.partition("$ deployment-architect flagger checkout production\n")[2].partition("…\n   ```")[0]
            shows = textwrap.dedent(output).strip().splitlines()
            assert len(shows) == 6
            assert without_token(shows) == without_token(printed.splitlines()[: len(shows)])
            here.server.add("deployments", "shop", deployment("checkout", {"web": here.location("v1.1")}))
            here.server.add("canaries", "shop", canary("checkout", webhooks=hooks, stepWeights=[20, 60]))
            here.grant("flagger")
            await here.server.until(
                lambda: here.server.get("canaries", "shop", "checkout").get("status", {}).get("phase") == "Initialized",
                timeout=30,
            )
            await here.is_well()
            await here.world.start()
            await here.says("checkout v1.2 production")
            await here.world.press("ada", "Promote to 100 %")
            await here.succeeds("checkout")
            assert here.image("deployments", "shop", "checkout-primary") == here.location("v1.2")
        finally:
            await flagger.stop()


async def test_the_page_on_previews(tmp_path: Path) -> None:
    async with place(tmp_path, shown("docs/previews.md", "previews:")) as here:
        for namespace in ("shop", "shop-template"):
            here.server.add("deployments", namespace, deployment("checkout", {"web": here.location("v1.1")}))
        here.server.add("secrets", "shop-template", {"metadata": {"name": "database"}})
        here.grant("rolling")
        here.grant("previews")
        await here.is_well()
        await here.world.start()
        await here.says("preview checkout v1.2 pr=123")
        await here.sees("https://checkout-pr-123.preview.example.com")
        assert here.image("deployments", "shop-pr-123", "checkout") == here.location("v1.2")
        assert here.image("deployments", "shop", "checkout") == here.location("v1.1")
