"""The fake API server's writes, by the real client: what was verified on a real 1.36 server, and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.clients import Client, connected, said
from kube.manifests import deployment, rollout
from kube.patches import APPLY, MERGE, STRATEGIC
from kube.server import KubeServer
from kubernetes.aio.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kube.resources import Object

PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
IMAGE = "/spec/template/spec/containers/0/image"


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    async with KubeServer.running() as server:
        server.add("deployments", "shop", deployment("web", {"web": "r/web:1", "sidecar": "r/side:1"}))
        yield server


@pytest.fixture
async def cluster(server: KubeServer) -> AsyncIterator[Client]:
    async with connected(server) as cluster:
        yield cluster


def images(found: Object) -> dict[str, str]:
    return {each["name"]: each["image"] for each in found["spec"]["template"]["spec"]["containers"]}


def to(image: str) -> list[Object]:
    return [{"op": "replace", "path": IMAGE, "value": image}]


def only(*containers: tuple[str, str]) -> Object:
    """A patch of the template's containers and nothing else."""
    return {"spec": {"template": {"spec": {"containers": [{"name": n, "image": i} for n, i in containers]}}}}


def applied(image: str) -> Object:
    meta = {"name": "web", "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, **only(("web", image))}


async def test_a_failed_test_of_a_json_patch_names_nothing(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.patch("web", [{"op": "test", "path": "/metadata/uid", "value": "another"}, *to("r/web:2")])
    status = said(refused.value)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    assert images(await cluster.deployment("web"))["web"] == "r/web:1"


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "add", "path": "/metadata/annotations/x", "value": "y"}],  # no annotations yet
        [{"op": "remove", "path": "/spec/nothing"}],
        [{"op": "replace", "path": "/spec/template/spec/containers/7/image", "value": "r/web:2"}],
        [*to("r/web:2"), {"op": "test", "path": IMAGE, "value": "r/web:1"}],  # in their order
    ],
)
async def test_a_json_patch_that_does_not_fit_changes_nothing(cluster: Client, patch: list[Object]) -> None:
    before = await cluster.deployment("web")
    with pytest.raises(ApiException, match="422"):
        await cluster.patch("web", patch)
    assert await cluster.deployment("web") == before


async def test_a_strategic_merge_with_a_misspelt_name_adds_a_container(cluster: Client) -> None:
    found = await cluster.patch("web", only(("wbe", "r/web:2")), STRATEGIC)
    assert images(found) == {"wbe": "r/web:2", "web": "r/web:1", "sidecar": "r/side:1"}


async def test_a_merge_patch_drops_the_sidecars(cluster: Client) -> None:
    found = await cluster.patch("web", only(("web", "r/web:2")), MERGE)
    assert images(found) == {"web": "r/web:2"}


async def test_a_stale_resource_version_is_a_conflict(cluster: Client) -> None:
    stale = (await cluster.deployment("web"))["metadata"]["resourceVersion"]
    await cluster.patch("web", to("r/web:2"))
    with pytest.raises(ApiException) as refused:
        await cluster.patch("web", {"metadata": {"resourceVersion": stale}, **only(("web", "r/web:3"))}, STRATEGIC)
    assert said(refused.value)["message"] == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your'
        " changes to the latest version and try again"
    )


