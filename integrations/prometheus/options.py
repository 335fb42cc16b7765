"""What the catalog may say about a Prometheus server. Must not reach for it, nor for any secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from integrations._shared.addresses import Address
from integrations._shared.secrets import SecretRef

_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_SECRET = {"authorization", "proxy-authorization", "cookie"}


class PrometheusOptions(BaseModel):
    """A server that answers PromQL at ``/api/v1/query``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address = Field(description="Where the server is, with the path before /api/v1 if there is one.")
    bearer: SecretRef | None = Field(None, description="The bearer token, as env:NAME or file:/path.")
    username: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-9;-~]+$")] | None = Field(
        None, description="The user for basic authentication."
    )
    password: SecretRef | None = Field(
        None, description="The password for basic authentication, as env:NAME or file:/path."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers that are no secret, such as X-Scope-OrgID."
    )
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the machine's.")
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one query may take.")] = 10.0
    accept_warnings: bool = Field(
        False, description="Whether an answer counts that the server itself warns about, such as a partial one."
    )

    @field_validator("headers")
    @classmethod
    def _plain(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _HEADER.fullmatch(name):
                raise ValueError("a header's name has letters, digits and hyphens only")
            if name.lower() in _SECRET:
                raise ValueError(f"{name} is a secret; use bearer, or username and password")
            if not text.isascii() or not text.isprintable():
                raise ValueError(f"the value of {name} has characters in it that cannot be sent")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.bearer is not None and self.username is not None:
            raise ValueError("give either bearer, or username and password")
        return self
