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
