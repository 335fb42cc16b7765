"""The shape of ``.deploy/config.yaml``, each block a model. What one name means to another is checked in `checks`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.catalog.problems import BadValue
from bot.catalog.values import (
    Actions,
    Channel,
    Description,
    Duration,
    FormatVersion,
    HealthPath,
    Members,
    Names,
    OptionalChannel,
    OptionalNames,
)


class Block(BaseModel):
    """A part of the file: unknown keys are errors, and ``"5"`` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HealthBlock(Block):
    """How health is proven before a deployment counts as succeeded."""

    path: HealthPath = Field(default="/health", description="What is asked on every instance.")
    interval: Duration = Field(default=1.0, description="Time between two looks.")
    timeout: Duration = Field(default=2.0, description="Time that one look may take.")
    passes: int = Field(default=3, ge=1, le=100, description="Looks in a row that must all be healthy.")
    deadline: Duration = Field(default=60.0, description="Time within which that must have happened.")

    @model_validator(mode="after")
    def _can_pass(self) -> HealthBlock:
        if (self.passes - 1) * self.interval >= self.deadline:
            raise BadValue(
                f"can never pass: {self.passes} looks {self.interval:g} s apart do not fit in the deadline of "
                f"{self.deadline:g} s"
            )
        return self


class ProviderBlock(BaseModel):
    """A provider by its ``type``; the other keys are its options, which its own model checks."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    type: str = ""  # that it is needed is told with the types that there are, by `options`


class TargetBlock(ProviderBlock):
    """Where the service runs."""

    environments: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict, description="Options that differ by environment, laid over the others."
    )


class ServiceBlock(Block):
    """What can be deployed."""

    description: Description = Field(default="", description="What it is, for people.")
    channel: OptionalChannel = Field(default=None, description="Where its deployments are told, if elsewhere.")
    environments: OptionalNames = Field(default=None, description="Where it can be deployed; everywhere if left out.")
    target: TargetBlock
    images: ProviderBlock = Field(description="Where its versions come from.")
    health: HealthBlock = Field(default_factory=HealthBlock)
    deadline: Duration = Field(default=600.0, description="Time that a rollout may take.")


class DefaultsBlock(Block):
    """What services share; what a service says itself is laid over it."""

    channel: OptionalChannel = Field(default=None, description="Where deployments are told, if elsewhere.")
    environments: OptionalNames = Field(default=None, description="Where services can be deployed.")
    target: dict[str, Any] | None = Field(default=None, description="Target and options that services share.")
    images: dict[str, Any] | None = Field(default=None, description="Images and options that services share.")
    health: HealthBlock = Field(default_factory=HealthBlock)
    deadline: Duration = Field(default=600.0, description="Time that a rollout may take.")


class EnvironmentBlock(Block):
    """Where services run."""

    description: Description = Field(default="", description="What it is, for people.")
    protected: bool = Field(default=False, description="Never a default; buttons that change it ask twice.")
    lock: Literal["service", "environment"] = Field(
        default="service",
        description="What deploys one at a time: each service in it, or the whole environment.",
    )


class RuleBlock(Block):
    """Actions, and the services and environments that they are about."""

    actions: Actions = Field(min_length=1, description='Actions, or "*" for all of them.')
    services: Names = Field(default=["*"], description="Names or globs of services; all if left out.")
    environments: Names = Field(default=["*"], description="Names or globs of environments; all if left out.")


class RoleBlock(Block):
    """Some people and what they may do. Without a rule that allows it nobody may do anything."""

    members: Members = Field(min_length=1, description='User groups ("@handle" or S…) and people (U… or W…).')
    allow: list[RuleBlock] = Field(default=[], description="What they may do.")
    deny: list[RuleBlock] = Field(default=[], description="What they may not do, whatever another role allows.")

    @model_validator(mode="after")
    def _says_something(self) -> RoleBlock:
        if not self.allow and not self.deny:
            raise BadValue("the role is empty; give it a rule under 'allow' or 'deny'")
        return self


class CatalogFile(Block):
    """Services, where they run, and who may deploy them."""

    version: FormatVersion = Field(description="Version of this file's format.")
    channel: Channel = Field(description="Where deployments are told.")
    admin_channel: OptionalChannel = Field(default=None, description="Where operators are told what needs them.")
    environments: dict[str, EnvironmentBlock | None] = Field(min_length=1, description="Where services run.")
    defaults: DefaultsBlock | None = Field(default=None, description="What services share.")
    services: dict[str, ServiceBlock] = Field(min_length=1, description="What can be deployed.")
    roles: dict[str, RoleBlock] = Field(default={}, description="Who may do what, where.")
