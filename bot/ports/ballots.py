"""What people said to a deployment that asks for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.audit import Deed
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.approval import Ballot


class Ballots(Protocol):
    """Ballots as rows, one for each person and subject. Every change is audited. Raises `StoreError`."""

    async def cast(self, deployment_id: DeploymentId, ballot: Ballot, *, deed: Deed | None = None) -> Ballot:
        """Record a person's word; the one that counts comes back.

        The same word again changes nothing; the other word takes the first one's place, which then is void. Raises
        `UnknownDeployment`.
        """

    async def of(self, deployment_id: DeploymentId) -> Sequence[Ballot]:
        """The ballots that are not void, about whatever subject, in the order in which they were cast."""

    async def void(
        self,
        deployment_id: DeploymentId,
        *,
        deed: Deed,
        person: Actor | None = None,
        subject_hash: str | None = None,
    ) -> Sequence[Ballot]:
        """Make ballots void: all, or one person's, or those about a subject. Those that were comes back."""
