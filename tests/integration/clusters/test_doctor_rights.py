"""Each right of each type of target, taken away: told with the rule that grants it, and apart by what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube import argo_world, deployment_world, flagger_world

from integrations._shared.kube.api import Kube

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kube.server import KubeServer

    from bot.domain.finding import Finding
    from bot.ports.target import Examines

RBAC = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac"
BOT = "system:serviceaccount:deployment-architect:deployment-architect"
ONLY_TELLS = {("list", "events"), ("get", "pods/log")}
"""Without these everything can be deployed, and less be told."""

Right = tuple[str, str]


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((RBAC / name).read_text()) if one]


def single(rules: Sequence[dict[str, Any]]) -> Iterator[tuple[Right, dict[str, Any]]]:
    """The same rules with one verb, one resource and one name each."""
    for rule in rules:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames") or [None]:
                    named = {"resourceNames": [name]} if name else {}
                    yield (verb, resource), {**rule, "resources": [resource], "verbs": [verb], **named}


def sayable(rule: dict[str, Any]) -> str:
    return json.dumps(rule, sort_keys=True)


async def each_is_told(server: KubeServer, target: Examines, role: str) -> None:
    rules = list(single(server.get("roles", "shop", role)["rules"]))

    async def amiss() -> list[Finding]:
        return [finding for finding in await target.examine() if not finding.ok]

    assert await amiss() == []
    server.change("roles", "shop", role, {"rules": []})
    told = await amiss()
    every = [rule for each in told for rule in yaml.safe_load(each.fix.partition("\n")[2])]
    server.change("roles", "shop", role, {"rules": every})
    assert await amiss() == [], "what is told at once when there is no right at all is enough"
    assert sorted(map(sayable, every)) == sorted(sayable(rule) for _, rule in rules)
    for index, (right, taken) in enumerate(rules):
        rest = [rule for place, (_, rule) in enumerate(rules) if place != index]
        server.change("roles", "shop", role, {"rules": rest})
        [one] = await amiss()
        verb, resource = right
        assert f"may not {verb} {resource}" in one.what
        assert (one.less, one.wrong) == (right in ONLY_TELLS, right not in ONLY_TELLS), one
        [granted] = yaml.safe_load(one.fix.partition("\n")[2])
        assert granted == taken
        server.change("roles", "shop", role, {"rules": [*rest, granted]})
        assert await amiss() == []


async def test_of_a_deployment() -> None:
    async with deployment_world.world() as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *documents("rolling.yaml"))
        kube, admin = Kube(there.server.access(token="bot")), there.kube
        there.kube = kube
        try:
            await each_is_told(there.server, there.target(), "deployment-architect")
        finally:
            await kube.close()
            there.kube = admin


async def test_of_a_rollout_of_argo() -> None:
    async with argo_world.world() as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *documents("argo-rollouts.yaml"))
        kube, admin = Kube(there.server.access(token="bot")), there.kube
        there.kube = kube
        try:
            await each_is_told(there.server, there.target(), "deployment-architect-argo-rollouts")
        finally:
            await kube.close()
            there.kube = admin


@pytest.mark.long
async def test_of_a_canary_of_flagger(tmp_path: Path) -> None:
    async with flagger_world.world(tmp_path) as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *documents("flagger.yaml"))
        kube, admin = Kube(there.server.access(token="bot")), there.kube
        there.kube = kube
        try:
            await each_is_told(there.server, there.target(), "deployment-architect-flagger")
        finally:
            await kube.close()
            there.kube = admin


async def test_of_a_rollout_whose_template_is_a_deployment() -> None:
    """Rights to the Deployment are asked for only where there is one; what cannot be read hides no other right."""
    async with argo_world.world(referred=True) as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *documents("argo-rollouts.yaml"))
        kube, admin = Kube(there.server.access(token="bot")), there.kube
        there.kube = kube
        try:
            told = [finding for finding in await there.target().examine() if not finding.ok]
            assert [finding.what for finding in told] == [
                f"may not {verb} deployments (apps) template in namespace shop" for verb in ("get", "patch")
            ]
            rules = [rule for each in told for rule in yaml.safe_load(each.fix.partition("\n")[2])]
            role = there.server.get("roles", "shop", "deployment-architect-argo-rollouts")
            there.server.change("roles", "shop", role["metadata"]["name"], {"rules": [*role["rules"], *rules]})
            assert all(finding.ok for finding in await there.target().examine())
            reference = {"apiVersion": "v1", "kind": "PodTemplate", "name": "template"}
            there.server.change("rollouts", "shop", "checkout", {"spec": {"workloadRef": reference}})
            [wrong] = [finding for finding in await there.target().examine() if not finding.ok]
            assert "something else than a Deployment" in wrong.what
        finally:
            await kube.close()
            there.kube = admin
