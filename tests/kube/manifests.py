"""Objects for tests: the smallest that a real API server would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .resources import Object


def deployment(
    name: str, images: dict[str, str], *, replicas: int = 3, annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    """``images``: container -> image. ``spec``: more members of the spec, as they are called there."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}, **({"annotations": annotations} if annotations else {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name, images),
            **spec,
        },
    }


def pod_template(name: str, images: dict[str, str]) -> Object:
    containers = [{"name": each, "image": image} for each, image in images.items()]
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}


def canary(name: str, *, webhooks: list[Object] | None = None, **analysis: Any) -> Object:
    """A Flagger Canary of the Deployment of that name. ``analysis``: as in spec.analysis; without: 20 % up to 60 %."""
    wanted = {"interval": "10s", "threshold": 2, **(analysis or {"stepWeight": 20, "maxWeight": 60})}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80},
            "analysis": {**wanted, "webhooks": webhooks or []},
        },
    }


def rollout(
    name: str, images: dict[str, str], *, replicas: int = 4, steps: list[Object] | None = None, routed: bool = True,
    strategy: Object | None = None, **spec: Any,
) -> Object:  # fmt: skip
    """An Argo Rollout; without ``steps``: 25 %, a pause, 50 %, a pause. ``routed``: something splits the traffic."""
    wanted = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}] if steps is None else steps
    routing: Object = {"trafficRouting": {"nginx": {"stableIngress": name}}} if routed else {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name, images),
            "strategy": strategy or {"canary": {"steps": wanted, **routing}},
            **spec,
        },
    }
