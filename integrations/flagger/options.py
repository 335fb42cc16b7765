"""What the catalog may say about a service that Flagger rolls out. Must not need a vendor's package."""

from __future__ import annotations

from pydantic import Field

from integrations._shared.kube.names import Name
from integrations._shared.workloads.options import PlacedOptions, ProbePort


class FlaggerOptions(PlacedOptions):
    """A Canary in a namespace of a cluster, and which containers of its Deployment run the release."""

    canary: Name = Field(description="Name of the Canary.")
    workload: Name | None = Field(
        default=None, description="Name of the Deployment in its targetRef; that of the Canary if not given."
    )
    probe_port: ProbePort = None
    analyse_rollbacks: bool = Field(
        default=False,
        description="Whether Flagger analyses a rollback as it does a new release; else it promotes it at once, since "
        "it was proven there before.",
    )

    @property
    def target(self) -> str:
        """The Deployment that is changed."""
        return self.workload or self.canary

    @property
    def primary(self) -> str:
        """The Deployment that Flagger makes of it, which gets the traffic."""
        return f"{self.target}-primary"
