"""What the catalog may say about a service that Flagger rolls out. Must not need a vendor's package."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations._shared.kube.names import Label, Name
from integrations.kubernetes.options import WorkloadOptions


class FlaggerOptions(BaseModel):
    """A Canary in a namespace of a cluster, and which containers of its Deployment run the release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: Annotated[str, Field(min_length=1, max_length=100, description="Name of the cluster, as in `clusters`.")]
    namespace: Label = Field(description="Namespace of the Canary and of its Deployment.")
    canary: Name = Field(description="Name of the Canary.")
    workload: Name | None = Field(
        default=None, description="Name of the Deployment in its targetRef; that of the Canary if not given."
    )
    container: Label | None = Field(
        default=None, description="Container that runs the release; its only one if not given."
    )
    containers: list[Label] = Field(
        default=[], max_length=20, description="Several containers that run the release, init containers among them."
    )
    owned_elsewhere: Literal["warn", "refuse"] = Field(
        default="warn", description="What to do when Helm, Argo CD or Flux own the image and would put theirs back."
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
    def _one_way(self) -> FlaggerOptions:
        self.of(self.target)
        return self

    @property
    def target(self) -> str:
        """The Deployment that is changed."""
        return self.workload or self.canary

    @property
    def primary(self) -> str:
        """The Deployment that Flagger makes of it, which gets the traffic."""
        return f"{self.target}-primary"

    def of(self, name: str) -> WorkloadOptions:
        """Either of both."""
        return WorkloadOptions(name=name, container=self.container, containers=self.containers)