async def test_an_invalid_object_is_refused_with_its_field(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.patch("web", {"spec": {"template": {"spec": {"containers": [{"name": "new"}]}}}}, STRATEGIC)
    status = said(refused.value)
    assert (
        status["message"] == 'Deployment.apps "web" is invalid: spec.template.spec.containers[0].image: Required value'
    )
    assert status["details"]["causes"][0]["field"] == "spec.template.spec.containers[0].image"


async def test_applying_what_another_owns_is_a_conflict_that_names_it_and_the_field(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.patch("web", applied("r/web:2"), APPLY, field_manager="deployment-architect")
    status = said(refused.value)
    field = '.spec.template.spec.containers[name="web"].image'
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == f'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: {field}'
    assert status["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-create" using apps/v1',
            "field": field,
        }
    ]


async def test_force_takes_the_field_and_applying_again_is_no_write(cluster: Client) -> None:
    by = {"field_manager": "deployment-architect"}
    taken = await cluster.patch("web", applied("r/web:2"), APPLY, force=True, **by)
    again = await cluster.patch("web", applied("r/web:2"), APPLY, **by)
    assert images(again) == {"web": "r/web:2", "sidecar": "r/side:1"}
    assert again == taken
    owners = {each["manager"]: each for each in taken["metadata"]["managedFields"]}
    mine = owners["deployment-architect"]
    assert mine["operation"] == "Apply"
    container = mine["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container == {".": {}, "f:name": {}, "f:image": {}}
    theirs = owners["kubectl-create"]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert "f:image" not in theirs


async def test_a_field_that_one_no_longer_applies_is_gone_if_nobody_else_wants_it(cluster: Client) -> None:
    body = applied("r/web:1")
    await cluster.patch("web", body | {"metadata": {"annotations": {"a": "1"}}}, APPLY, field_manager="one")
    found = await cluster.patch("web", body, APPLY, field_manager="one")
    assert "a" not in found["metadata"].get("annotations", {})
    assert images(found)["web"] == "r/web:1"  # kubectl-create wants it too


async def test_apply_needs_a_manager_and_only_apply_may_force(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.call("PATCH", PATH, applied("r/web:1"), APPLY)
    assert "fieldManager: Required value" in said(refused.value)["message"]
    with pytest.raises(ApiException, match="422"):
        await cluster.patch("web", only(("web", "r/web:2")), MERGE, force=True)


async def test_a_dry_run_answers_as_if_and_persists_nothing(server: KubeServer, cluster: Client) -> None:
    before, version = await cluster.deployment("web"), server.store.version
    found = await cluster.patch("web", to("r/web:2"), dry_run="All")
    assert (images(found)["web"], found["metadata"]["generation"]) == ("r/web:2", 2)
    assert await cluster.deployment("web") == before
    assert server.store.version == version
    assert [call.dry_run for call in server.log if call.verb == "patch"] == [True]


async def test_generations_count_changes_of_the_spec_and_of_a_deployments_annotations(cluster: Client) -> None:
    first = await cluster.patch("web", to("r/web:2"))
    same = await cluster.patch("web", to("r/web:2"))
    assert (first["metadata"]["generation"], same) == (2, first)
    noted = await cluster.patch("web", {"metadata": {"annotations": {"kubernetes.io/change-cause": "v2"}}}, MERGE)
    assert noted["metadata"]["generation"] == 3
    labelled = await cluster.patch("web", {"metadata": {"labels": {"team": "a"}}}, MERGE)
    assert labelled["metadata"]["generation"] == 3


async def test_every_writer_is_written_down(cluster: Client) -> None:
    found = await cluster.patch("web", to("r/web:2"), field_manager="deployment-architect")
    owners = {each["manager"]: each["operation"] for each in found["metadata"]["managedFields"]}
    assert owners == {"kubectl-create": "Update", "deployment-architect": "Update"}


async def test_custom_resources_know_no_strategic_merge(server: KubeServer, cluster: Client) -> None:
    server.add("rollouts", "shop", rollout("web", {"web": "r/web:1", "sidecar": "r/side:1"}))
    with pytest.raises(ApiException) as refused:
        await cluster.call("PATCH", ROLLOUT, only(("web", "r/web:2")), STRATEGIC)
    assert (refused.value.status, said(refused.value)["reason"]) == (415, "UnsupportedMediaType")
    found = await cluster.call("PATCH", ROLLOUT, only(("web", "r/web:2")), MERGE)
    assert images(found) == {"web": "r/web:2"}


async def test_status_is_written_through_its_subresource_only(server: KubeServer, cluster: Client) -> None:
    server.add("rollouts", "shop", rollout("web", {"web": "r/web:1"}))
    ignored = await cluster.call("PATCH", ROLLOUT, {"status": {"abort": True}}, MERGE)
    assert "status" not in ignored
    both = {"status": {"abort": True}, "spec": {"paused": True}, "metadata": {"annotations": {"a": "b"}}}
    found = await cluster.call("PATCH", f"{ROLLOUT}/status", both, MERGE)
    assert found["status"] == {"abort": True}
    assert "paused" not in found["spec"]
    assert "annotations" not in found["metadata"]
    assert found["metadata"]["generation"] == 1


async def test_annotations_of_a_custom_resource_are_no_new_generation(server: KubeServer, cluster: Client) -> None:
    server.add("rollouts", "shop", rollout("web", {"web": "r/web:1"}))
    found = await cluster.call("PATCH", ROLLOUT, {"metadata": {"annotations": {"a": "b"}}}, MERGE)
    assert found["metadata"]["generation"] == 1
    found = await cluster.call("PATCH", ROLLOUT, {"spec": {"paused": True}}, MERGE)
    assert found["metadata"]["generation"] == 2


async def test_typed_models_lose_what_they_do_not_know_and_the_server_does_not(cluster: Client) -> None:
    await cluster.patch("web", [{"op": "add", "path": "/spec/template/spec/containers/0/newField", "value": "x"}])
    raw = await cluster.deployment("web")
    assert raw["spec"]["template"]["spec"]["containers"][0]["newField"] == "x"
    typed = await cluster.apps.read_namespaced_deployment("web", "shop")
    assert "newField" not in typed.spec.template.spec.containers[0].to_dict()


async def test_deleting_asks_for_the_right_uid_and_takes_the_dependents(server: KubeServer, cluster: Client) -> None:
    found = await cluster.deployment("web")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": found["metadata"]["uid"]}
    server.add("configmaps", "shop", {"metadata": {"name": "mine", "ownerReferences": [owner]}})
    with pytest.raises(ApiException) as refused:
        await cluster.call("DELETE", PATH, {"preconditions": {"uid": "another"}})
    assert refused.value.status == 409
    assert "Precondition failed: UID" in said(refused.value)["message"]
    gone = await cluster.call("DELETE", PATH, {"preconditions": {"uid": found["metadata"]["uid"]}})
    assert (gone["status"], gone["details"]["uid"]) == ("Success", found["metadata"]["uid"])
    await server.until(lambda: server.find("configmaps", "shop", "mine") is None)


@pytest.mark.parametrize(("propagation", "kept"), [("Foreground", False), ("Orphan", True)])
async def test_dependents_go_first_or_stay(server: KubeServer, cluster: Client, propagation: str, kept: bool) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    owner |= {"uid": (await cluster.deployment("web"))["metadata"]["uid"]}
    server.add("configmaps", "shop", {"metadata": {"name": "mine", "ownerReferences": [owner]}})
    found = await cluster.call("DELETE", PATH, {"propagationPolicy": propagation})
    assert found["metadata"]["deletionTimestamp"]
    await server.until(lambda: server.find("deployments", "shop", "web") is None)
    assert (server.find("configmaps", "shop", "mine") is not None) is kept


async def test_a_namespace_ends_when_it_is_empty(server: KubeServer, cluster: Client) -> None:
    server.add("configmaps", "shop", {"metadata": {"name": "held", "finalizers": ["example.com/keep"]}})
    answer = await cluster.call("DELETE", "/api/v1/namespaces/shop")
    assert answer["status"]["phase"] == "Terminating"
    told = await server.until(lambda: server.get("namespaces", None, "shop")["status"].get("conditions"))
    assert {each["type"] for each in told} == {"NamespaceContentRemaining", "NamespaceFinalizersRemaining"}
    assert server.find("deployments", "shop", "web") is None
    with pytest.raises(ApiException) as refused:
        await cluster.call("POST", "/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "late"}})
    assert refused.value.status == 403
    assert "because it is being terminated" in said(refused.value)["message"]
    server.change("configmaps", "shop", "held", {"metadata": {"finalizers": None}})
    await server.until(lambda: server.find("namespaces", None, "shop") is None)


async def test_nothing_is_made_in_a_namespace_that_is_not_there(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.call("POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "x"}})
    assert said(refused.value)["message"] == 'namespaces "nowhere" not found'


async def test_what_is_there_already_is_not_made_again(cluster: Client) -> None:
    with pytest.raises(ApiException) as refused:
        await cluster.call("POST", PATH.rpartition("/")[0], deployment("web", {"web": "r/web:1"}))
    assert said(refused.value)["reason"] == "AlreadyExists"


async def test_scaling_goes_through_its_subresource(cluster: Client) -> None:
    found = await cluster.call("PATCH", f"{PATH}/scale", {"spec": {"replicas": 5}}, MERGE)
    assert (found["kind"], found["spec"]["replicas"]) == ("Scale", 5)
    assert (await cluster.deployment("web"))["spec"]["replicas"] == 5
