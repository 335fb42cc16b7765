"""What the catalog may say about a service that runs as Deployments in a cluster. Must not need a vendor's package."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations._shared.kube.names import Label, Name


class WorkloadOptions(BaseModel):
    """One Deployment, and which of its containers run the release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="Name of the Deployment.")
    container: Label | None = Field(
        default=None, description="Container that runs the release; its only one if not given."
    )
    containers: list[Label] = Field(
        default=[], max_length=20, description="Several containers that run the release, init containers among them."
    )

    @model_validator(mode="after")
    def _one_way(self) -> WorkloadOptions:
        if self.container is not None and self.containers:
            raise ValueError("give container or containers, not both")
        if len(set(self.containers)) != len(self.containers):
            raise ValueError("containers names one of them twice")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The containers that run the release; empty: its only one."""
        return (self.container,) if self.container is not None else tuple(self.containers)


class KubernetesOptions(BaseModel):
    """One Deployment, or several that are one release, in a namespace of a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: Annotated[str, Field(min_length=1, max_length=100, description="Name of the cluster, as in `clusters`.")]
    namespace: Label = Field(description="Namespace of the Deployments.")
    workload: Name | None = Field(default=None, description="Name of the Deployment.")
    container: Label | None = Field(
        default=None, description="Container that runs the release; its only one if not given."
    )
    containers: list[Label] = Field(
        default=[], max_length=20, description="Several containers that run the release, init containers among them."
    )
    workloads: list[WorkloadOptions] = Field(
        default=[], max_length=20, description="Several Deployments that are one release, in the order of their change."
    )
    deadline: Annotated[
        float | None,
        Field(
            gt=0,
            le=86400,
            description="Seconds without progress after which it is not waited for any longer; never less than the "
            "cluster's own deadline and half a minute.",
        ),
    ] = None
    owned_elsewhere: Literal["warn", "refuse"] = Field(
        default="warn", description="What to do when Helm, Argo CD or Flux own the image and would put theirs back."
    )
    on_trouble: Literal["wait", "fail"] = Field(
        default="wait",
        description="Whether pods that cannot pull, start or be placed fail the rollout before the cluster gives up.",
    )
    log_lines: Annotated[int, Field(ge=0, le=20, description="Lines of a crashing container's log that are shown.")] = 5
    probe_port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65535,
            description="Port at which pods are asked for the health path, through the API server; needs `get` on "
            "`pods/proxy`. Without it their readiness is what counts.",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> KubernetesOptions:
        if (self.workload is None) == (not self.workloads):
            raise ValueError("give either workload or workloads")
        if self.workloads and (self.container is not None or self.containers):
            raise ValueError("give the containers with each of the workloads")
        names = [each.name for each in self.workloads]
        if len(set(names)) != len(names):
            raise ValueError("workloads names one of them twice")
        if self.workload is not None:
            WorkloadOptions(name=self.workload, container=self.container, containers=self.containers)
        return self

    @property
    def every(self) -> tuple[WorkloadOptions, ...]:
        """All Deployments of the release."""
        if self.workload is None:
            return tuple(self.workloads)
        return (WorkloadOptions(name=self.workload, container=self.container, containers=self.containers),)
