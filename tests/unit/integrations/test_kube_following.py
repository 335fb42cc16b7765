"""What is known of objects stays right, whatever comes late, twice or not at all; and kubectl's rules of a rollout."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle
from integrations._shared.kube.api import Event
from integrations._shared.kube.following import Known
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.judging import Mine, Stand, judge
from integrations._shared.workloads.options import WorkloadOptions
from integrations._shared.workloads.owners import owned_elsewhere, who_changed
from integrations._shared.workloads.workload import Workload, runs, selector
from integrations.kubernetes.observing import read
from integrations.kubernetes.options import KubernetesOptions

DIGEST = "sha256:" + "a" * 64


def thing(version: int, uid: str = "u1", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "uid": uid, "resourceVersion": str(version)}, **more}


def event(kind: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"], version: int, uid: str = "u1") -> Event:
    return Event(kind, thing(version, uid))


def test_the_first_list_is_told_even_when_it_is_empty_and_the_same_one_is_not_told_again() -> None:
    known = Known()
    assert known.listed([], "5")
    assert not known.listed([], "6")


def test_what_is_old_or_was_told_before_changes_nothing() -> None:
    known = Known()
    known.listed([thing(5)], "5")
    assert known.happened(event("MODIFIED", 7))
    assert not known.happened(event("MODIFIED", 7))
    assert not known.happened(event("MODIFIED", 6))
    assert not known.happened(event("DELETED", 4))
    assert not known.happened(event("BOOKMARK", 90))
    assert known.objects == {"x": thing(7)}


def test_what_is_gone_does_not_come_back_by_an_echo_but_does_when_it_is_made_anew() -> None:
    known = Known()
    known.listed([thing(5)], "5")
    assert known.happened(event("DELETED", 8))
    assert not known.happened(event("MODIFIED", 7))
    assert known.objects == {}
    assert known.happened(event("ADDED", 9, "u2"))
    assert not known.happened(event("DELETED", 8))
    assert known.objects == {"x": thing(9, "u2")}


def test_a_list_of_a_server_that_lags_behind_takes_nothing_back() -> None:
    known = Known()
    known.listed([thing(5)], "5")
    known.happened(event("MODIFIED", 9))
    assert not known.listed([thing(6)], "7")
    assert not known.listed([], "8"), "it does not know yet that there is one"
    assert known.objects == {"x": thing(9)}
    assert known.listed([], "10")
    assert not known.happened(event("MODIFIED", 9))
    assert known.objects == {}


MINE = Mine(name="web", operation=OperationId("one"), uid="u1", generation=4)


def rolling(generation: int = 4, observed: int = 4, replicas: int = 3, **more: Any) -> dict[str, Any]:
    status = {"observedGeneration": observed, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
    ours = {marks.OPERATION: "one", marks.IMAGES: '{"web": "r/web:1"}'}
    template = {"spec": {"containers": [{"name": "web", "image": "r/web:1"}]}}
    return {
        "metadata": {"name": "web", "uid": "u1", "generation": generation, "annotations": ours},
        "spec": {"replicas": replicas, "template": template, **more.get("spec", {})},
        "status": {**status, **more.get("status", {})},
    }


@pytest.mark.parametrize(
    ("one", "stand"),
    [
        (rolling(), Stand.DONE),
        (rolling(observed=3), Stand.WAITING),
        (rolling(generation=3, observed=3), Stand.WAITING),
        (rolling(generation=6, observed=5), Stand.WAITING),
        (rolling(status={"updatedReplicas": 2}), Stand.WAITING),
        (rolling(status={"replicas": 4}), Stand.WAITING),
        (rolling(status={"availableReplicas": 2}), Stand.WAITING),
        (rolling(status={"updatedReplicas": None, "availableReplicas": "3"}), Stand.WAITING),
        (rolling(replicas=5), Stand.WAITING),
        (rolling(spec={"paused": True}, status={"updatedReplicas": 0}), Stand.FAILED),
        (rolling(spec={"paused": True}, observed=3), Stand.FAILED),
        (rolling(spec={"paused": True}), Stand.DONE),
        (None, Stand.DELETED),
    ],
)
def test_kubectls_rules(one: dict[str, Any] | None, stand: Stand) -> None:
    assert judge(one, MINE).stand is stand


def test_another_of_the_same_name_is_not_the_one_that_was_changed() -> None:
    one = rolling()
    one["metadata"]["uid"] = "u2"
    assert judge(one, MINE).stand is Stand.DELETED
    assert "made anew by somebody" in judge(one, MINE).message


@pytest.mark.parametrize("updated", [0, 2])
def test_what_the_cluster_lets_nobody_make_is_trouble_and_no_end(updated: int) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small"}
    view = judge(rolling(status={"updatedReplicas": updated, "conditions": [failure]}), MINE)
    assert view.stand is Stand.TROUBLED
    assert "exceeded quota: small" in view.message
    assert judge(rolling(status={"conditions": [failure]}), MINE).stand is Stand.DONE, "it has passed"
    assert judge(rolling(observed=3, status={"conditions": [failure]}), MINE).stand is Stand.WAITING, "of before"


def test_one_of_several_that_was_not_changed_is_a_failure() -> None:
    never = Mine(name="web", operation=OperationId("one"), uid="u1", generation=0)
    assert judge(rolling(), never).stand is Stand.FAILED


@pytest.mark.parametrize("latest", ["two", None, "not an operation <!channel>"])
def test_whose_marks_are_there_now_took_its_place(latest: str | None) -> None:
    one = rolling()
    one["metadata"]["annotations"] |= {marks.OPERATION: latest, marks.HISTORY: "one@4 two@5"}
    view = judge(one, MINE)
    assert view.stand is Stand.SUPERSEDED
    assert "<!channel>" not in view.message


@pytest.mark.parametrize("left", [None, "", "[]", '{"web": 7}', "null", "{"])
def test_without_our_marks_nobody_calls_it_ours(left: str | None) -> None:
    one = rolling()
    one["metadata"]["annotations"][marks.IMAGES] = left
    one["spec"]["template"]["spec"]["containers"][0]["image"] = "r/web:of-somebody-else"
    view = judge(one, MINE)
    assert view.stand is Stand.SUPERSEDED
    assert "removed our marks" in view.message


def test_what_a_webhook_made_of_our_image_is_not_blamed_on_us() -> None:
    ours = written_by(("deployment-architect", "2026-11-23T12:03:04Z"))["metadata"]["managedFields"]
    one = rolling()
    one["metadata"]["managedFields"] = ours
    one["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example/web:1"
    view = judge(one, MINE)
    assert view.stand is Stand.SUPERSEDED
    assert view.message.startswith("The cluster itself, perhaps an admission webhook, changed web")
    one["metadata"]["managedFields"] = written_by(("kubectl-set", "2026-11-23T12:03:04Z"))["metadata"]["managedFields"]
    assert judge(one, MINE).message.startswith("kubectl-set at 12:03:04 UTC changed web")


def test_a_deadline_that_the_change_before_exceeded_is_not_ours() -> None:
    exceeded = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
    assert judge(rolling(observed=3, status=exceeded), MINE).stand is Stand.WAITING
    assert judge(rolling(status=exceeded), MINE).stand is Stand.FAILED


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("r/web:1", "r/web:1", True),
        ("r/web:1", "r/web:2", False),
        (f"r/web@{DIGEST}", f"mirror.example/web:1@{DIGEST}", True),
        (f"r/web@{DIGEST}", "r/web", False),
    ],
)
def test_the_same_bytes_from_a_mirror_are_the_same_image(one: str, other: str, same: bool) -> None:
    assert image.same(one, other) is same


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        ("ghcr.io/a/b:v1", f"ghcr.io/a/b:v1@{DIGEST}"),
        (f"ghcr.io/a/b@sha256:{'b' * 64}", None),
        ("ghcr.io/a/b@sha256:beef", None),
        ("ghcr.io/a b", None),
        ("https://ghcr.io/a/b", None),
        ("registry.example.com:5000/a/b_c/d--e.f:V1", f"registry.example.com:5000/a/b_c/d--e.f:V1@{DIGEST}"),
        ("localhost/b", f"localhost/b@{DIGEST}"),
        ("/srv/artifacts/checkout/v1.1", None),
        ("ghcr.io/A/b", None),
        ("ghcr.io/a//b", None),
        ("ghcr.io/a/../b", None),
        ("a" * 600, None),
        ("", None),
    ],
)
def test_only_what_is_pinned_is_an_image_to_run(location: str, wanted: str | None) -> None:
    release = Release(service="x", version="v1", artifact=Artifact(digest=DIGEST, location=location))  # type: ignore[arg-type]  # a name
    assert image.location(release) == wanted


def test_what_a_pod_runs_is_told_by_its_pin_or_by_its_runtime_never_by_its_tag() -> None:
    def pod(asked: str, said: str) -> dict[str, Any]:
        return {
            "spec": {"containers": [{"name": "web", "image": asked}]},
            "status": {"containerStatuses": [{"name": "web", "imageID": said}]},
        }

    other = "sha256:" + "b" * 64
    assert runs(pod("r/web:1", f"docker-pullable://r/web@{DIGEST}"), "web") == DIGEST
    assert runs(pod(f"r/web@{DIGEST}", f"r/web@{other}"), "web") == DIGEST, "the pin names the index, the node its part"
    assert runs(pod(f"r/web@{DIGEST}", ""), "web") is None, "it has not been pulled yet"
    assert runs(pod("r/web:1", "sha256:1234"), "web") is None
    assert runs(pod("r/web:1", f"r/web@{DIGEST}"), "other") is None


def test_selectors_are_asked_as_they_are_meant_and_an_empty_one_never() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "track", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    one = {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": "x"}, "matchExpressions": rules}}}
    assert selector(one) == "app=x,tier in (a,b),track,!old"
    with pytest.raises(ProviderRejected, match="selects no pods"):
        selector({"metadata": {"name": "x"}, "spec": {}})


def written_by(*managers: tuple[str, str]) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}
    entries = [{"manager": who, "time": when, "fieldsV1": fields} for who, when in managers]
    return {"metadata": {"name": "web", "managedFields": entries}}


def test_owners_are_told_by_the_books_of_the_cluster() -> None:
    [said] = owned_elsewhere(written_by(("argocd-controller", "")), ["web"])
    assert "Argo CD" in said
    assert owned_elsewhere(written_by(("argocd-controller", "")), ["side"]) == []
    assert owned_elsewhere(written_by(("kubectl-set", ""), ("deployment-architect", "")), ["web"]) == []
    labelled = {"metadata": {"name": "web", "annotations": {"meta.helm.sh/release-name": "shop"}}}
    assert "Helm" in owned_elsewhere(labelled, ["web"])[0]
    flux = {"metadata": {**labelled["metadata"], "labels": {"helm.toolkit.fluxcd.io/name": "shop"}}}
    assert len(owned_elsewhere(flux, ["web"])) == 1
    both = written_by(("helm", "2026-11-23T10:00:00Z"), ("kubectl-edit", "2026-11-23T12:03:04Z"))
    assert who_changed(both, "web") == "kubectl-edit at 12:03:04 UTC"
    ours_too = written_by(("kubectl-set", "2026-11-23T12:03:04Z"), ("deployment-architect", "2026-11-23T12:03:05Z"))
    assert who_changed(ours_too, "web") == "kubectl-set at 12:03:04 UTC"
    evil = written_by(("<!channel>\n" + "x" * 500, "now"))
    assert "\n" not in who_changed(evil, "web")
    assert len(who_changed(evil, "web")) <= 60


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"workload": "a", "workloads": [{"name": "b"}]},
        {"workload": "a", "container": "x", "containers": ["y"]},
        {"workloads": [{"name": "a"}], "container": "x"},
        {"workloads": [{"name": "a"}, {"name": "a"}]},
        {"workload": "../a"},
        {"workload": "a", "container": "A"},
        {"workload": "a", "namespace": "shop/../kube-system"},
        {"workload": "a", "containers": ["x", "x"]},
        {"workload": "a", "owned_elsewhere": "ignore"},
        {"workload": "a", "probe_port": 0},
        {"workload": "a", "replicas": 3},
    ],
)
def test_options_that_could_mean_two_things_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KubernetesOptions.model_validate({"cluster": "main", "namespace": "shop", **options})


@pytest.mark.parametrize("generation", ["", "u1", "u1:x", ":4", "u1:4,u2:5", "u1:-4", "u1:" + "9" * 30])
def test_a_handle_of_something_else_is_refused(generation: str) -> None:
    workload = Workload(None, "shop", WorkloadOptions(name="web"))  # type: ignore[arg-type]  # nothing is asked of it
    with pytest.raises(ProviderRejected):
        read([workload], Handle(operation=OperationId("one"), generation=generation))


def test_the_history_is_kept_short_and_names_the_generation_that_each_change_made() -> None:
    one: dict[str, Any] = {"metadata": {"generation": 41, "annotations": {}}}
    for number in range(30):
        one["metadata"]["annotations"] = marks.written(
            one, operation=OperationId(f"op{number}"), cause="", version="v1", digest="", before={}, after={}
        )
        one["metadata"]["generation"] += 1
    history = marks.history(one)
    assert len(history) == 20
    assert history[OperationId("op29")] == 71
    assert OperationId("op0") not in history
