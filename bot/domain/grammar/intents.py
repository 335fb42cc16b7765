"""What somebody wants, typed and complete. Says nothing about whether it may or can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName

if TYPE_CHECKING:
    from bot.domain.grammar.verbs import Verb

DeploymentRef: TypeAlias = int | DeploymentId
"""How a person names a deployment: the number that its card shows, or its id."""

DEFAULT_LIMIT = 10


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
    | HelpIntent
)
