"""What the server tells about itself: version, health, groups and resources, so that kubectl and dynamic clients find
their way.

Follows kubernetes.io/docs/concepts/overview/kubernetes-api (unaggregated discovery).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .resources import LOG, RESOURCES, SCALE

if TYPE_CHECKING:
    from .resources import Object

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
REVIEWS = ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")


def _groups() -> list[tuple[str, str]]:
    return sorted({(each.group, each.version) for each in RESOURCES if each.group} | {REVIEWS[:2]})


def document(path: str) -> Object | None:
    """What is told at ``path``; None where there is nothing of the kind."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*each) for each in _groups()]}
        case ["apis", group]:
            found = [each for each in _groups() if each[0] == group]
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(*found[0])} if found else None
        case ["api", "v1"]:
            return _resources("", "v1")
        case ["apis", group, version] if (group, version) in _groups():
            return _resources(group, version)
    return None


def _group(group: str, version: str) -> Object:
    told = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [told], "preferredVersion": told}


def _resources(group: str, version: str) -> Object:
    listed: list[Object] = []
    for each in RESOURCES:
        if (each.group, each.version) != (group, version):
            continue
        base = {"singularName": each.kind.lower(), "namespaced": each.namespaced, "kind": each.kind}
        listed.append({"name": each.plural, **base, "verbs": VERBS, "shortNames": list(each.short)})
        for sub in sorted(each.subresources):
            more = {"kind": "Scale", "group": "autoscaling", "version": "v1"} if sub == SCALE else {}
            verbs = ["get"] if sub == LOG else ["get", "patch", "update"]
            listed.append({"name": f"{each.plural}/{sub}", **base, "singularName": "", **more, "verbs": verbs})
    if (group, version) == REVIEWS[:2]:
        listed.append(
            {"name": REVIEWS[2], "singularName": "", "namespaced": False, "kind": REVIEWS[3], "verbs": ["create"]}
        )
    named = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": listed}
