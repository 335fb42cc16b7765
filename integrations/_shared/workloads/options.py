"""What the catalog may say about anything that runs as pods. Must not need a vendor's package."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations._shared.kube.names import Label, Name

Deadline = Annotated[
    float | None,
    Field(
        gt=0,
        le=86400,
        description="Seconds without progress after which it is not waited for any longer; never less than the "
        "workload's own deadline and half a minute.",
    ),
]
ProbePort = Annotated[
    int | None,
    Field(
        ge=1,
        le=65535,
        description="Port at which pods are asked for the health path, through the API server; needs `get` on "
        "`pods/proxy`. Without it their readiness is what counts.",
    ),
]


class ContainerOptions(BaseModel):
    """Which containers run the release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    container: Label | None = Field(
        default=None, description="Container that runs the release; its only one if not given."
    )
    containers: list[Label] = Field(
        default=[], max_length=20, description="Several containers that run the release, init containers among them."
    )

    @model_validator(mode="after")
    def _named_one_way(self) -> Self:
        if self.container is not None and self.containers:
            raise ValueError("give container or containers, not both")
        if len(set(self.containers)) != len(self.containers):
            raise ValueError("containers names one of them twice")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The containers that run the release; empty: its only one."""
        return (self.container,) if self.container is not None else tuple(self.containers)


class WorkloadOptions(ContainerOptions):
    """One workload, and which of its containers run the release."""

    name: Name = Field(description="Name of the Deployment.")


class PlacedOptions(ContainerOptions):
    """Where it runs, who else may change it, and how much is told when it fails."""

    cluster: Annotated[str, Field(min_length=1, max_length=100, description="Name of the cluster, as in `clusters`.")]
    namespace: Label = Field(description="Namespace of all that is changed.")
    owned_elsewhere: Literal["warn", "refuse"] = Field(
        default="warn", description="What to do when Helm, Argo CD or Flux own the image and would put theirs back."
    )
    log_lines: Annotated[int, Field(ge=0, le=20, description="Lines of a crashing container's log that are shown.")] = 5

    def of(self, name: str) -> WorkloadOptions:
        """The same containers of the workload ``name``."""
        return WorkloadOptions(name=name, container=self.container, containers=self.containers)
