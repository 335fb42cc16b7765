"""Which messages tell of which deployment, so that each is posted once and edited in place for ever after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.ids import DeploymentId


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedMessage:
    """One message of a deployment. Without a ``ts`` it was tried, and may or may not be there."""

    deployment: DeploymentId
    key: str
    """``root``, or the name of a note in its thread."""
    channel: str
    ts: str | None
    digest: str
    """Of the content that was shown last."""
    tried_at: datetime


class Messages(Protocol):
    """The messages that were posted, and which deployments have changed since they were last told."""

    async def stale(self, *, limit: int) -> Sequence[DeploymentId]:
        """Deployments with a view newer than the one told, oldest change first."""

    async def of(self, deployment_id: DeploymentId) -> Sequence[PostedMessage]:
        """Every message of a deployment, the root first."""

    async def trying(self, deployment_id: DeploymentId, key: str, *, channel: str, at: datetime) -> None:
        """Record before posting that it will be tried: after a crash one looks for it instead of posting again."""

    async def posted(self, deployment_id: DeploymentId, key: str, *, channel: str, ts: str, digest: str) -> None:
        """Record where a message is and what it shows."""

    async def forget(self, deployment_id: DeploymentId, key: str) -> None:
        """Record that a message is gone or was never posted."""

    async def told(self, deployment_id: DeploymentId, view: int) -> None:
        """Record that everything up to ``view`` has been told."""

    async def find(self, channel: str, ts: str) -> PostedMessage | None:
        """The message at that place, if it is one of ours."""
