"""What the catalog may say about previews. Must not reach for any cluster."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from integrations._shared.kube.names import Label, Name, is_label

_NUMBER, _SERVICE = "{number}", "{service}"
_PLAIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SYSTEM = ("kube-", "default", "openshift-")
LARGEST_NUMBER = 999_999_999


class PreviewedOptions(BaseModel):
    """One service of the template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workload: Name = Field(description="The Deployment in the template namespace.")
    container: Label | None = Field(None, description="Its container; not needed where it has one only.")


class PreviewsOptions(BaseModel):
    """Previews that are copies of one namespace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: str = Field(description="The cluster, by its name in clusters.")
    template: Label = Field(description="The namespace that is copied.")
    namespaces: str = Field(description="What previews are called, such as shop-pr-{number}.")
    address: str = Field(description="Where a service is found, such as https://{service}-pr-{number}.example.com.")
    services: Annotated[dict[str, PreviewedOptions], Field(min_length=1, max_length=50)] = Field(
        description="Which Deployment of the template each service is."
    )
    secrets: tuple[Name, ...] = Field((), description="The Secrets that are copied too; no others are.")
    most: Annotated[int, Field(ge=1, le=500, description="How many previews there may be at once.")] = 10
    owner: str = Field(
        "deployment-architect", description="Whose previews they are; two bots on one cluster need two names."
    )

    @field_validator("namespaces")
    @classmethod
    def _names(cls, value: str) -> str:
        if value.count(_NUMBER) != 1 or not all(is_label(value.replace(_NUMBER, str(n))) for n in (1, LARGEST_NUMBER)):
            raise ValueError("must be the name of a namespace with {number} in it once, such as shop-pr-{number}")
        before = value.partition(_NUMBER)[0]
        if not before or before[-1].isdigit() or before.startswith(_SYSTEM):
            raise ValueError("must begin with letters of its own before {number}, such as shop-pr-{number}")
        return value

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        filled = value.replace(_NUMBER, "1").replace(_SERVICE, "a")
        if _NUMBER not in value or not _PLAIN.fullmatch(filled):
            raise ValueError(
                "must be an address with {number} in it, such as https://{service}-pr-{number}.example.com"
            )
        return value

    @field_validator("owner")
    @classmethod
    def _label_value(cls, value: str) -> str:
        if not _OWNER.fullmatch(value):
            raise ValueError("must be letters, digits, dots, hyphens and underscores, 63 at most")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.number_of(self.template) is not None:
            raise ValueError("the template must not be called as previews are")
        return self

    def namespace(self, number: int) -> str:
        """What the preview of a pull request is called."""
        return self.namespaces.replace(_NUMBER, str(number))

    def number_of(self, namespace: str) -> int | None:
        """Whose preview a namespace of that name is; None if it cannot be one."""
        before, _, after = self.namespaces.partition(_NUMBER)
        found = re.fullmatch(re.escape(before) + r"([1-9][0-9]{0,8})" + re.escape(after), namespace)
        return int(found[1]) if found else None

    def address_of(self, service: str, number: int) -> str:
        """Where a service is found in the preview of a pull request."""
        name = re.sub(r"[^a-z0-9-]+", "-", service.lower()).strip("-")
        return self.address.replace(_SERVICE, name).replace(_NUMBER, str(number))
