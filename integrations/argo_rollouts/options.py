"""What the catalog may say about a service that runs as an Argo Rollout. Must not need a vendor's package."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations._shared.kube.names import Label, Name


class ArgoRolloutsOptions(BaseModel):
    """One Rollout in a namespace of a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: Annotated[str, Field(min_length=1, max_length=100, description="Name of the cluster, as in `clusters`.")]
    namespace: Label = Field(description="Namespace of the Rollout.")
    rollout: Name = Field(description="Name of the Rollout.")
    container: Label | None = Field(
        default=None, description="Container that runs the release; its only one if not given."
    )
    containers: list[Label] = Field(
        default=[], max_length=20, description="Several containers that run the release, init containers among them."
    )
    deadline: Annotated[
        float | None,
        Field(
            gt=0,
            le=86400,
            description="Seconds without progress after which it is not waited for any longer; never less than the "
            "Rollout's own deadline and half a minute.",
        ),
    ] = None
    owned_elsewhere: Literal["warn", "refuse"] = Field(
        default="warn", description="What to do when Helm, Argo CD or Flux own the image and would put theirs back."
    )
    log_lines: Annotated[int, Field(ge=0, le=20, description="Lines of a crashing container's log that are shown.")] = 5

    @model_validator(mode="after")
    def _one_way(self) -> ArgoRolloutsOptions:
        if self.container is not None and self.containers:
            raise ValueError("give container or containers, not both")
        if len(set(self.containers)) != len(self.containers):
            raise ValueError("containers names one of them twice")
        return self
