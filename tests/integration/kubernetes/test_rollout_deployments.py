"""A release comes to Deployments of a cluster: how it goes well, how it fails, and what is said of it."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from kube.deployment_world import REPOSITORY, deploy, release, seen, world

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind, Progress

pytestmark = pytest.mark.timeout(60)
ONE, TWO, BACK = OperationId("one"), OperationId("two"), OperationId("back")


async def test_a_release_comes_by_digest_with_its_marks_in_the_same_patch() -> None:
    async with world() as here:
        target = here.target()
        plan = await target.plan(release=release("v1.1"))
        assert not plan.no_change
        assert [change.startswith("checkout: web runs ghcr.io/acme/checkout-well@sha256:") for change in plan.changes]
        progress, outcome = await deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert [each.done for each in progress] == sorted(each.done for each in progress), "it only goes forward"
        assert here.image() == release("v1.1").artifact.location
        assert here.image(index=1) == "r/side:1", "the other container was left alone"
        [patch] = [call for call in here.server.log if call.verb == "patch" and not call.dry_run]
        assert patch.content_type == "application/json-patch+json"
        assert patch.query["fieldManager"] == "deployment-architect"
        assert {each["path"] for each in patch.body if each["op"] == "test"} == {
            "/metadata/uid",
            "/metadata/generation",
            "/spec/template/spec/containers/0/name",
        }
        assert "kubernetes.io~1change-cause" in " ".join(each["path"] for each in patch.body)
        assert not any("replicas" in each["path"] or "selector" in each["path"] for each in patch.body)
        running = await target.current()
        assert running is not None
        assert (running.release, running.operation, running.all_healthy) == (release("v1.1"), "one", True)
        assert (await target.plan(release=release("v1.1"))).no_change
        assert (await target.health(release=release("v1.1"), check=HealthCheck())).ok
        assert not (await target.health(release=release("v1.0"), check=HealthCheck())).ok


async def test_a_rollout_that_goes_well_takes_few_calls() -> None:
    async with world() as here:
        target = here.target(look_after=30.0)
        since = len(here.server.log)
        await deploy(target, "v1.1", "one")
        assert here.calls(since) == [
            "get deployments",
            "list replicasets",
            "patch deployments",
            "list deployments",
            "watch deployments",
        ]


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("v1.5-missing", "cannot pull the image"),
        ("v1.5-crash", "panic: cannot reach the database"),
        ("v1.5-huge", "3 Insufficient memory"),
        ("v1.5-unready", "HTTP probe failed with statuscode: 503"),
        ("v1.5-noconfig", 'configmap "web-config" not found'),
    ],
)
async def test_why_it_does_not_come_up_is_said_early_and_again_at_the_end(version: str, says: str) -> None:
    async with world(patient=True) as here:
        target = here.target()
        handle = await target.apply(release=release(version), operation=ONE)
        async with aclosing(target.observe(handle=handle)) as telling:
            async for each in telling:
                assert isinstance(each, Progress), "the cluster has not given up yet"
                if says in each.message:
                    break
        here.controller.advance(31)
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert version in outcome.message
        assert says in outcome.message
        running = await target.current()
        assert running is not None
        assert running.release.version == "v1.0", "what runs is told by the pods, not by the template"
        health = await target.health(release=release(version), check=HealthCheck())
        assert not health.ok
        assert health.message


async def test_where_the_catalog_says_so_trouble_ends_it_before_the_cluster_gives_up() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        _, outcome = await deploy(here.target(on_trouble="fail"), "v1.5-missing", "one")
        assert outcome.kind is OutcomeKind.FAILED
        assert "cannot pull the image" in outcome.message


async def test_a_failed_release_is_put_back_and_only_its_image_is_changed() -> None:
    async with world() as here:
        target = here.target()
        await deploy(target, "v1.1", "one")
        before = await target.current()
        await deploy(target, "v1.5-crash", "two")
        since = len(here.server.log)
        handle = await target.restore(to=before, operation=BACK)
        assert await target.restore(to=before, operation=BACK) == handle
        assert await target.find(operation=BACK) == handle
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        [patch] = [call for call in here.server.log[since:] if call.verb == "patch"]
        assert not any(each["path"] == "/spec/template" for each in patch.body)
        running = await target.current()
        assert running is not None
        assert (running.release, running.operation, running.all_healthy) == (release("v1.1"), "back", True)


async def test_a_template_that_was_changed_as_well_comes_back_as_it_was_fields_that_nobody_knows_too() -> None:
    async with world() as here:
        target = here.target()
        await deploy(target, "v1.1", "one")
        here.server.change(
            "deployments", "shop", "checkout", {"spec": {"template": {"spec": {"fieldOfTheFuture": {"of": 2040}}}}}
        )
        await here.settled()
        before, template = await target.current(), here.get()["spec"]["template"]
        await deploy(target, "v1.2", "two")
        here.server.change(
            "deployments", "shop", "checkout", {"spec": {"template": {"spec": {"fieldOfTheFuture": None}}}}
        )
        _, outcome = await seen(target, await target.restore(to=before, operation=BACK))
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert here.get()["spec"]["template"] == template


async def test_putting_back_what_stands_there_already_is_a_success() -> None:
    async with world() as here:
        target = here.target()
        before = await target.current()
        handle = await target.restore(to=before, operation=BACK)
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert here.image() == f"{REPOSITORY}:v1.0"


async def test_without_a_record_the_images_of_before_come_back_or_it_is_refused() -> None:
    async with world() as here:
        target = here.target()
        with pytest.raises(ProviderRejected, match="not recorded"):
            await target.restore(to=None, operation=BACK)
        await deploy(target, "v1.1", "one")
        assert (await seen(target, await target.restore(to=None, operation=BACK)))[1].kind is OutcomeKind.SUCCEEDED
        assert here.image() == f"{REPOSITORY}:v1.0"
        running = await target.current()
        assert running is not None
        bare = replace(running, release=release("v1.1"), details={})
        assert (await seen(target, await target.restore(to=bare, operation=OperationId("on"))))[1]
        assert here.image() == release("v1.1").artifact.location


async def test_somebody_with_kubectl_is_named_and_nobody_fights() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        target = here.target()
        handle = await target.apply(release=release("v1.5-crash"), operation=ONE)
        here.set_image("r/web:theirs")
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-set at" in outcome.message
        assert "r/web:theirs" in outcome.message
        await here.settled()
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUPERSEDED, "also when theirs is well"
        since = len(here.server.log)
        assert await target.apply(release=release("v1.5-crash"), operation=ONE) == handle
        assert "patch deployments" not in here.calls(since), "sent again, it changes nothing any more"


async def test_kubectl_rollout_undo_brings_old_marks_back_and_the_change_is_found_all_the_same() -> None:
    async with world() as here:
        target = here.target()
        await deploy(target, "v1.1", "one")
        first = here.get()
        handle = await target.apply(release=release("v1.5-crash"), operation=TWO)
        await here.server.until(lambda: len(here.server.all("replicasets", "shop")) == 3)

        def undo(live: dict[str, object]) -> dict[str, object]:
            return {
                **live,
                "metadata": {**live["metadata"], "annotations": first["metadata"]["annotations"]},  # type: ignore[dict-item]  # raw
                "spec": first["spec"],
            }

        here.server.change("deployments", "shop", "checkout", undo, manager="kubectl-rollout")
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-rollout at" in outcome.message
        assert "put back" in outcome.message
        assert await target.find(operation=TWO) == handle
        assert await target.apply(release=release("v1.5-crash"), operation=TWO) == handle
        assert here.image() == release("v1.1").artifact.location


async def test_another_bot_takes_its_place_and_both_know() -> None:
    async with world() as here:
        mine, theirs = here.target(), here.target()
        handle = await mine.apply(release=release("v1.1"), operation=ONE)
        other = await theirs.apply(release=release("v1.2"), operation=TWO)
        _, outcome = await seen(mine, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "two" in outcome.message
        assert (await seen(theirs, other))[1].kind is OutcomeKind.SUCCEEDED
        assert await mine.find(operation=ONE) == handle


async def test_an_annotation_or_more_replicas_or_a_restart_supersede_nothing() -> None:
    async with world() as here:
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        here.server.change("deployments", "shop", "checkout", {"metadata": {"annotations": {"note": "hello"}}})
        here.server.change("deployments", "shop", "checkout", {"spec": {"replicas": 5}}, manager="horizontal")
        stamp = {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}
        here.server.change(
            "deployments", "shop", "checkout", {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        )
        generation = here.get()["metadata"]["generation"]
        assert generation == int(handle.generation.rpartition(":")[2]) + 3
        progress, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.message == "5 of 5 pods available."
        assert here.get()["status"]["observedGeneration"] == generation
        assert progress[-1].total == 5
        assert await target.find(operation=ONE) == handle, "the handle is that of the change's own answer"


async def test_what_is_deleted_or_made_anew_is_told() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        target = here.target()
        handle = await target.apply(release=release("v1.5-missing"), operation=ONE)
        here.server.delete("deployments", "shop", "checkout")
        assert (await seen(target, handle))[1].kind is OutcomeKind.DELETED
        here.add()
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.DELETED
        assert "made anew" in outcome.message
        assert await target.find(operation=ONE) is None


async def test_what_is_paused_is_refused_and_pausing_on_the_way_ends_it() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        target = here.target()
        before = await target.current()
        handle = await target.apply(release=release("v1.5-missing"), operation=ONE)
        here.server.change("deployments", "shop", "checkout", {"spec": {"paused": True}}, manager="kubectl-rollout")
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "paused by kubectl-rollout" in outcome.message
        for refused in (target.plan(release=release("v1.2")), target.restore(to=before, operation=BACK)):
            with pytest.raises(ProviderRejected, match="kubectl rollout resume"):
                await refused
        with pytest.raises(ProviderRejected, match="paused"):
            await target.apply(release=release("v1.2"), operation=TWO)
        assert await target.apply(release=release("v1.5-missing"), operation=ONE) == handle


async def test_scaled_to_zero_it_is_set_and_nothing_is_claimed_about_its_health() -> None:
    async with world(replicas=0) as here:
        target = here.target()
        plan = await target.plan(release=release("v1.1"))
        assert any("scaled to zero" in warning for warning in plan.warnings)
        _, outcome = await deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert "nothing proves its health" in outcome.message
        health = await target.health(release=release("v1.1"), check=HealthCheck())
        assert not health.ok
        assert "scaled to zero" in health.message
        assert here.get()["spec"]["replicas"] == 0, "how many there are is not ours to say"


async def test_a_quota_is_told_while_it_is_in_the_way() -> None:
    async with world(progressDeadlineSeconds=3000) as here:
        await here.controller.stop()
        target = here.target(on_trouble="fail")
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        status = here.get()["status"]
        said = 'pods "checkout-1" is forbidden: exceeded quota: compute, requested: pods=1, limited: pods=3'
        condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
        status = {
            **status,
            "observedGeneration": here.get()["metadata"]["generation"],
            "updatedReplicas": 0,
            "conditions": [*status["conditions"], condition],
        }
        here.server.change("deployments", "shop", "checkout", {"status": status}, status=True)
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "exceeded quota" in outcome.message


async def test_when_nothing_moves_and_the_cluster_does_not_give_up_the_bot_does() -> None:
    async with world() as here:
        await here.controller.stop()
        here.server.change("deployments", "shop", "checkout", {"spec": {"progressDeadlineSeconds": 1}})
        target = here.target()
        handle = await target.apply(release=release("v1.1"), operation=ONE)
        from integrations.kubernetes import observing

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(observing, "_MARGIN", 0.2)
            progress, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.TIMED_OUT
        assert "waiting for the cluster to take up the change" in outcome.message
        assert [each.done for each in progress] == [0]


async def test_several_containers_and_several_deployments_are_one_release() -> None:
    async with world() as here:
        images = {"app": "r/worker:1", "side": "r/side:1"}
        here.add("worker", images)

        def with_init(live: dict[str, object]) -> dict[str, object]:
            spec = live["spec"]["template"]["spec"]  # type: ignore[index]  # raw
            spec["initContainers"] = [{"name": "migrate", "image": "r/worker:1"}]
            return live

        here.server.change("deployments", "shop", "worker", with_init)
        await here.settled("worker")
        workloads = [{"name": "checkout", "container": "web"}, {"name": "worker", "containers": ["app", "migrate"]}]
        target = here.target(workload=None, container=None, workloads=workloads)
        plan = await target.plan(release=release("v1.1"))
        assert sorted(change.partition(" runs ")[0] for change in plan.changes) == [
            "checkout: web",
            "worker: app",
            "worker: migrate",
        ]
        before = await target.current()
        progress, outcome = await deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert progress[-1].total == 6
        spec = here.get("worker")["spec"]["template"]["spec"]
        wanted = release("v1.1").artifact.location
        assert [spec["initContainers"][0]["image"], *(each["image"] for each in spec["containers"])] == [
            wanted,
            wanted,
            "r/side:1",
        ]
        running = await target.current()
        assert running is not None
        assert running.all_healthy
        assert (await target.plan(release=release("v1.1"))).no_change
        handle = await target.restore(to=before, operation=BACK)
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert here.image() == f"{REPOSITORY}:v1.0"
        assert here.get("worker")["spec"]["template"]["spec"]["containers"][0]["image"] == "r/worker:1"


async def test_of_several_none_is_changed_when_one_would_be_refused() -> None:
    async with world() as here:
        here.add("worker", {"app": "r/worker:1"}, paused=True)
        target = here.target(
            workload=None, container=None, workloads=[{"name": "checkout", "container": "web"}, {"name": "worker"}]
        )
        with pytest.raises(ProviderRejected, match="worker is paused"):
            await target.apply(release=release("v1.1"), operation=ONE)
        assert here.image() == f"{REPOSITORY}:v1.0"
        assert await target.find(operation=ONE) is None


async def test_of_several_one_that_is_refused_after_all_is_told_and_all_can_be_put_back() -> None:
    async with world() as here:
        here.add("worker", {"app": "r/worker:1"})
        await here.settled("worker")
        several = {"workload": None, "container": None}
        both = here.target(**several, workloads=[{"name": "checkout", "container": "web"}, {"name": "worker"}])
        before = await both.current()
        # The other one is refused in the moment between the trial and the change.
        await here.target().apply(release=release("v1.1"), operation=ONE)
        here.server.change("deployments", "shop", "worker", {"spec": {"paused": True}})
        handle = await both.apply(release=release("v1.1"), operation=ONE)
        assert await both.find(operation=ONE) == handle
        _, outcome = await seen(both, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "worker was not changed" in outcome.message
        here.server.change("deployments", "shop", "worker", {"spec": {"paused": False}})
        assert (await seen(both, await both.restore(to=before, operation=BACK)))[1].kind is OutcomeKind.SUCCEEDED
        assert here.image() == f"{REPOSITORY}:v1.0"


async def test_the_record_of_what_ran_holds_the_whole_template() -> None:
    async with world() as here:
        running = await here.target().current()
        assert running is not None
        assert json.loads(running.details["template"]) == {"checkout": here.get()["spec"]["template"]}
