"""The shape of ``.deploy/config.yaml``, each block a model. What one name means to another is checked in `checks`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bot.catalog.blocks import STRICT, NeverNull, something
from bot.catalog.problems import BadValue
from bot.catalog.quantities import Bake
from bot.catalog.rollout_schema import MOST_CHECKS, CheckBlock, StrategyBlock
from bot.catalog.times import LongDuration, OptionalRule, OptionalZone, WindowName, Zone
from bot.catalog.values import (
    AllowedActions,
    Channel,
    DeniedActions,
    Description,
    Duration,
    FormatVersion,
    HealthPath,
    Members,
    Names,
    OptionalChannel,
    OptionalEnvironment,
    OptionalGroup,
    OptionalNames,
    OptionalStrategy,
    SomeNames,
    StrategyName,
)


class Block(BaseModel):
    """A part of the file."""

    model_config = STRICT


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


class RolloutBlock(Block):
    """How it is rolled out and watched, as a service says itself or all of them share."""

    health: HealthBlock = Field(default_factory=HealthBlock)
    deadline: Duration = Field(default=600.0, description="Time that a rollout, or a step of it, may take.")
    strategy: StrategyName = Field(default="rolling", description="How a release takes the place of another.")
    checks: SomeNames = Field(
        default=[], max_length=MOST_CHECKS, description="What is watched during a rollout and after it."
    )
    bake: Bake = Field(default=0.0, description="Time for which the checks are watched after a deployment.")
    countdown: Bake = Field(
        default=60.0, description="Time between checks that fail and the automatic rollback; 0 for at once."
    )


class ServiceBlock(RolloutBlock):
    """What can be deployed."""

    description: Description = Field(default="", description="What it is, for people.")
    channel: OptionalChannel = Field(default=None, description="Where its deployments are told, if elsewhere.")
    environments: OptionalNames = Field(default=None, description="Where it can be deployed; everywhere if left out.")
    target: TargetBlock
    images: ProviderBlock = Field(description="Where its versions come from.")


class DefaultsBlock(RolloutBlock):
    """What services share; what a service says itself is laid over it."""

    channel: OptionalChannel = Field(default=None, description="Where deployments are told, if elsewhere.")
    environments: OptionalNames = Field(default=None, description="Where services can be deployed.")
    target: dict[str, Any] | None = Field(default=None, description="Target and options that services share.")
    images: dict[str, Any] | None = Field(default=None, description="Images and options that services share.")


class ApprovalBlock(Block):
    """Who must say yes before a deployment begins."""

    quorum: int = Field(default=1, ge=1, le=20, description="People who must say yes, beside whoever asked.")
    group: OptionalGroup = Field(default=None, description="A user group of which one of them must be.")
    fallback: OptionalGroup = Field(
        default=None, description="The user group that is asked too when three quarters of the time are over."
    )
    expires: LongDuration = Field(default=1800.0, description="Time after which the request is void.")

    @model_validator(mode="after")
    def _falls_somewhere(self) -> ApprovalBlock:
        if self.fallback is not None and self.fallback == self.group:
            raise BadValue(f"'group' and 'fallback' are both {self.group}; leave 'fallback' out or name another group")
        return self


class WindowBlock(Block):
    """A time that recurs, within which deployments may begin, or may not."""

    name: WindowName = Field(description="What people are told when it keeps them out.")
    allow: OptionalRule = Field(
        default=None, description="Cron or RRULE: when a time begins outside of which nothing may begin."
    )
    deny: OptionalRule = Field(
        default=None, description="Cron or RRULE: when a time begins within which nothing may begin."
    )
    duration: LongDuration = Field(alias="for", description="How long it lasts from then on, in elapsed time.")
    zone: OptionalZone = Field(default=None, description="Time zone of the rule; the catalog's if left out.")
    services: Names = Field(default=["*"], description="Names or globs of services; all if left out.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> WindowBlock:
        if self.allow is not None and self.deny is not None:
            raise BadValue("'allow' and 'deny' are both there; make two windows of it")
        if self.allow is None and self.deny is None:
            raise BadValue("'allow' or 'deny' is missing: when it begins, such as \"0 9 * * 1-5\"")
        return self


class EnvironmentBlock(Block):
    """Where services run."""

    description: Description = Field(default="", description="What it is, for people.")
    protected: bool = Field(default=False, description="Never a default; buttons that change it ask twice.")
    lock: Literal["service", "environment"] = Field(
        default="service",
        description="What deploys one at a time: each service in it, or the whole environment.",
    )
    after: OptionalEnvironment = Field(
        default=None, description="Where a release must have succeeded before it may come here."
    )
    approval: Annotated[
        ApprovalBlock | None,
        BeforeValidator(something("write {} for one person within 30 minutes, or leave it out")),
        NeverNull(),
    ] = Field(default=None, description="Who must say yes first; nobody if left out.")
    queue: Literal["all", "newest"] = Field(
        default="all",
        description="What waits of one service: all go one after the other, or a newer one takes their place.",
    )
    windows: list[WindowBlock] = Field(default=[], description="When deployments may begin; at any time if left out.")
    strategy: OptionalStrategy = Field(
        default=None, description="How releases come here, whatever the services themselves say."
    )
    freeze_running: Literal["continue", "pause", "abort"] = Field(
        default="continue", description="What a freeze does to a deployment that has changed something already."
    )


class RuleBlock(Block):
    """Services and environments that actions are about."""

    services: Names = Field(default=["*"], description="Names or globs of services; all if left out.")
    environments: Names = Field(default=["*"], description="Names or globs of environments; all if left out.")


class AllowBlock(RuleBlock):
    """Actions that are allowed, and the services and environments that they are about."""

    actions: AllowedActions = Field(
        description='Actions, or "*" for all except break_glass, override_freeze and configure, which must be named.'
    )


class DenyBlock(RuleBlock):
    """Actions that are denied, and the services and environments that they are about."""

    actions: DeniedActions = Field(description='Actions, or "*" for all of them without exception.')


class RoleBlock(Block):
    """Some people or service accounts and what they may do. Without a rule that allows it nobody may do anything."""

    members: Members = Field(
        min_length=1, description='User groups ("@handle" or S…), people (U… or W…) and service accounts (sa:name).'
    )
    allow: list[AllowBlock] = Field(default=[], description="What they may do.")
    deny: list[DenyBlock] = Field(default=[], description="What they may not do, whatever another role allows.")

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
    security_channel: OptionalChannel = Field(
        default=None, description="Where it is told that somebody broke the glass; the admin channel if left out."
    )
    zone: Zone = Field(default="UTC", description="Time zone of times that nobody gave one.")
    environments: dict[str, EnvironmentBlock | None] = Field(min_length=1, description="Where services run.")
    metrics: dict[str, ProviderBlock] = Field(default={}, description="Where numbers about releases come from.")
    clusters: dict[str, ProviderBlock] = Field(default={}, description="How Kubernetes clusters are reached, by name.")
    previews: dict[str, ProviderBlock] = Field(
        default={}, description="Where changes are looked at before they are merged, by name."
    )
    checks: dict[str, CheckBlock] = Field(default={}, description="What can be watched, by name.")
    strategies: dict[str, StrategyBlock] = Field(
        default={}, description="How releases can take the place of others, by name; rolling is always there."
    )
    defaults: DefaultsBlock | None = Field(default=None, description="What services share.")
    services: dict[str, ServiceBlock] = Field(min_length=1, description="What can be deployed.")
    roles: dict[str, RoleBlock] = Field(default={}, description="Who may do what, where.")
