"""What the catalog may say about an HTTP probe. Must not reach for anything."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from integrations._shared.addresses import Address


class HttpProbeOptions(BaseModel):
    """Asks a service for a path several times in a row. The query is the path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address = Field(description="Where the service is. Nothing else is ever asked.")
    canary_address: Address | None = Field(None, description="Where its canary is, if it has an address of its own.")
    measure: Literal["latency", "errors", "status"] = Field(
        "latency",
        description="latency: seconds until half of the good answers were there; errors: percent of the probes that "
        "were not answered 2xx or 3xx; status: the worst class of status, 2 to 5, 5 where there was no answer.",
    )
    probes: Annotated[int, Field(ge=1, le=100, description="How often one reading asks.")] = 5
    pause: Annotated[float, Field(ge=0, le=10, description="Seconds between two probes.")] = 0.1
    timeout: Annotated[float, Field(gt=0, le=30, description="Seconds within which a probe must be answered.")] = 2.0
