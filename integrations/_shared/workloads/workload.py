"""One Deployment, its pods and its ReplicaSets, as they are read. Reading only, and it judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.names import path_to
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import image

if TYPE_CHECKING:
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.options import WorkloadOptions

HASH = "pod-template-hash"
_OPERATORS = {"In": "in", "NotIn": "notin"}


@dataclass(frozen=True, slots=True)
class Workload:
    """Where one Deployment is, and which of its containers run the release."""

    kube: Kube
    namespace: str
    options: WorkloadOptions

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return self.options.name

    @property
    def path(self) -> str:
        """Where it is."""
        return path_to("apps/v1", "deployments", namespace=self.namespace, name=self.name)

    @property
    def all_path(self) -> str:
        """Where all are; only with `field` may we list and watch there."""
        return path_to("apps/v1", "deployments", namespace=self.namespace)

    @property
    def field(self) -> str:
        """What lets only this one through."""
        return f"metadata.name={self.name}"

    async def read(self) -> Object | None:
        """The Deployment as it is now; None when there is none."""
        return await self.kube.get(self.path)

    async def there(self) -> Object:
        """The Deployment as it is now; raises `ProviderRejected` when there is none."""
        found = await self.read()
        if found is None:
            raise ProviderRejected(
                f"There is no Deployment {self.name} in namespace {self.namespace} of the cluster {self.kube.cluster}; "
                "create it first, the bot only changes what is there.",
                provider=PROVIDER,
            )
        return found

    async def pods(self, one: Object) -> list[Object]:
        """Its pods that are not on their way out."""
        path = path_to("v1", "pods", namespace=self.namespace)
        found, _ = await self.kube.list(path, label=selector(one))
        return [pod for pod in found if self._owns(pod) and raw.at(pod, "metadata", "deletionTimestamp") is None]

    async def replica_sets(self, one: Object) -> list[Object]:
        """Its ReplicaSets, the newest revision first."""
        path = path_to("apps/v1", "replicasets", namespace=self.namespace)
        found, _ = await self.kube.list(path, label=selector(one))
        mine = [
            each
            for each in found
            if any(raw.text(owner, "uid") == raw.uid(one) for owner in raw.items(each, "metadata", "ownerReferences"))
        ]
        return sorted(mine, key=_revision, reverse=True)

    def containers(self, one: Object) -> tuple[str, ...]:
        """The containers that run the release; raises `ProviderRejected` when that cannot be told."""
        has = list(images_of(one))
        if self.options.named:
            lacks = [name for name in self.options.named if name not in has]
            if lacks:
                raise ProviderRejected(
                    f"{self.name} has no container {', '.join(lacks)}; it has: {told(', '.join(has)) or 'none'}.",
                    provider=PROVIDER,
                )
            return self.options.named
        names = [raw.text(each, "name") for each in raw.items(one, "spec", "template", "spec", "containers")]
        if len(names) != 1:
            raise ProviderRejected(
                f"{self.name} has the containers {told(', '.join(names)) or 'none'}; the catalog must say which of "
                "them runs the release, with container.",
                provider=PROVIDER,
            )
        return (names[0],)

    def _owns(self, pod: Object) -> bool:
        # Selectors may overlap; a ReplicaSet is called after its Deployment and the hash that its pods carry.
        wanted = f"{self.name}-{raw.text(pod, 'metadata', 'labels', HASH)}"
        return any(
            raw.text(owner, "kind") == "ReplicaSet" and raw.text(owner, "name") == wanted
            for owner in raw.items(pod, "metadata", "ownerReferences")
        )


def selector(one: Object) -> str:
    """What selects its pods, as a query has it."""
    parts = [f"{key}={value}" for key, value in raw.texts(one, "spec", "selector", "matchLabels").items()]
    for rule in raw.items(one, "spec", "selector", "matchExpressions"):
        key, operator = raw.text(rule, "key"), raw.text(rule, "operator")
        values = raw.at(rule, "values")
        if operator in _OPERATORS and isinstance(values, list):
            parts.append(f"{key} {_OPERATORS[operator]} ({','.join(map(str, values))})")
        elif operator in ("Exists", "DoesNotExist"):
            parts.append(key if operator == "Exists" else f"!{key}")
    if not parts:
        # An empty one would let everything through.
        raise ProviderRejected(f"{raw.called(one)} selects no pods.", provider=PROVIDER)
    return ",".join(parts)


def replicas(one: Object) -> int:
    """How many pods there should be."""
    wanted = raw.at(one, "spec", "replicas")
    return wanted if isinstance(wanted, int) else 1


def ready(pod: Object) -> bool:
    """Whether it gets traffic."""
    return any(
        raw.text(each, "type") == "Ready" and raw.text(each, "status") == "True"
        for each in raw.items(pod, "status", "conditions")
    )


def runs(pod: Object, container: str) -> str | None:
    """The digest that a container of a pod runs; None before it ran, or when nobody can tell.

    A pinned image cannot be anything else; else what the runtime says counts, and never the tag.
    """
    status = next(
        (
            each
            for kind in ("containerStatuses", "initContainerStatuses")
            for each in raw.items(pod, "status", kind)
            if raw.text(each, "name") == container
        ),
        None,
    )
    said = raw.text(status, "imageID")
    if not said:
        return None
    asked = images_of({"spec": {"template": pod}}).get(container, "")
    return image.digest_of(asked) or image.digest_of(said)


def _revision(one: Object) -> int:
    return raw.number(raw.at(one, "metadata", "annotations", "deployment.kubernetes.io/revision")) or 0
