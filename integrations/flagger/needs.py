"""What we must be allowed to do for a deployment by way of Flagger, and what to write so that we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations._shared.kube.permissions import Permission
from integrations._shared.workloads import needs

if TYPE_CHECKING:
    from integrations.flagger.place import Place


def needed(place: Place) -> list[Permission]:
    """Without these nothing can be deployed."""
    namespace, canary = place.options.namespace, place.options.canary
    canaries = [
        Permission(verb, "flagger.app", "canaries", namespace, canary) for verb in ("get", "list", "watch", "patch")
    ]
    primary = Permission("get", "apps", "deployments", namespace, place.primary.name)
    # The Deployment itself is only read and changed, what is watched is the Canary.
    own = [one for one in needs.needed(place.workload) if one.resource != "deployments" or one.verb in ("get", "patch")]
    return [*canaries, primary, *own]


def probing(place: Place) -> list[Permission]:
    """Without these a release cannot prove its health where the catalog has pods asked for it."""
    return [needs.probing(place.workload)] if place.options.probe_port is not None else []


def helpful(place: Place) -> list[Permission]:
    """Without these less can be told about what went wrong."""
    return needs.helpful(place.workload, logs=place.options.log_lines > 0)
