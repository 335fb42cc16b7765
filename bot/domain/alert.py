"""Alerts that others raise, and which deployment one belongs to. Pure: nothing is held or rolled back here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.lifecycle import WAITING, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.ids import EnvironmentName, ServiceName

AFTERWARDS = timedelta(hours=1)
"""For how long after its success a deployment without a bake is what an alert is about."""
AHEAD = timedelta(minutes=5)
"""How far the clock of who raises alerts may be ahead of ours."""


class AlertSource(StrEnum):
    """Who tells of alerts."""

    ALERTMANAGER = "alertmanager"
    DATADOG = "datadog"


class AlertStatus(StrEnum):
    """What is told of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class AlertOutcome(StrEnum):
    """What became of what was told of an alert."""

    #: The deployment that it began after was told of it.
    ATTACHED = "attached"
    #: It is over, and the deployment was told so.
    RESOLVED = "resolved"
    #: It came before: the same alert with the same beginning and status.
    DUPLICATE = "duplicate"
    #: It has no service and environment of the catalog's among its labels.
    ELSEWHERE = "elsewhere"
    #: Nothing was deployed there, or what is over concerned no deployment.
    NO_DEPLOYMENT = "no_deployment"
    #: It began before the newest deployment there did.
    BEFORE = "before"
    #: The newest deployment there was over, or its bake, when it began.
    AFTER = "after"
    #: It says that it begins later than now.
    FUTURE = "future"
    #: Told again, or of something that is no beginning and no end of an alert.
    OTHER = "other"
    #: It could not be read.
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What was told of an alert."""

    source: AlertSource
    fingerprint: str
    """Names the alert at its source: ASCII without white space."""
    status: AlertStatus
    name: str
    service: ServiceName
    environment: EnvironmentName
    starts_at: datetime
    """When it began. Who cannot tell that of one that is over says when it ended."""
    received_at: datetime
    ended_at: datetime | None = None
    """When we heard that it is over."""

    @property
    def key(self) -> str:
        """Told again it has the same key."""
        return f"{self.source}:{self.fingerprint}:{self.starts_at.isoformat()}:{self.status}"


def began(deployment: Deployment) -> datetime | None:
    """When it took the place for itself; None while it waits, and for one that never did."""
    if deployment.phase in WAITING:
        return None
    found, before = None, None
    for moment in deployment.timeline:
        if moment.phase is Phase.DEPLOYING and (before is None or not before.holds_lock):
            found = moment.at
        before = moment.phase
    return found


def newest(history: Iterable[Deployment]) -> Deployment | None:
    """The newest that has begun, of deployments of one place, the newest first."""
    return next((one for one in history if began(one) is not None), None)


def outcome(alert: Alert, deployment: Deployment | None, service: Service | None) -> AlertOutcome:
    """Whether a firing alert belongs to ``deployment``, the newest in its place; ``service`` says how long it bakes."""
    if alert.starts_at > alert.received_at + AHEAD:
        return AlertOutcome.FUTURE
    begin = began(deployment) if deployment else None
    if deployment is None or begin is None:
        return AlertOutcome.NO_DEPLOYMENT
    if alert.starts_at < begin:
        return AlertOutcome.BEFORE
    if not deployment.phase.final:
        return AlertOutcome.ATTACHED
    succeeded = deployment.reached(Phase.SUCCEEDED)
    if succeeded is None or deployment.phase is Phase.ROLLED_BACK:
        return AlertOutcome.AFTER
    bakes = service is not None and service.bake > 0 and bool(service.checks)
    lasts = timedelta(seconds=service.bake) if service is not None and bakes else AFTERWARDS
    return AlertOutcome.ATTACHED if alert.starts_at <= succeeded.at + lasts else AlertOutcome.AFTER
