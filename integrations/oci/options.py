"""What the catalog may say about a repository of images. Must not reach for it, nor for any secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from integrations._shared.secrets import SecretRef
from integrations.oci.reference import MARK, Repository

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_TAG_PARTS = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,99})?\{version\}[A-Za-z0-9._-]{0,100}")


def _is_repository(value: str) -> str:
    Repository.read(value)
    return value


class OciOptions(BaseModel):
    """A repository of a registry, each of whose tags is a version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[str, AfterValidator(_is_repository)] = Field(
        description="The repository with its registry, such as ghcr.io/acme/checkout."
    )
    tag: str = Field(
        MARK, description="How a version is written as a tag; v{version} makes the tag v1.2 of the version 1.2."
    )
    username: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-9;-~]+$")] | None = Field(
        None, description="The user; nobody in particular if there is none."
    )
    password: SecretRef | None = Field(
        None, description="The password or token of the user, as env:NAME or file:/path."
    )
    token_hosts: tuple[str, ...] = Field(
        (), description="Further hosts to which the registry may send the bot, and its password, for a token."
    )
    insecure: bool = Field(False, description="Whether the registry speaks plain http.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the machine's.")
    timeout: Annotated[float, Field(gt=0, le=120, description="Seconds that one call may take.")] = 10.0

    @field_validator("tag")
    @classmethod
    def _one_version(cls, value: str) -> str:
        if not _TAG_PARTS.fullmatch(value):
            raise ValueError("must hold {version} once, and else only what tags are made of, as in v{version}")
        return value

    @field_validator("token_hosts")
    @classmethod
    def _only_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("must be names of hosts, such as auth.example.com, without https:// and without a port")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.insecure and self.username is not None and not Repository.read(self.repository).is_here:
            raise ValueError("a password is not sent over plain http, except to this machine itself")
        return self
