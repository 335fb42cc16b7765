"""What we must be allowed to do for a deployment, and what to write so that we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.finding import Finding
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.permissions import Permission, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integrations._shared.kube.api import Kube
    from integrations._shared.workloads.workload import Workload


def needed(workload: Workload) -> list[Permission]:
    """Without these nothing can be deployed."""
    namespace = workload.namespace
    named = [
        Permission(verb, "apps", "deployments", namespace, workload.name) for verb in ("get", "list", "watch", "patch")
    ]
    return [
        *named,
        Permission("list", "apps", "replicasets", namespace),
        Permission("list", "", "pods", namespace),
    ]


def helpful(workload: Workload, *, logs: bool) -> list[Permission]:
    """Without these less can be told about what went wrong."""
    namespace = workload.namespace
    found = [Permission("list", "", "events", namespace)]
    if logs:
        found.append(Permission("get", "", "pods", namespace, subresource="log"))
    return found


def probing(workload: Workload) -> Permission:
    """Without this no pod can be asked for a health path, so that no release can prove its health where one is."""
    return Permission("get", "", "pods", workload.namespace, subresource="proxy")


async def check(kube: Kube, wanted: Sequence[Permission]) -> None:
    """Raise `ProviderRejected` naming each permission that we lack."""
    lacks = await missing(kube, wanted, remembered=True)
    if lacks:
        said = "; ".join(map(str, lacks))
        raise ProviderRejected(
            f"The cluster {kube.cluster} does not allow us what a deployment needs: {said}. "
            "The Role in deploy/kubernetes/ grants it.",
            provider=PROVIDER,
        )


async def findings(kube: Kube, must: Sequence[Permission], may: Sequence[Permission] = ()) -> list[Finding]:
    """For each permission whether we have it, and the rule that grants it. Raises `ProviderError`.

    Without those of ``must`` nothing can be deployed, without those of ``may`` less can be told.
    """
    lacks = set(await missing(kube, [*must, *may]))
    return [
        Finding(
            ok=permission not in lacks,
            what=f"{'may not' if permission in lacks else 'may'} {permission}"
            + (", so less can be told when something is wrong" if permission in lacks and permission in may else ""),
            fix=rule(permission) if permission in lacks else "",
            optional=permission in may,
        )
        for permission in [*must, *may]
    ]


def rule(permission: Permission) -> str:
    """The rule of a Role that grants a permission."""
    resource = f"{permission.resource}/{permission.subresource}" if permission.subresource else permission.resource
    names = f", resourceNames: [{permission.name}]" if permission.name else ""
    return (
        f"In a Role in namespace {permission.namespace}, under rules:\n"
        f'- {{ apiGroups: ["{permission.group}"], resources: [{resource}], verbs: [{permission.verb}]{names} }}'
    )
