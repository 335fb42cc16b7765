"""Patches, names and the words for errors: what goes to a cluster is exactly what was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from integrations._shared.kube import patches, raw
from integrations._shared.kube.errors import Conflict, NotFound, refusal, spoken
from integrations._shared.kube.names import is_http_path, is_label, is_subdomain, path_to
from integrations._shared.kube.permissions import Permission
from integrations._shared.workloads import marks


def deployment(**images: str) -> dict[str, Any]:
    containers = [{"name": name, "image": each} for name, each in images.items()]
    return {
        "metadata": {"name": "checkout", "uid": "u1", "generation": 7, "annotations": {}},
        "spec": {
            "template": {"spec": {"containers": containers, "initContainers": [{"name": "init", "image": "i:1"}]}}
        },
    }


def test_images_are_set_by_the_name_of_the_container_and_tested_to_be_that() -> None:
    one = deployment(side="s:1", web="w:1")
    assert patches.set_images(one, {"web": "w:2", "init": "i:2"}) == [
        {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "web"},
        {"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "w:2"},
        {"op": "test", "path": "/spec/template/spec/initContainers/0/name", "value": "init"},
        {"op": "replace", "path": "/spec/template/spec/initContainers/0/image", "value": "i:2"},
    ]
    with pytest.raises(ProviderRejected, match="has no container wbe; it has: side, web, init"):
        patches.set_images(one, {"wbe": "w:2"})
    assert patches.images_of(one) == {"side": "s:1", "web": "w:1", "init": "i:1"}


def test_a_patch_holds_only_for_the_object_that_was_looked_at() -> None:
    assert patches.same_object(deployment()) == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/generation", "value": 7},
    ]


def test_annotations_are_made_where_there_are_none_and_their_names_are_escaped() -> None:
    one = deployment()
    assert patches.set_annotations(one, {"a.io/b~c": "x"}) == [
        {"op": "add", "path": "/metadata/annotations/a.io~1b~0c", "value": "x"}
    ]
    del one["metadata"]["annotations"]
    assert patches.set_annotations(one, {})[0] == {"op": "add", "path": "/metadata/annotations", "value": {}}


@pytest.mark.parametrize(
    "shape", [None, 7, "x", [], {}, {"spec": 1}, {"spec": {"template": {"spec": {"containers": 3}}}}]
)
def test_whatever_shape_a_cluster_tells_nothing_is_raised(shape: Any) -> None:
    assert raw.items(shape, "spec", "template", "spec", "containers") == []
    assert raw.text(shape, "metadata", "name") == ""
    assert raw.count(shape, "spec", "replicas") == 0
    assert raw.texts(shape, "metadata", "annotations") == {}
    assert patches.images_of(shape) == {}
    assert raw.version(shape) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "A", "a_b", "a/b", "a b", "..", ".", "a..b", "a%2fb", "a\n", "ä", "a?b", "a#b", "x" * 254, "٣"],
)
def test_no_name_leads_elsewhere(name: str) -> None:
    assert not is_subdomain(name)
    assert not is_label(name)
    if name:
        with pytest.raises(ProviderRejected, match="cannot be a name"):
            path_to("apps/v1", "deployments", namespace="shop", name=name)
    with pytest.raises(ProviderRejected, match="cannot be a namespace"):
        path_to("apps/v1", "deployments", namespace=name)


def test_paths_are_those_of_the_api() -> None:
    assert path_to("v1", "pods", namespace="shop") == "/api/v1/namespaces/shop/pods"
    assert path_to("v1", "namespaces", name="pr-7") == "/api/v1/namespaces/pr-7"
    wanted = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/a.b/status"
    assert path_to("argoproj.io/v1alpha1", "rollouts", namespace="shop", name="a.b", subresource="status") == wanted
    for api in ("", "v1/../..", "../v1", "apps/v1/x", "v1?x"):
        with pytest.raises(ProviderRejected):
            path_to(api, "pods")


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/", True),
        ("/health", True),
        ("/a/b.json", True),
        ("/a/", True),
        ("health", False),
        ("//evil.example", False),
        ("/a//b", False),
        ("/../x", False),
        ("/a/..", False),
        ("/./x", False),
        ("/%2e%2e/x", False),
        ("/a?b", False),
        ("/a#b", False),
        ("/a\\b", False),
        ("/a@b", False),
        ("/a b", False),
        ("/" + "a" * 300, False),
        ("/@evil.example/x", False),
        ("/\t/evil.example", False),
        ("/health\n", False),
        ("/health\r\nHost: evil.example", False),
        ("/health HTTP/1.1\r\n\r\nGET /", False),
        ("/h\u00e4", False),
        ("/\uff0f\uff0fevil.example", False),
        ("/\u2215evil.example", False),
        ("/;x=1", False),
        ("/%2f%2fevil.example", False),
        ("/a:80", False),
        ("http://evil.example/", False),
        ("https:///evil.example", False),
        ("", False),
    ],
)
def test_a_health_path_stays_where_it_is_asked(path: str, good: bool) -> None:
    """Neither in the catalog nor on the object, with a port before it or without."""
    assert is_http_path(path) is good
    for port in ("", ":8080"):
        one = {"metadata": {"name": "web", "annotations": {marks.HEALTH_CHECK: port + path}}}
        if good:
            found = marks.probe(one)
            assert found is not None
            assert (found.path, found.port) == (path, 8080 if port else None)
            continue
        with pytest.raises(ProviderRejected, match="asks for health at") as refusal:
            marks.probe(one)
        assert refusal.value.message.isprintable()


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "8o", "٣", " 80", "080x", "1" * 400])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ProviderRejected, match="it can be a path such as"):
        marks.probe({"metadata": {"name": "web", "annotations": {marks.HEALTH_CHECK: f":{port}/health"}}})


def status(code: int, message: str = "", **details: Any) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details}).encode()


PATH = "/apis/apps/v1/namespaces/shop/deployments/checkout"


def test_refusals_say_who_may_not_do_what_where() -> None:
    error = refusal("main", "PATCH", PATH, 403, {}, status(403, 'deployments.apps "checkout" is forbidden'))
    assert isinstance(error, ProviderRejected)
    assert error.message.startswith(
        "The cluster main does not allow us to patch deployments checkout in namespace shop: "
    )
    assert isinstance(refusal("main", "GET", PATH, 404, {}, b"<html>"), NotFound)


@pytest.mark.parametrize(
    ("code", "said", "means"),
    [
        (
            403,
            'admission webhook "images.example.com" denied the request: latest is no version',
            "A rule of the cluster main forbids the change of deployments checkout in namespace shop: admission",
        ),
        (
            403,
            'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=10, limited: pods=10',
            'forbids the change of deployments checkout in namespace shop: pods "a" is forbidden: exceeded quota',
        ),
        (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', "violates PodSecurity"),
        (403, 'pods "a" is forbidden: maximum cpu usage per Container is 1, but limit is 2', "A rule of the cluster"),
        (
            403,
            'deployments.apps "checkout" is forbidden: User "bot" cannot patch resource "deployments"',
            "does not allow us to patch deployments checkout in namespace shop",
        ),
        (
            400,
            'admission webhook "a.example.com" does not support dry run',
            "refused the request for deployments checkout in namespace shop (400): admission webhook",
        ),
        (
            500,
            'failed calling webhook "a.example.com": context deadline exceeded',
            "The cluster main has trouble (500): failed calling webhook",
        ),
    ],
)
def test_who_forbids_it_is_said_in_plain_words(code: int, said: str, means: str) -> None:
    error = refusal("main", "PATCH", PATH, code, {}, status(code, said))
    assert means in error.message
    assert not isinstance(error, Conflict)
    assert error.retryable is (code == 500)


def test_a_failed_test_is_a_conflict_and_a_wrong_object_is_not() -> None:
    assert isinstance(refusal("main", "PATCH", PATH, 422, {}, status(422, "the server rejected our request")), Conflict)
    assert isinstance(refusal("main", "PATCH", PATH, 409, {}, status(409)), Conflict)
    wrong = status(422, "Deployment is invalid: spec.replicas", causes=[{"field": "spec.replicas"}])
    error = refusal("main", "PATCH", PATH, 422, {}, wrong)
    assert not isinstance(error, Conflict)
    assert "spec.replicas" in error.message
    assert not error.retryable


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_trouble_may_be_tried_again_when_the_server_says(code: int) -> None:
    error = refusal("main", "GET", PATH, code, {"Retry-After": "7"}, status(code))
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after == 7.0


def test_what_a_server_says_is_one_short_line_without_secrets() -> None:
    said = "no\nway \x1b[31m" + "token=hunter2hunter2 " + "x" * 5000
    error = refusal("main", "PATCH", PATH, 400, {}, status(400, said))
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert "hunter2" not in error.message
    assert len(error.message) < 500


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (PATH, "deployments checkout in namespace shop"),
        ("/api/v1/namespaces/shop/pods", "pods in namespace shop"),
        ("/api/v1/namespaces/shop/pods/a/log", "pods/log a in namespace shop"),
        ("/api/v1/namespaces/shop", "namespaces shop"),
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "selfsubjectaccessreviews"),
    ],
)
def test_paths_are_told_as_people_speak(path: str, words: str) -> None:
    assert spoken(path) == words


def test_permissions_are_told_as_people_speak() -> None:
    permission = Permission("patch", "apps", "deployments", "shop", "checkout")
    assert str(permission) == "patch deployments (apps) checkout in namespace shop"
    assert str(Permission("get", "", "pods", "shop", subresource="log")) == "get pods/log in namespace shop"
