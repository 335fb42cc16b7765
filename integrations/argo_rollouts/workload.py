"""One Rollout, or the Deployment that it takes its template from. Reading only, and it judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.names import path_to
from integrations._shared.workloads.options import WorkloadOptions
from integrations._shared.workloads.workload import Workload, selector

if TYPE_CHECKING:
    from integrations._shared.kube.raw import Object

API = "argoproj.io/v1alpha1"
HASH = "rollouts-pod-template-hash"


@dataclass(frozen=True, slots=True)
class RolloutWorkload(Workload):
    """Where one Rollout is, and which of its containers run the release."""

    @property
    def path(self) -> str:
        """Where it is."""
        return path_to(API, "rollouts", namespace=self.namespace, name=self.name)

    @property
    def status_path(self) -> str:
        """Where its status is written; anywhere else that is ignored without a word."""
        return path_to(API, "rollouts", namespace=self.namespace, name=self.name, subresource="status")

    @property
    def all_path(self) -> str:
        """Where all are; only with `field` may we list and watch there."""
        return path_to(API, "rollouts", namespace=self.namespace)

    async def there(self) -> Object:
        """The Rollout as it is now; raises `ProviderRejected` when there is none."""
        found = await self.read()
        if found is None:
            raise ProviderRejected(
                f"There is no Rollout {self.name} in namespace {self.namespace} of the cluster {self.kube.cluster}; "
                "create it first, the bot only changes what is there.",
                provider=PROVIDER,
            )
        return found

    async def pods(self, one: Object) -> list[Object]:
        """Its pods that are not on their way out."""
        found, _ = await self.kube.list(path_to("v1", "pods", namespace=self.namespace), label=selector(one))
        return [pod for pod in found if self._mine(pod) and raw.at(pod, "metadata", "deletionTimestamp") is None]

    def holder(self, one: Object) -> Workload:
        """What its template stands in: itself, or the Deployment that it refers to."""
        reference = raw.at(one, "spec", "workloadRef")
        if not isinstance(reference, dict):
            return self
        if raw.text(reference, "kind") != "Deployment":
            raise ProviderRejected(
                f"The Rollout {self.name} takes its template from something else than a Deployment.", provider=PROVIDER
            )
        return Workload(
            self.kube,
            self.namespace,
            WorkloadOptions(name=raw.text(reference, "name"), containers=list(self.options.named)),
        )

    async def both(self) -> tuple[Object, Workload, Object]:
        """The Rollout, where its template stands, and what stands there: read once where that is the Rollout itself.

        Raises `ProviderRejected` when either is missing.
        """
        one = await self.there()
        holder = self.holder(one)
        return one, holder, one if holder is self else await holder.there()

    def _mine(self, pod: Object) -> bool:
        wanted = f"{self.name}-{raw.text(pod, 'metadata', 'labels', HASH)}"
        return any(
            raw.text(owner, "kind") == "ReplicaSet" and raw.text(owner, "name") == wanted
            for owner in raw.items(pod, "metadata", "ownerReferences")
        )
