"""What the catalog may say about previews, and what of a template is copied, without any cluster."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.ports.previews import Previewed
from integrations._shared.workloads import marks as carried
from integrations.previews import copying, marks, standing
from integrations.previews.copying import DEPLOYMENT, KINDS, SECRET, Kind
from integrations.previews.options import PreviewsOptions

GOOD: dict[str, Any] = {
    "cluster": "main",
    "template": "shop-template",
    "namespaces": "shop-pr-{number}",
    "address": "https://{service}-pr-{number}.example.com",
    "services": {"checkout": {"workload": "checkout"}},
}


def options(**more: Any) -> PreviewsOptions:
    return PreviewsOptions.model_validate({**GOOD, **more})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"namespaces": "shop"}, "with {number} in it once"),
        ({"namespaces": "{number}-{number}"}, "with {number} in it once"),
        ({"namespaces": "Shop-{number}"}, "with {number} in it once"),
        ({"namespaces": "shop-{number}/x"}, "with {number} in it once"),
        ({"namespaces": "a" * 60 + "{number}"}, "with {number} in it once"),
        ({"namespaces": "{number}"}, "begin with letters of its own"),
        ({"namespaces": "pr-1{number}"}, "begin with letters of its own"),
        ({"namespaces": "kube-{number}"}, "begin with letters of its own"),
        ({"template": "shop-pr-4"}, "must not be called as previews are"),
        ({"template": "Shop"}, "must be a name"),
        ({"address": "https://preview.example.com"}, "with {number} in it"),
        ({"address": "javascript:{number}"}, "with {number} in it"),
        ({"address": "https://a@{number}.example.com"}, "with {number} in it"),
        ({"services": {}}, "at least 1"),
        ({"services": {"checkout": {"workload": "../x"}}}, "must be a name"),
        ({"secrets": ["a/b"]}, "must be a name"),
        ({"most": 0}, "greater than or equal to 1"),
        ({"owner": "a b"}, "must be letters"),
        ({"owner": "a,b=c"}, "must be letters"),
        ({"namespace": "x"}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**wrong)
    assert words in str(caught.value)


def test_names_lead_back_to_numbers() -> None:
    found = options(namespaces="shop-pr-{number}-eu")
    assert found.namespace(12) == "shop-pr-12-eu"
    assert found.number_of("shop-pr-12-eu") == 12
    for name in ("shop-pr-012-eu", "shop-pr--eu", "shop-pr-12-eux", "xshop-pr-12-eu", "shop-pr-1234567890-eu", ""):
        assert found.number_of(name) is None
    assert options().address_of("Check out_2", 7) == "https://check-out-2-pr-7.example.com"
    assert PreviewsOptions.model_validate(found.model_dump()) == found


def test_secrets_are_copied_by_name_and_tokens_never() -> None:
    secrets = [
        {"metadata": {"name": "database"}, "data": {"a": "b"}, "type": "Opaque"},
        {"metadata": {"name": "stray"}, "data": {"a": "b"}, "type": "Opaque"},
        {"metadata": {"name": "token"}, "data": {"token": "b"}, "type": "kubernetes.io/service-account-token"},
    ]
    found = copying.copies({SECRET: secrets}, options(secrets=["database", "token"]), 7)
    assert [copy.name for copy in found] == ["database"]
    assert not copying.copies({SECRET: secrets}, options(), 7)


def test_nothing_that_is_copied_is_changed_in_the_template() -> None:
    spec: dict[str, Any] = {"clusterIP": "10.0.0.1", "ports": [{"nodePort": 1}]}
    one = {"metadata": {"name": "web", "annotations": {"a": "1"}}, "spec": spec}
    service = Kind("v1", "services", "Service")
    [kind] = [kind for kind in KINDS if kind == service]
    [copy] = copying.copies({kind: [one]}, options(), 7)
    assert copy.object["spec"] == {"ports": [{}]}
    assert spec == {"clusterIP": "10.0.0.1", "ports": [{"nodePort": 1}]}
    headless = {"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}
    [copy] = copying.copies({kind: [headless]}, options(), 7)
    assert copy.object["spec"] == {"clusterIP": "None"}


@pytest.mark.parametrize(
    "odd", [{}, {"spec": None}, {"spec": []}, {"spec": {"template": 5}}, {"metadata": {"labels": [1]}}]
)
def test_any_shape_is_copied_or_refused(odd: dict[str, Any]) -> None:
    one = {**odd, "metadata": {**odd.get("metadata", {}), "name": "x"}}
    for kind in KINDS:
        try:
            made = copying.copies({kind: [one]}, options(), 7)
        except ProviderRejected:
            continue
        copying.missing_secrets(made)
        standing.look(one)


def test_a_host_with_a_default_for_all_is_refused() -> None:
    ingress = {"metadata": {"name": "web"}, "spec": {"defaultBackend": {"service": {"name": "web"}}}}
    [kind] = [kind for kind in KINDS if kind.name == "Ingress"]
    with pytest.raises(ProviderRejected, match="takes every host"):
        copying.copies({kind: [ingress]}, options(), 7)


def test_every_secret_that_pods_need_is_found() -> None:
    pod = {
        "volumes": [
            {"secret": {"secretName": "a"}},
            {"secret": {"secretName": "no", "optional": True}},
            {"projected": {"sources": [{"secret": {"name": "b"}}, {"configMap": {"name": "no"}}]}},
        ],
        "containers": [{"envFrom": [{"secretRef": {"name": "c"}}, {"secretRef": {"name": "no", "optional": True}}]}],
        "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}}]}],
        "imagePullSecrets": [{"name": "e"}],
    }
    one = {"metadata": {"name": "web"}, "spec": {"template": {"spec": pod}}}
    made = copying.copies({DEPLOYMENT: [one]}, options(), 7)
    assert copying.missing_secrets(made) == [f"web needs the Secret {name}, which is not copied." for name in "abcde"]


def deployment(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "generation": 2, "annotations": {marks.UID: "u", carried.OPERATION: "one"}},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, None),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, OutcomeKind.SUCCEEDED),
        ({"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, None),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, None),
        ({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, None),
        ({"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, OutcomeKind.FAILED),
        (
            {"observedGeneration": 1, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
            None,
        ),
    ],
)
def test_how_it_stands(status: dict[str, Any], outcome: OutcomeKind | None) -> None:
    before = Previewed(address="https://x", operation=OperationId("one"))
    assert standing.follow(deployment(**status), before, uid="u").outcome is outcome
    assert standing.follow(deployment(**status), before, uid="other").outcome is OutcomeKind.DELETED
    assert standing.follow(None, before, uid="u").outcome is OutcomeKind.DELETED
