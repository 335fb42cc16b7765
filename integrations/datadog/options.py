"""What the catalog may say about a Datadog organisation. Must not reach for it, nor for any secret."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from integrations._shared.addresses import Address
from integrations._shared.secrets import SecretRef

Site = Literal[
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "ddog-gov.com",
]


class DatadogOptions(BaseModel):
    """A Datadog organisation at one of its sites."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Site = Field("datadoghq.com", description="The site that the organisation is at.")
    api_key: SecretRef = Field(description="An API key, as env:NAME or file:/path.")
    app_key: SecretRef = Field(
        description="An application key with the scopes timeseries_query and monitors_read, as env:NAME or file:/path."
    )
    address: Address | None = Field(None, description="Another address of the API, such as a relay.")
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one query may take.")] = 10.0
    reduce: Literal["mean", "sum", "max", "min", "last"] = Field(
        "mean", description="How the points of the window become one number."
    )
    dora: bool = Field(True, description="Whether deployments are told to DORA Metrics too.")

    @property
    def endpoint(self) -> str:
        """Where the API is."""
        return self.address or f"https://api.{self.site}"
