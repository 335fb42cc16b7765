"""What somebody wants, typed and complete. Says nothing about whether it may or can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.lock import ChangeType, LockLevel

if TYPE_CHECKING:
    from bot.domain.grammar.verbs import Verb
    from bot.domain.policy.access import Action
    from bot.domain.policy.scope import Scope

DeploymentRef: TypeAlias = int | DeploymentId
"""How a person names a deployment: the number that its card shows, or its id."""

DEFAULT_LIMIT = 10
DEFAULT_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployIntent:
    """Bring ``version`` of every one of ``services`` into ``environment``."""

    services: tuple[ServiceName, ...]
    """At least one, each once, in the order in which they were named."""
    version: str
    """As typed: a tag, a branch, a commit or a digest. Not yet looked up."""
    environment: EnvironmentName
    strategy: str | None = None
    """None means the catalog's."""
    reason: str | None = None
    dry_run: bool = False
    force: bool = False
    at: str | None = None
    """When it is to start, as typed: ``18:00 Europe/Paris``, ``in 30m``, ``next-window``."""
    expires: str | None = None
    """How long after that it may still start, as typed."""

    @property
    def service(self) -> ServiceName:
        """The first service, which is the only one of most requests."""
        return self.services[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFormIntent:
    """Ask for the rest in a form, filled in with what was said already."""

    services: tuple[ServiceName, ...] = ()
    version: str | None = None
    environment: EnvironmentName | None = None
    strategy: str | None = None
    reason: str | None = None
    dry_run: bool = False
    force: bool = False
    at: str | None = None
    """When it is to start, as typed: ``18:00 Europe/Paris``, ``in 30m``, ``next-window``."""
    expires: str | None = None
    """How long after that it may still start, as typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackIntent:
    """Bring an earlier release back. With nothing named, what the conversation is about."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    deployment: DeploymentRef | None = None
    """The deployment to take back."""
    to: str | None = None
    """The version to go back to; None means the last one that was proven healthy."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortIntent:
    """Stop a deployment. With nothing named, the one that the conversation is about."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusIntent:
    """Tell what is going on, everywhere or only there."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    deployment: DeploymentRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryIntent:
    """Tell the last ``limit`` deployments of a service, newest first."""

    service: ServiceName
    environment: EnvironmentName | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueIntent:
    """Tell who waits, and for whom."""

    environment: EnvironmentName | None = None
    service: ServiceName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhereIntent:
    """Tell what runs where."""

    service: ServiceName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveIntent:
    """Say yes to a deployment. With nothing named, the one that the conversation is about."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectIntent:
    """Say no to a deployment; takes a reason."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartIntent:
    """Let a deployment that is held try again."""

    deployment: DeploymentRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteIntent:
    """Let a rollout of several steps go on. With nothing named, the one that the conversation is about."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    to: int | None = None
    """Up to how many per cent of the traffic, 1 to 100; None means its next step."""
    force: bool = False
    """Although checks do not pass."""
    skip: bool = False
    """Without the steps before it, and without the rest of this one."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldIntent:
    """Leave a rollout where it is. With nothing named, the one that the conversation is about."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeIntent:
    """Hold a rollout no longer. With nothing named, the one that the conversation is about."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockIntent:
    """Put a lock on a place: a service, an environment, one in the other, or everything."""

    scope: Scope
    reason: str | None = None
    until: str | None = None
    """As typed: ``2h``, ``18:00``, ``tomorrow 9:00``."""
    level: LockLevel = LockLevel.BLOCK
    change_type: ChangeType = ChangeType.ANY
    hard: bool = False
    pause: bool = False
    incident: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockIntent:
    """Take the locks of exactly that scope away."""

    scope: Scope
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocksIntent:
    """Tell what is locked and frozen, everywhere or only there."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeIntent:
    """Stop the line there, or everywhere."""

    scope: Scope
    reason: str | None = None
    until: str | None = None
    """As typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeIntent:
    """Lift the freezes of exactly that scope."""

    scope: Scope
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleIntent:
    """Tell what waits for its time; with a deployment and a time, move it there."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    at: str | None = None
    """As typed; moves the deployment."""
    expires: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNextIntent:
    """Let a deployment that waits go before the others; takes a reason."""

    deployment: DeploymentRef | None = None
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MayIntent:
    """Explain whether somebody may do something, and which row says so."""

    action: Action
    person: str | None = None
    """Id of a user; None means the one who asks, unless a service account is named."""
    account: str | None = None
    """Name of a service account."""
    service: ServiceName | None = None
    environment: EnvironmentName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffIntent:
    """Tell in what two environments differ."""

    one: EnvironmentName
    other: EnvironmentName
    service: ServiceName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsIntent:
    """Tell the delivery figures of a service, an environment, or all."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    days: int = DEFAULT_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewIntent:
    """Bring ``version`` of a service to the preview of a pull request."""

    service: ServiceName
    version: str
    """As typed."""
    number: int
    """Of the pull request."""
    keep: str | None = None
    """How long it is kept, as typed: ``3d``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePreviewIntent:
    """Delete the preview of a pull request that a service has a part in."""

    service: ServiceName
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewsIntent:
    """Tell which previews there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassIntent:
    """Deploy past approval, freezes and locks, in an emergency."""

    service: ServiceName
    version: str
    environment: EnvironmentName
    reason: str | None = None
    confirm: str | None = None
    """The name of the service, typed once more."""
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpIntent:
    """Explain the commands, or one of them."""

    topic: Verb | None = None


Intent: TypeAlias = (
    DeployIntent
    | OpenFormIntent
    | RollbackIntent
    | AbortIntent
    | StatusIntent
    | HistoryIntent
    | QueueIntent
    | WhereIntent
    | ApproveIntent
    | RejectIntent
    | StartIntent
    | PromoteIntent
    | HoldIntent
    | ResumeIntent
    | LockIntent
    | UnlockIntent
    | LocksIntent
    | FreezeIntent
    | UnfreezeIntent
    | ScheduleIntent
    | RunNextIntent
    | MayIntent
    | DiffIntent
    | StatsIntent
    | PreviewIntent
    | ClosePreviewIntent
    | PreviewsIntent
    | BreakGlassIntent
    | HelpIntent
)
