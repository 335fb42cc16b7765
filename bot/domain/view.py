"""A deployment with everything around it that people are shown: what renderers take and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.lifecycle import WAITING, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.alert import Alert
    from bot.domain.analysis.check import Check
    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement, ProvenRelease
    from bot.domain.ids import DeploymentId
    from bot.domain.metric import Point, Track
    from bot.domain.policy.approval import ApprovalRule, Tally
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.gates import GateResult
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.override import Override
    from bot.domain.policy.window import WindowDecision
    from bot.domain.release import Release
    from bot.domain.schedule import Schedule
    from bot.domain.strategy.plan import PlannedStep


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
class ApprovalView:
    """How far the approval of a deployment has come."""

    tally: Tally
    rule: ApprovalRule
    subject: str
    """The hash of what is approved; buttons carry it, so that nobody approves what they did not see."""
    asked_at: datetime
    escalated: bool = False
    """The fallback group was asked too."""
    nudged: bool = False
    asked: Sequence[str] = ()
    """Ids of the people who may approve it, at most a few: they are told one by one."""
    void: str = ""
    """Why what was approved before does not count any more; empty when nothing was voided."""
    never: str = ""
    """Why there can never be enough approvals as things are, one clause; empty where there can."""

    @property
    def expires_at(self) -> datetime:
        """When it is too late."""
        return self.rule.expires_at(self.asked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is known of a deployment before it begins, beside what its plan says."""

    downgrade: bool = False
    """What runs now was asked for later than this release was first proven there, or has a higher version."""
    current: Release | None = None
    """What runs there, as far as the bot knows."""
    gates: tuple[GateResult, ...] = ()
    """What every gate says now, in order."""
    usual: float | None = None
    """Seconds that the last deployments of this service there took at the median."""
    failure_rate: float | None = None
    """Of the last deployments of this service there, the part that failed or was rolled back: 0 to 1."""
    counted: int = 0
    """From how many deployments that was reckoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """One deployment and its surroundings at one moment."""

    deployment: Deployment
    protected: bool = False
    """Whether its environment asks for more care."""
    queue: QueueView | None = None
    """Only while it waits for its turn."""
    approval: ApprovalView | None = None
    """While it waits for approval, and who gave it afterwards; None where nobody is asked."""
    schedule: Schedule | None = None
    """Only while it waits for its time."""
    forecast: Forecast | None = None
    """Until the change begins."""
    blocking: Sequence[StickyLock] = ()
    """The locks that hold it; only while it is held by one."""
    overrides: Sequence[Override] = ()
    """The exceptions that it uses."""
    steps: Sequence[PlannedStep] = ()
    """The steps of its strategy; empty for one that the target does in one go."""
    checks: Sequence[Check] = ()
    """What is watched while it is rolled out and afterwards."""
    readings: Mapping[str, Mapping[Track, Sequence[Point]]] = field(default_factory=dict)
    """By check and track: what was read of it so far; only for a rollout whose checks are looked at."""
    alerts: Sequence[Alert] = ()
    """What others have raised since it began, the oldest first."""
    reminded: bool = False
    """People have left the question of the rollout unanswered for so long that they are reminded of it."""
    escalated: bool = False
    """They were reminded, and others are asked as well."""
    bakes_until: datetime | None = None
    """Until when it is watched after its success; None when it is not, or not any more."""
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
    to_approve: Sequence[DeploymentId] = ()
    """Those that the viewer may approve and has not."""
    locks: Sequence[StickyLock] = ()
    freezes: Sequence[Freeze] = ()
    scheduled: Sequence[Schedule] = ()
    windows: Sequence[tuple[str, WindowDecision]] = ()
    """Of each environment that has windows: whether it is open, and when that changes. Names the services too where
    they have not all the same windows."""
    to_review: Sequence[Override] = ()
    """Broken glass that nobody has looked at yet and that the viewer may review."""
