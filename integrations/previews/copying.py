"""What of a template namespace comes into a preview, and how it looks there. Pure.

Must not carry over what the cluster or another tool wrote about the original: an address, an owner, a claim of Argo CD.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain.errors import ProviderRejected
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations.previews import marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from integrations._shared.kube.raw import Object
    from integrations.previews.options import PreviewsOptions

MARK = "pr-number"
"""Stands in the hosts of an Ingress of the template where a preview has ``pr-123``."""


class Kind(NamedTuple):
    """A kind of objects that is copied."""

    api: str
    plural: str
    name: str


DEPLOYMENT = Kind("apps/v1", "deployments", "Deployment")
SECRET = Kind("v1", "secrets", "Secret")
# Fences before whom they fence in, and what pods need before the pods.
KINDS = (
    Kind("v1", "resourcequotas", "ResourceQuota"),
    Kind("v1", "limitranges", "LimitRange"),
    Kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    Kind("v1", "serviceaccounts", "ServiceAccount"),
    Kind("v1", "configmaps", "ConfigMap"),
    SECRET,
    Kind("v1", "services", "Service"),
    DEPLOYMENT,
    Kind("networking.k8s.io/v1", "ingresses", "Ingress"),
)
# Kubernetes makes these in every namespace by itself.
_EVERYWHERE = {("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")}
_OF_OTHERS = re.compile(
    r"kubectl\.kubernetes\.io/last-applied-configuration|deployment\.kubernetes\.io/|meta\.helm\.sh/"
    r"|argocd\.argoproj\.io/|(?:kustomize|helm)\.toolkit\.fluxcd\.io/|kubernetes\.io/(?:change-cause|metadata\.name)$"
    r"|deployment-architect\.io/(?!strategy$|health-check$)"
)
# What these hold is taken from the template's own visitors as a rule's host is: a name in the DNS, or an alias.
_HOSTS = re.compile(
    r"external-dns\.alpha\.kubernetes\.io/(?:internal-)?hostname$|nginx\.ingress\.kubernetes\.io/server-alias$"
)
_MANAGED_BY = "app.kubernetes.io/managed-by"
_ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort", "externalIPs", "loadBalancerIP")


@dataclass(frozen=True, slots=True)
class Copy:
    """An object as it is to be made."""

    kind: Kind
    object: Object

    @property
    def name(self) -> str:
        """What it is called."""
        return raw.name(self.object)


def copies(template: Mapping[Kind, list[Object]], options: PreviewsOptions, number: int) -> list[Copy]:
    """All that a preview consists of, in the order in which it is made, not marked with its namespace yet.

    Raises `ProviderRejected` for what must not be copied as it is.
    """
    return [
        Copy(kind, _cleaned(kind, one, options, number))
        for kind in KINDS
        for one in sorted(template.get(kind, ()), key=raw.name)
        if _is_copied(kind, one, options)
    ]


def inherited(namespace: Object) -> dict[str, str]:
    """The labels of the template namespace that a preview needs as well, such as those of pod security."""
    return _kept(raw.texts(namespace, "metadata", "labels"))


def missing_secrets(made: list[Copy]) -> list[str]:
    """One sentence for each Secret that pods need and that is not copied."""
    there = {copy.name for copy in made if copy.kind is SECRET}
    found = []
    for copy in made:
        if copy.kind is DEPLOYMENT:
            wanted = sorted(set(_secrets_of(raw.at(copy.object, "spec", "template", "spec"))) - there)
            found += [f"{copy.name} needs the Secret {told(name)}, which is not copied." for name in wanted]
    return found


def _is_copied(kind: Kind, one: Object, options: PreviewsOptions) -> bool:
    if (kind.name, raw.name(one)) in _EVERYWHERE or raw.items(one, "metadata", "ownerReferences"):
        return False
    if raw.at(one, "metadata", "deletionTimestamp") is not None:
        return False
    if kind is SECRET:
        # A token says who somebody is; in another namespace it would be a stolen one.
        return raw.name(one) in options.secrets and raw.text(one, "type") != "kubernetes.io/service-account-token"
    return True


def _cleaned(kind: Kind, one: Object, options: PreviewsOptions, number: int) -> Object:
    copied = {key: deepcopy(value) for key, value in one.items() if key not in ("metadata", "status")}
    copied["apiVersion"], copied["kind"] = kind.api, kind.name
    copied["metadata"] = {
        "name": raw.name(one),
        "labels": {**_kept(raw.texts(one, "metadata", "labels")), **marks.labels(options, number)},
        "annotations": _kept(raw.texts(one, "metadata", "annotations")),
    }
    _with_own_names(copied, number)
    spec = copied.get("spec")
    match kind.name:
        case "ServiceAccount":
            copied.pop("secrets", None)
        case "Service" if isinstance(spec, dict):
            _without_addresses(spec)
        case "Ingress":
            _with_own_hosts(copied, number)
        case "Deployment":
            inner = raw.at(copied, "spec", "template", "metadata")
            if isinstance(inner, dict):
                inner.pop("creationTimestamp", None)
    return copied


def _kept(found: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in found.items() if not _OF_OTHERS.match(key)}
    if kept.get(_MANAGED_BY) == "Helm":
        del kept[_MANAGED_BY]
    return kept


def _without_addresses(spec: dict[str, Any]) -> None:
    headless = spec.get("clusterIP") == "None"
    for key in _ALLOCATED:
        spec.pop(key, None)
    if headless:
        spec["clusterIP"] = "None"
    for port in raw.items({"spec": spec}, "spec", "ports"):
        port.pop("nodePort", None)


def _with_own_names(one: Object, number: int) -> None:
    noted: dict[str, str] = one["metadata"]["annotations"]
    for key, hosts in noted.items():
        if _HOSTS.match(key):
            noted[key] = ",".join(_own_host(one, host.strip(), number) for host in hosts.split(","))


def _with_own_hosts(ingress: Object, number: int) -> None:
    """Put the number into every host. One without a place for it would take the template's own visitors."""
    for rule in raw.items(ingress, "spec", "rules"):
        rule["host"] = _own_host(ingress, rule.get("host"), number)
    for tls in raw.items(ingress, "spec", "tls"):
        hosts = tls.get("hosts")
        tls["hosts"] = [_own_host(ingress, host, number) for host in hosts] if isinstance(hosts, list) else []
    if raw.at(ingress, "spec", "defaultBackend") is not None:
        raise ProviderRejected(
            f"The Ingress {raw.called(ingress)} of the template takes every host, so it cannot be copied; give it "
            f"rules with hosts that have {MARK} in them.",
            provider=PROVIDER,
        )


