"""A release comes to a Deployment of a cluster: how it goes well, how it fails, and how it is put back.

On the stand-in always, on a real cluster where TEST_KUBECONFIG names one. The last test is the stand-in's alone: nobody
can stop the controllers of somebody's cluster. So are the faults of servers, in test_rollout_faults.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from kube import deployment_world
from kube.real import EVERYWHERE
from kube.rolling_places import place

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from integrations._shared.kube.api import Conflict
from integrations._shared.kube.names import path_to
from integrations._shared.workloads import image, marks

pytestmark = pytest.mark.timeout(60)
ONE, TWO, BACK = OperationId("one"), OperationId("two"), OperationId("back")


@EVERYWHERE
async def test_a_release_comes_by_digest_with_its_marks_in_the_same_patch(where: str) -> None:
    async with place(where) as here:
        target, new = here.target(), here.release("v1.1")
        assert not [finding for finding in await target.examine() if not finding.ok]
        generation = (await here.get())["metadata"]["generation"]
        plan = await target.plan(release=new)
        assert not plan.no_change
        shown = image.shown(new.artifact.location)
        assert [change.startswith(f"checkout: web runs {shown} instead of") for change in plan.changes] == [True]
        assert await here.image() == here.first, "a plan changes nothing"
        progress, outcome = await here.deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert [each.done for each in progress] == sorted(each.done for each in progress), "it only goes forward"
        assert all(0 <= each.done <= each.total == 3 for each in progress[1:])
        assert await here.image() == new.artifact.location
        assert await here.image(index=1) == here.side, "the other container was left alone"
        [patch] = [call for call in here.log if call.verb == "patch" and not call.dry_run]
        assert patch.content_type == "application/json-patch+json"
        assert patch.query["fieldManager"] == "deployment-architect"
        assert {each["path"] for each in patch.body if each["op"] == "test"} == {
            "/metadata/uid",
            "/metadata/generation",
            "/spec/template/spec/containers/0/name",
        }
        assert "kubernetes.io~1change-cause" in " ".join(each["path"] for each in patch.body)
        assert not any("replicas" in each["path"] or "selector" in each["path"] for each in patch.body)
        one = await here.get()
        noted = one["metadata"]["annotations"]
        assert (noted[marks.OPERATION], noted[marks.VERSION]) == ("one", "v1.1")
        assert noted["kubernetes.io/change-cause"] == "Deploy v1.1 (one)"
        assert one["metadata"]["generation"] == generation + 1 == one["status"]["observedGeneration"]
        running = await target.current()
        assert running is not None
        assert (running.release, running.operation, running.all_healthy) == (new, "one", True)
        assert (await target.plan(release=new)).no_change
        assert (await target.health(release=new, check=HealthCheck())).ok
        assert not (await target.health(release=here.release("v1.0"), check=HealthCheck())).ok


@EVERYWHERE
async def test_a_rollout_that_goes_well_takes_few_calls(where: str) -> None:
    async with place(where) as here:
        target = here.target(look_after=600.0)
        since = len(here.log)
        await here.deploy(target, "v1.1", "one")
        assert here.calls(since) == [
            "get deployments",
            "list replicasets",
            "patch deployments",
            "list deployments",
            "watch deployments",
        ]


@EVERYWHERE
async def test_a_slow_one_is_told_as_it_goes_and_has_succeeded_only_at_its_end(where: str) -> None:
    async with place(where) as here:
        await here.change({"spec": {"minReadySeconds": 3}})
        target = here.target()
        handle = await target.apply(release=here.release("v1.1"), operation=ONE)
        told: list[Progress | Outcome] = []
        async with aclosing(target.observe(handle=handle)) as telling:
            async for each in telling:
                told.append(each)
                if each.message.startswith("0 of 3 pods available"):
                    await here.pass_time()
        assert isinstance(told[-1], Outcome)
        assert told[-1].kind is OutcomeKind.SUCCEEDED
        assert any(each.message.startswith("0 of 3 pods available") for each in told)
        dones = [each.done for each in told if isinstance(each, Progress)]
        assert dones == sorted(dones)
        status = (await here.get())["status"]
        assert (status["updatedReplicas"], status["availableReplicas"]) == (3, 3)


@EVERYWHERE
@pytest.mark.parametrize("version", ["v1.5-missing", "v1.5-crash", "v1.5-huge", "v1.5-unready", "v1.5-noconfig"])
async def test_why_it_does_not_come_up_is_said_early_and_again_at_the_end(where: str, version: str) -> None:
    async with place(where, patient=True) as here:
        await here.prepare(version)
        target, bad, says = here.target(), here.release(version), here.says(version)
        handle = await target.apply(release=bad, operation=ONE)
        async with aclosing(target.observe(handle=handle)) as telling:
            async for each in telling:
                assert isinstance(each, Progress), "the cluster has not given up yet"
                if says in each.message:
                    break
        await here.give_up()
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert version in outcome.message
        assert says in outcome.message
        running = await target.current()
        assert running is not None
        assert running.release.version == here.first_version, "what runs is told by the pods, not by the template"
        health = await target.health(release=bad, check=HealthCheck())
        assert not health.ok
        assert health.message


@EVERYWHERE
async def test_where_the_catalog_says_so_trouble_ends_it_before_the_cluster_gives_up(where: str) -> None:
    async with place(where, patient=True) as here:
        _, outcome = await here.deploy(here.target(on_trouble="fail"), "v1.5-missing", "one")
        assert outcome.kind is OutcomeKind.FAILED
        assert "cannot pull the image" in outcome.message


@EVERYWHERE
async def test_a_failed_release_is_put_back_and_only_its_image_is_changed(where: str) -> None:
    async with place(where) as here:
        target = here.target()
        await here.deploy(target, "v1.1", "one")
        before = await target.current()
        assert (await here.deploy(target, here.failing, "two"))[1].kind is OutcomeKind.FAILED
        since = len(here.log)
        handle = await target.restore(to=before, operation=BACK)
        assert await target.restore(to=before, operation=BACK) == handle
        assert await target.find(operation=BACK) == handle
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        patches = [call for call in here.log[since:] if call.verb == "patch"]
        assert len(patches) == 1 or where == "cluster", "somebody else writes there too"
        assert not any(each["path"] == "/spec/template" for patch in patches for each in patch.body)
        running = await target.current()
        assert running is not None
        assert (running.release, running.operation, running.all_healthy) == (here.release("v1.1"), "back", True)


@EVERYWHERE
async def test_a_template_that_was_changed_as_well_comes_back_as_it_was_fields_that_nobody_knows_too(
    where: str,
) -> None:
    """Real servers keep no field that they do not know themselves; the stand-in does. The bot knows neither of them."""
    hosts = [{"ip": "10.0.0.1", "hostnames": ["database"]}]
    more = {"fieldOfTheFuture": {"of": 2040}, "hostAliases": hosts}
    async with place(where) as here:
        target = here.target()
        await here.deploy(target, "v1.1", "one")
        await here.change({"spec": {"template": {"spec": more}}})
        await here.settled()
        before, template = await target.current(), (await here.get())["spec"]["template"]
        assert template["spec"]["hostAliases"] == hosts
        assert "fieldOfTheFuture" in template["spec"] or where == "cluster"
        await here.deploy(target, "v1.2", "two")
        await here.change({"spec": {"template": {"spec": dict.fromkeys(more)}}})
        assert (await here.get())["spec"]["template"] != template
        _, outcome = await here.seen(target, await target.restore(to=before, operation=BACK))
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert (await here.get())["spec"]["template"] == template


@EVERYWHERE
async def test_putting_back_what_stands_there_already_is_a_success(where: str) -> None:
    async with place(where) as here:
        target = here.target()
        before = await target.current()
        handle = await target.restore(to=before, operation=BACK)
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert await here.image() == here.first


@EVERYWHERE
async def test_without_a_record_the_images_of_before_come_back_or_it_is_refused(where: str) -> None:
    async with place(where) as here:
        target, new = here.target(), here.release("v1.1")
        with pytest.raises(ProviderRejected, match="not recorded"):
            await target.restore(to=None, operation=BACK)
        await here.deploy(target, "v1.1", "one")
        handle = await target.restore(to=None, operation=BACK)
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert await here.image() == here.first
        running = await target.current()
        assert running is not None
        bare = replace(running, release=new, details={})
        handle = await target.restore(to=bare, operation=OperationId("on"))
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert await here.image() == new.artifact.location


@EVERYWHERE
async def test_the_record_of_what_ran_holds_the_whole_template(where: str) -> None:
    async with place(where) as here:
        running = await here.target().current()
        assert running is not None
        assert json.loads(running.details["template"]) == {"checkout": (await here.get())["spec"]["template"]}


@EVERYWHERE
@pytest.mark.parametrize(
    ("manager", "tool"), [("helm", "Helm"), ("argocd-controller", "Argo CD"), ("kustomize-controller", "Flux")]
)
async def test_the_plan_tells_who_owns_the_image_and_is_refused_where_the_catalog_says_so(
    where: str, manager: str, tool: str
) -> None:
    async with place(where) as here:
        await here.set_image(here.theirs, manager=manager)
        await here.settled()
        plan = await here.target().plan(release=here.release("v1.1"))
        assert any(f"owned by {tool}" in warning for warning in plan.warnings)
        assert image.shown(here.theirs) in plan.changes[0]
        strict = here.target(owned_elsewhere="refuse")
        with pytest.raises(ProviderRejected, match=f"owned by {tool}"):
            await strict.plan(release=here.release("v1.1"))
        with pytest.raises(ProviderRejected, match=f"owned by {tool}"):
            await strict.apply(release=here.release("v1.1"), operation=ONE)
        assert await here.image() == here.theirs


@EVERYWHERE
async def test_a_patch_whose_test_does_not_hold_changes_nothing(where: str) -> None:
    async with place(where) as here:
        change = [
            {"op": "test", "path": "/metadata/uid", "value": "somebody-else"},
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": here.theirs},
        ]
        path = path_to("apps/v1", "deployments", namespace=here.hands.namespace, name="checkout")
        with pytest.raises(Conflict):
            await here.kube.patch(path, change, kind="json")
        assert await here.image() == here.first


async def test_when_nothing_moves_and_the_cluster_does_not_give_up_the_bot_does() -> None:
    from integrations.kubernetes import observing

    async with deployment_world.world() as here:
        await here.controller.stop()
        here.server.change("deployments", "shop", "checkout", {"spec": {"progressDeadlineSeconds": 1}})
        target = here.target()
        handle = await target.apply(release=deployment_world.release("v1.1"), operation=ONE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(observing, "_MARGIN", 0.2)
            async with asyncio.timeout(30):
                progress, outcome = await deployment_world.seen(target, handle)
        assert outcome.kind is OutcomeKind.TIMED_OUT
        assert "waiting for the cluster to take up the change" in outcome.message
        assert [each.done for each in progress] == [0]
