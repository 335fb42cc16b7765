"""What we must be allowed to do for a Rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations._shared.kube.permissions import Permission

if TYPE_CHECKING:
    from integrations._shared.workloads.workload import Workload
    from integrations.argo_rollouts.workload import RolloutWorkload

_GROUP = "argoproj.io"


def needed(workload: RolloutWorkload, holder: Workload) -> list[Permission]:
    """Without these nothing can be deployed."""
    namespace, name = workload.namespace, workload.name
    found = [Permission(verb, _GROUP, "rollouts", namespace, name) for verb in ("get", "list", "watch", "patch")]
    found.append(Permission("patch", _GROUP, "rollouts", namespace, name, "status"))
    if holder is not workload:
        found += [Permission(verb, "apps", "deployments", namespace, holder.name) for verb in ("get", "patch")]
    return [*found, Permission("list", "apps", "replicasets", namespace), Permission("list", "", "pods", namespace)]
