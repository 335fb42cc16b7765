"""A deployment with everything around it that people are shown: what renderers take and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.lifecycle import WAITING, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement, ProvenRelease
    from bot.domain.ids import DeploymentId


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Where a deployment stands in the queue of its environment."""

    position: int
    """1 is next."""
    length: int
    holder: Deployment | None
    """Who has the environment now."""
    ahead: Deployment | None
    """Who is directly in front in the queue."""
    expected_wait: float | None = None
    """Seconds, from how long the last deployments here took; None when there were none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """One deployment and its surroundings at one moment."""

    deployment: Deployment
    protected: bool = False
    """Whether its environment asks for more care."""
    queue: QueueView | None = None
    """Only while it waits for its turn."""
    current: bool = False
    """Whether what it brought is what the environment runs."""
    rollback_to: ProvenRelease | None = None
    """What *Roll back* would bring; None when there is nothing to go back to."""
    takes_back: Deployment | None = None
    """The deployment that this rollback takes back."""
    taken_back_by: Deployment | None = None
    """The rollback that takes this deployment back."""

    @property
    def can_abort(self) -> bool:
        """Whether an abort would be obeyed."""
        deployment = self.deployment
        return deployment.phase in WAITING or (
            deployment.phase.holds_lock and deployment.request is None and not deployment.phase.final
        )

    @property
    def can_roll_back(self) -> bool:
        """Whether a rollback can be asked for."""
        return self.current and self.deployment.phase is Phase.SUCCEEDED and self.rollback_to is not None

    @property
    def needs_decision(self) -> bool:
        """Whether a person must choose what happens next."""
        return self.deployment.phase is Phase.NEEDS_ATTENTION and self.deployment.request is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the Home tab shows to one person."""

    running: Sequence[DeploymentView]
    placements: Sequence[Placement]
    attention: Sequence[DeploymentId] = ()
    at: datetime
