"""What the catalog may say about a New Relic account. Must not reach for it, nor for any secret."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from integrations._shared.addresses import Address
from integrations._shared.secrets import SecretRef

_ENDPOINTS = {"us": "https://api.newrelic.com", "eu": "https://api.eu.newrelic.com"}


class NewRelicOptions(BaseModel):
    """A New Relic account, asked by NerdGraph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: Annotated[int, Field(ge=1, le=2**31 - 1, description="The account's number.")]
    user_key: SecretRef = Field(description="A user key (NRAK-…), as env:NAME or file:/path.")
    region: Literal["us", "eu"] = Field("us", description="Where the account's data is kept.")
    address: Address | None = Field(
        None, description="Another address of NerdGraph, such as a relay; without /graphql."
    )
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the machine's.")
    timeout: Annotated[float, Field(gt=0, le=300, description="Seconds that one query may take, waiting included.")] = (
        30.0
    )
    entity: Annotated[
        str,
        Field(min_length=1, max_length=500, description="Which entity a deployment is shown at, as an entity search."),
    ] = "name = '{service}'"

    @property
    def endpoint(self) -> str:
        """Where NerdGraph is."""
        return f"{self.address or _ENDPOINTS[self.region]}/graphql"
