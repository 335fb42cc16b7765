"""What we must be allowed to do for previews, and what to write so that we are. Asks, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.finding import Finding
from integrations._shared.kube.permissions import Permission, missing
from integrations.previews.copying import DEPLOYMENT, KINDS, SECRET

if TYPE_CHECKING:
    from integrations._shared.kube.api import Kube
    from integrations.previews.copying import Kind
    from integrations.previews.options import PreviewsOptions


def needed(options: PreviewsOptions) -> list[Permission]:
    """All of it. What previews will be called is not known, so the first of them stands for all."""
    found = [Permission(verb, "", "namespaces") for verb in ("get", "list", "create", "patch", "delete")]
    for kind in KINDS:
        if kind is SECRET:
            found += _secrets(options)
        else:
            group, place = _group(kind), options.namespace(1)
            found.append(Permission("list", group, kind.plural, options.template))
            found += [Permission(verb, group, kind.plural, place) for verb in ("get", "create")]
    group = _group(DEPLOYMENT)
    found.append(Permission("list", group, DEPLOYMENT.plural))
    return found + [Permission(verb, group, DEPLOYMENT.plural, options.namespace(1)) for verb in ("watch", "patch")]


def _secrets(options: PreviewsOptions) -> list[Permission]:
    place = options.namespace(1)
    named = [
        Permission("get", "", "secrets", where, name) for name in options.secrets for where in (options.template, place)
    ]
    return [*named, Permission("create", "", "secrets", place)] if named else []


def _group(kind: Kind) -> str:
    return kind.api.partition("/")[0] if "/" in kind.api else ""


async def findings(kube: Kube, options: PreviewsOptions) -> list[Finding]:
    """For each permission whether we have it, and the rule that grants it. Raises `ProviderError`."""
    wanted = needed(options)
    lacks = set(await missing(kube, wanted))
    return [
        Finding(
            ok=permission not in lacks,
            what=f"{'may not' if permission in lacks else 'may'} {permission}",
            fix=_rule(permission, options) if permission in lacks else "",
        )
        for permission in wanted
    ]


def _rule(permission: Permission, options: PreviewsOptions) -> str:
    """The rule that grants a permission: in the template by a Role, everywhere else by a ClusterRole."""
    template = permission.namespace == options.template
    where = f"a Role in namespace {options.template}" if template else "a ClusterRole, as in rbac/previews.yaml"
    names = f", resourceNames: [{permission.name}]" if permission.name else ""
    what = f'apiGroups: ["{permission.group}"], resources: [{permission.resource}], verbs: [{permission.verb}]'
    return f"In {where}, under rules:\n- {{ {what}{names} }}"
