"""What the catalog may say about a service that runs as Deployments in a cluster. Must not need a vendor's package."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from integrations._shared.kube.names import Name
from integrations._shared.workloads.options import Deadline, PlacedOptions, ProbePort, WorkloadOptions


class KubernetesOptions(PlacedOptions):
    """One Deployment, or several that are one release, in a namespace of a cluster."""

    workload: Name | None = Field(default=None, description="Name of the Deployment.")
    workloads: list[WorkloadOptions] = Field(
        default=[], max_length=20, description="Several Deployments that are one release, in the order of their change."
    )
    deadline: Deadline = None
    on_trouble: Literal["wait", "fail"] = Field(
        default="wait",
        description="Whether pods that cannot pull, start or be placed fail the rollout before the cluster gives up.",
    )
    probe_port: ProbePort = None

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if (self.workload is None) == (not self.workloads):
            raise ValueError("give either workload or workloads")
        if self.workloads and self.named:
            raise ValueError("give the containers with each of the workloads")
        names = [each.name for each in self.workloads]
        if len(set(names)) != len(names):
            raise ValueError("workloads names one of them twice")
        return self

    @property
    def every(self) -> tuple[WorkloadOptions, ...]:
        """All Deployments of the release."""
        return tuple(self.workloads) if self.workload is None else (self.of(self.workload),)
