"""The rights in deploy/kubernetes/rbac are exactly what the code uses: a strict server gives them, and counts."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from integration.previews.preview_world import LATER
from integration.previews.preview_world import world as previews_world
from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.server import KubeServer

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderRejected
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Outcome, OutcomeKind
from integrations._shared.kube.api import Kube
from integrations.kubernetes.options import KubernetesOptions
from integrations.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

RBAC = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac"
BOT = "system:serviceaccount:deployment-architect:deployment-architect"
CHECKOUT = ServiceName("checkout")
NOT_SAID = {"selfsubjectaccessreviews"}  # everybody with a token may ask what they may do


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((RBAC / name).read_text()) if one]


def granted(documents: Sequence[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(verb, group, resource with its subresource)"""
    return {
        (verb, group, resource)
        for one in documents
        for rule in one.get("rules") or []
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(server: KubeServer, user: str = BOT) -> set[tuple[str, str, str]]:
    found = set()
    for call in server.log:
        if call.user == user and call.resource not in NOT_SAID:
            group = call.path.split("/")[2] if call.path.startswith("/apis/") else ""
            found.add((call.verb, group, f"{call.resource}/{call.subresource}" if call.subresource else call.resource))
    return found


@dataclass
class Cluster:
    server: KubeServer
    controller: DeploymentController
    kube: Kube

    def target(self, **options: Any) -> KubernetesTarget:
        given = {"cluster": "main", "namespace": "shop", "workload": "checkout", "container": "web", **options}
        return KubernetesTarget(
            options=KubernetesOptions.model_validate(given),
            service=CHECKOUT,
            environment=EnvironmentName("production"),
            kube=self.kube,
        )


@asynccontextmanager
async def cluster(roles: Sequence[dict[str, Any]]) -> AsyncIterator[Cluster]:
    """A cluster in which the bot has the rights of ``roles`` and no other, with checkout running in shop."""
    async with KubeServer.running() as server:
        server.issue("bot", BOT)
        server.add("deployments", "shop", deployment("checkout", {"web": "r/checkout:v1"}, progressDeadlineSeconds=30))
        server.load("shop", *roles)
        kube = Kube(server.access(token="bot"))
        async with DeploymentController(server, pace=0.005, second=0.02) as controller:
            try:
                yield Cluster(server, controller, kube)
            finally:
                await kube.close()


def release(version: str) -> Release:
    """A version whose word says how its pods fare."""
    digest = f"sha256:{sha256(version.encode()).hexdigest()}"
    word = version.partition("-")[2] or "well"
    location = f"r/checkout-{word}@{digest}"
    return Release(service=CHECKOUT, version=version, artifact=Artifact(digest=digest, location=location))


async def last_of(seen: AsyncIterator[Any]) -> Outcome:
    *_, last = [each async for each in seen]
    assert isinstance(last, Outcome)
    return last


async def outcome(target: KubernetesTarget, handle: Any) -> Outcome:
    return await last_of(target.observe(handle=handle))


async def watched(server: KubeServer, controller: DeploymentController, seen: AsyncIterator[Any]) -> Outcome:
    """The end of a change that the controller takes up only when it is watched, however slow the machine is."""
    watching = asyncio.create_task(last_of(seen))
    async with asyncio.timeout(10):
        while not any(call.verb == "watch" for call in server.log):
            await asyncio.sleep(0.01)
    controller.start()
    return await watching


async def a_whole_life(found: Cluster) -> None:
    """A release that does well, two that do not, and the way back: all that the engine asks of a target."""
    target = found.target(on_trouble="fail")
    assert [finding.what for finding in await target.examine() if not finding.ok] == []
    good = release("v2")
    await target.plan(release=good)
    await found.controller.stop()
    handle = await target.apply(release=good, operation=OperationId("op-1"))
    first = await watched(found.server, found.controller, target.observe(handle=handle))
    assert first.kind is OutcomeKind.SUCCEEDED
    assert (await target.health(release=good, check=HealthCheck())).ok
    before = await target.current()
    for version, operation in (("v3-unready", "op-2"), ("v4-crash", "op-3")):
        handle = await target.apply(release=release(version), operation=OperationId(operation))
        assert (await outcome(target, handle)).kind is OutcomeKind.FAILED
    assert await target.find(operation=OperationId("op-3")) is not None
    handle = await target.restore(to=before, operation=OperationId("op-4"))
    assert (await outcome(target, handle)).kind is OutcomeKind.SUCCEEDED


async def test_a_rollout_uses_every_right_of_rolling_and_no_other() -> None:
    roles = documents("rolling.yaml")
    async with cluster(roles) as found:
        await a_whole_life(found)
        refused = [f"{call.verb} {call.path}" for call in found.server.log if call.code in (401, 403)]
        assert refused == []
        assert used(found.server) == granted(roles)


async def test_rolling_reaches_no_other_deployment_and_no_other_namespace() -> None:
    async with cluster(documents("rolling.yaml")) as found:
        for namespace, name in (("shop", "payments"), ("vault", "checkout")):
            found.server.add("deployments", namespace, deployment(name, {"web": "r/x:v1"}))
            with pytest.raises(ProviderRejected):
                await found.target(namespace=namespace, workload=name).current()
        for path in (
            "/api/v1/namespaces/shop/secrets",
            "/apis/apps/v1/namespaces/shop/deployments",
            "/api/v1/namespaces/kube-system/pods",
            "/api/v1/pods",
        ):
            with pytest.raises(ProviderRejected, match="does not allow us"):
                await found.kube.list(path)


def without(roles: Sequence[dict[str, Any]], lost: tuple[str, str, str]) -> list[dict[str, Any]]:
    """The same roles but for one right."""
    verb, group, resource = lost
    kept = []
    for one in roles:
        rules = []
        for rule in one.get("rules") or []:
            for each in rule["resources"]:
                verbs = [own for own in rule["verbs"] if (own, rule["apiGroups"][0], each) != (verb, group, resource)]
                rules += [{**rule, "resources": [each], "verbs": verbs}] if verbs else []
        kept.append({**one, "rules": rules} if "rules" in one else one)
    return kept


@pytest.mark.parametrize("lost", sorted(granted(documents("rolling.yaml"))), ids=" ".join)
async def test_a_right_that_is_missing_is_named_with_the_rule_that_grants_it(lost: tuple[str, str, str]) -> None:
    verb, group, resource = lost
    roles = without(documents("rolling.yaml"), lost)
    async with cluster(roles) as found:
        wrong = [finding for finding in await found.target().examine() if not finding.ok]
        assert len(wrong) == 1, wrong
        assert f"may not {verb} {resource}" in wrong[0].what
        assert "in namespace shop" in wrong[0].what
        [rule] = yaml.safe_load(wrong[0].fix.partition("\n")[2])
        assert (rule["verbs"], rule["apiGroups"], rule["resources"]) == ([verb], [group], [resource])
        # What it says to write is what it takes.
        role = found.server.get("roles", "shop", "deployment-architect")
        found.server.change("roles", "shop", "deployment-architect", {"rules": [*(role["rules"] or []), rule]})
        assert all(finding.ok for finding in await found.target().examine())


ROLES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


async def test_previews_use_every_right_of_previews_and_no_other() -> None:
    given = documents("previews.yaml")
    [policy] = [one for one in given if one["kind"] == "ValidatingAdmissionPolicy"]
    [preview] = re.findall(r'matches\("(.+?)"\)', policy["spec"]["validations"][0]["expression"])
    async with previews_world() as here:
        here.server.issue("bot", BOT)
        here.server.load("", *[one for one in given if one["kind"] in ROLES])
        kube = Kube(here.server.access(token="bot"))
        try:
            previews = here.previews(kube=kube)
            assert [finding.what for finding in await previews.examine() if not finding.ok] == []
            first = await here.open(previews=previews)
            last = await watched(here.server, here.controller, previews.observe(preview=first, service=CHECKOUT))
            assert last.kind is OutcomeKind.SUCCEEDED
            # Again, with another version: everything is there already.
            again = await here.open(previews=previews, version="v1.3", operation="two")
            assert [preview.number for preview in await previews.all()] == [7]
            await previews.extend(number=7, identity=again.identity, until=LATER)
            await previews.close(number=7, identity=again.identity)
            async with asyncio.timeout(10):
                while not await previews.close(number=7, identity=again.identity):
                    await asyncio.sleep(0.02)
        finally:
            await here.controller.stop()
            await kube.close()
        for call in here.server.log:
            if call.user == BOT and call.writes and call.resource not in NOT_SAID:
                made = call.body["metadata"]["name"] if call.path == "/api/v1/namespaces" else ""
                where = made or call.path.partition("/namespaces/")[2].split("/")[0]
                assert re.fullmatch(preview, where), f"the policy would not have let through: {call.verb} {call.path}"
        refused = [f"{call.verb} {call.path}" for call in here.server.log if call.code in (401, 403)]
        assert refused == []
        assert used(here.server) == granted(given)


async def test_each_right_of_previews_that_is_missing_is_named_with_the_rule_that_grants_it() -> None:
    given = [one for one in documents("previews.yaml") if one["kind"] in ROLES]
    kinds = {"ClusterRole": "clusterroles", "Role": "roles"}
    async with previews_world() as here:
        here.server.issue("bot", BOT)
        here.server.load("", *given)
        kube = Kube(here.server.access(token="bot"))
        try:
            for one in given:
                if "rules" not in one:
                    continue
                place = (kinds[one["kind"]], one["metadata"].get("namespace"), one["metadata"]["name"])
                for lost in sorted(granted([one])):
                    [less] = without([one], lost)
                    here.server.change(*place, {"rules": less["rules"]})
                    wrong = [each for each in await here.previews(kube=kube).examine() if not each.ok]
                    assert wrong, f"nobody misses {lost}"
                    rules = [rule for each in wrong for rule in yaml.safe_load(each.fix.partition("\n")[2])]
                    assert granted([{"rules": rules}]) == {lost}
                    here.server.change(*place, {"rules": [*less["rules"], *rules]})
                    assert all(each.ok for each in await here.previews(kube=kube).examine()), lost
        finally:
            await kube.close()


def test_the_policy_holds_where_rights_cannot() -> None:
    """What it matches is all that the role may change, and whom it is about is who has the role."""
    given = documents("previews.yaml")
    [policy] = [one for one in given if one["kind"] == "ValidatingAdmissionPolicy"]
    [binding] = [one for one in given if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    matched = {
        (rule["apiGroups"][0], resource)
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for resource in rule["resources"]
        if set(rule["operations"]) == {"CREATE", "UPDATE", "DELETE"}
    }
    changed = {
        (group, resource)
        for verb, group, resource in granted([one for one in given if one["kind"] == "ClusterRole"])
        if verb not in ("get", "list", "watch")
    }
    assert matched == changed
    assert f'"{BOT}"' in policy["spec"]["matchConditions"][0]["expression"]


async def test_a_rollout_of_argo_uses_every_right_of_argo_and_no_other() -> None:
    from kube import argo_world

    roles = documents("argo-rollouts.yaml")
    async with argo_world.world() as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *roles)
        there.kube = kube = Kube(there.server.access(token="bot"))
        try:
            target = there.target()
            assert [finding.what for finding in await target.examine() if not finding.ok] == []
            good = argo_world.release("v2")
            before = await target.current()
            await target.plan(release=good)
            await there.controller.stop()
            handle = await target.set_weight(release=good, percent=25, operation=OperationId("op-1"))
            first = await watched(there.server, there.controller, target.observe(handle=handle))
            assert first.kind is OutcomeKind.SUCCEEDED
            handle = await target.promote(release=good, operation=OperationId("op-2"))
            assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.SUCCEEDED
            assert (await target.health(release=good, check=HealthCheck())).ok
            hurry = {"spec": {"progressDeadlineSeconds": 20}}  # only now: what goes well needs its time
            there.server.change("rollouts", "shop", "checkout", hurry)
            for version in ("v3-crash", "v4-unready"):
                bad = argo_world.release(version)
                handle = await target.set_weight(release=bad, percent=25, operation=OperationId(f"to-{version}"))
                assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.FAILED
                handle = await target.take_back(to=before, operation=OperationId(f"from-{version}"))
                assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.SUCCEEDED
        finally:
            await kube.close()
        refused = [f"{call.verb} {call.path}" for call in there.server.log if call.code in (401, 403)]
        assert refused == []
        assert used(there.server) == granted(roles)


@pytest.mark.long
async def test_a_canary_of_flagger_uses_every_right_of_flagger_and_no_other(tmp_path: Path) -> None:
    from kube import flagger_world

    roles = documents("flagger.yaml")
    async with flagger_world.world(tmp_path) as there:
        there.server.issue("bot", BOT)
        there.server.load("shop", *roles)
        admin, there.kube = there.kube, Kube(there.server.access(token="bot"))
        try:
            target = there.target()
            assert [finding.what for finding in await target.examine() if not finding.ok] == []
            good = flagger_world.release("v2")
            before = await target.current()
            await target.plan(release=good)
            handle = await target.set_weight(release=good, percent=20, operation=OperationId("op-1"))
            assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.SUCCEEDED
            handle = await target.promote(release=good, operation=OperationId("op-2"))
            assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.SUCCEEDED
            assert (await target.health(release=good, check=HealthCheck())).ok
            for version in ("v3-crash", "v4-unready"):
                bad = flagger_world.release(version)
                handle = await target.set_weight(release=bad, percent=20, operation=OperationId(f"to-{version}"))
                seen = await last_of(target.observe(handle=handle))
                assert seen.kind in (OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK_BY_PLATFORM), seen
                handle = await target.take_back(to=before, operation=OperationId(f"from-{version}"))
                assert (await last_of(target.observe(handle=handle))).kind is OutcomeKind.SUCCEEDED
        finally:
            await there.kube.close()
            there.kube = admin
        refused = [f"{call.verb} {call.path}" for call in there.server.log if call.code in (401, 403)]
        assert refused == []
        assert used(there.server) == granted(roles)
