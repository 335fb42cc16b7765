"""Facts about what has been: events of a deployment, and releases that were proven healthy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor, Door
    from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
    from bot.domain.lifecycle import Phase
    from bot.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a deployment, written in the same transaction as its effect."""

    deployment: DeploymentId
    key: str
    """Names the act: the same act repeated after a crash finds its own key and changes nothing."""
    kind: str
    actor: Actor
    at: datetime
    before: Phase | None = None
    after: Phase | None = None
    note: str = ""
    door: Door | None = None
    """Through what it came in; None: nobody said."""
    rule: str = ""
    """The policy row that allowed it."""
    override: bool = False
    """It was done although a gate said no."""
    permalink: str = ""
    """Of the message that it was done with."""
    sequence: int = 0
    """Order of all events; given by the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenRelease:
    """A release that was proven healthy in an environment."""

    service: ServiceName
    environment: EnvironmentName
    release: Release
    proven_at: datetime
    deployment: DeploymentId | None
    """The deployment that brought it; None when it already ran before the bot came."""
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What runs in one environment of a service, as far as the bot knows."""

    service: ServiceName
    environment: EnvironmentName
    release: Release
    since: datetime
    deployment: DeploymentId | None
    by: Actor


@dataclass(frozen=True, slots=True)
class Touch:
    """A person started a deployment, or acted on one that was there."""

    deployment_id: str
    started: bool
