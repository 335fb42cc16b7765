"""A recorded exception: one deployment of one artifact passes what would hold it, once. Who may is said elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName


class OverrideKind(StrEnum):
    """How much the exception passes."""

    #: Freezes and closed windows; takes a second person.
    FREEZE = "freeze"
    #: Freezes, windows, locks and approval. Never who may, what is promoted, what is there, nor the place's own lock.
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """An exception that somebody asked for."""

    id: str
    kind: OverrideKind
    service: ServiceName
    environment: EnvironmentName
    digest: str
    """The artifact that it is for, and no other."""
    by: Actor
    reason: str
    at: datetime
    until: datetime
    """When it is void if nobody used it."""
    seconded_by: Actor | None = None
    """The second person, who agreed: neither who asked for it nor who asked for the deployment."""
    used_by: DeploymentId | None = None
    """The deployment that used it; it is of no use to another."""
    reviewed_by: Actor | None = None
    """Who has looked at it afterwards."""

    def covers(
        self,
        *,
        service: ServiceName,
        environment: EnvironmentName,
        digest: str,
        deployment: DeploymentId | None,
        requester: Actor,
        at: datetime,
    ) -> bool:
        """Whether this deployment may pass by it at ``at``. Of a freeze, only once a second person has agreed."""
        spent = self.used_by is not None and self.used_by != deployment
        fits = (self.service, self.environment, self.digest) == (service, environment, digest)
        # Used in time, it stays good for the deployment that used it until that one is done.
        # It counts as soon as it is there: when it was made is by the clock of who made it, which may run ahead.
        in_time = at < self.until or (self.used_by is not None and not spent)
        return fits and in_time and not spent and bool(self.reason.strip()) and self._agreed(requester)

    def _agreed(self, requester: Actor) -> bool:
        if self.kind is OverrideKind.BREAK_GLASS:
            return True
        second = self.seconded_by
        return second is not None and not second.same_as(self.by) and not second.same_as(requester)

    @property
    def sentence(self) -> str:
        """Who passed what, and why."""
        what = "broke the glass" if self.kind is OverrideKind.BREAK_GLASS else "overrides the freeze"
        second = f" with {self.seconded_by.name}" if self.seconded_by else ""
        return f"{self.by.name} {what}{second}: {self.reason}"