def _own_host(one: Object, host: object, number: int) -> str:
    if not isinstance(host, str) or MARK not in host:
        where = f"{raw.text(one, 'kind')} {raw.called(one)} of the template"
        raise ProviderRejected(
            f"The host {told(str(host or '*'))[:100]} in the {where} has no {MARK} in it, so previews would take "
            f"its visitors; write it as checkout-{MARK}.example.com.",
            provider=PROVIDER,
        )
    return host.replace(MARK, f"pr-{number}")


def _secrets_of(pod: object) -> Iterator[str]:
    for volume in raw.items(pod, "volumes"):
        if raw.at(volume, "secret", "optional") is not True:
            yield from filter(None, [raw.text(volume, "secret", "secretName")])
        for source in raw.items(volume, "projected", "sources"):
            if raw.at(source, "secret", "optional") is not True:
                yield from filter(None, [raw.text(source, "secret", "name")])
    for container in [*raw.items(pod, "containers"), *raw.items(pod, "initContainers")]:
        for found in [
            *(raw.at(each, "valueFrom", "secretKeyRef") for each in raw.items(container, "env")),
            *(raw.at(each, "secretRef") for each in raw.items(container, "envFrom")),
        ]:
            if raw.at(found, "optional") is not True:
                yield from filter(None, [raw.text(found, "name")])
    yield from filter(None, (raw.text(each, "name") for each in raw.items(pod, "imagePullSecrets")))
