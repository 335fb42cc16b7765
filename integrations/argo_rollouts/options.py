"""What the catalog may say about a service that runs as an Argo Rollout. Must not need a vendor's package."""

from __future__ import annotations

from pydantic import Field

from integrations._shared.kube.names import Name
from integrations._shared.workloads.options import Deadline, PlacedOptions


class ArgoRolloutsOptions(PlacedOptions):
    """One Rollout in a namespace of a cluster."""

    rollout: Name = Field(description="Name of the Rollout.")
    deadline: Deadline = None
