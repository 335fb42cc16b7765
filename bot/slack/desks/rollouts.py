"""Words to a rollout of several steps: go on, stay, go on again; and to an automatic rollback that is counted down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from bot.domain.actor import Membership
    from bot.domain.grammar import HoldIntent, PromoteIntent, ResumeIntent
    from bot.domain.ids import DeploymentId
    from bot.engine.progressing import Progressing
    from bot.slack.desks.decisions import Decisions
    from bot.slack.doors import Caller, Reception

_UNDER_WAY = frozenset({Phase.DEPLOYING, Phase.PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """The desk for rollouts of several steps."""

    progressing: Progressing
    decisions: Decisions
    reception: Reception

    async def promote(self, intent: PromoteIntent, caller: Caller) -> None:
        """Let what was named, or the only one under way, go on."""
        found = await self.decisions.the_one(
            intent.deployment, intent.service, intent.environment, caller, _UNDER_WAY, "promote"
        )
        await self.progressing.promote(
            found.id,
            requester=await self.reception.member(caller),
            to=intent.to,
            force=intent.force,
            skip=intent.skip,
            reason=intent.reason or "",
        )

    async def hold(self, intent: HoldIntent, caller: Caller) -> None:
        """Leave what was named, or the only one under way, where it is."""
        found = await self.decisions.the_one(
            intent.deployment, intent.service, intent.environment, caller, _UNDER_WAY, "hold"
        )
        requester = await self.reception.member(caller)
        await self.progressing.hold(found.id, requester=requester, reason=intent.reason or "")

    async def resume(self, intent: ResumeIntent, caller: Caller) -> None:
        """Hold what was named, or the only one under way, no longer."""
        found = await self.decisions.the_one(
            intent.deployment, intent.service, intent.environment, caller, _UNDER_WAY, "resume"
        )
        await self.progressing.resume(found.id, requester=await self.reception.member(caller))

    async def let_go_on(self, deployment: DeploymentId, caller: Caller, *, step: int | None, to: int | None) -> None:
        """The buttons *Promote to … %*, for the step that their presser saw."""
        requester = await self.reception.member(caller)
        await self.progressing.promote(deployment, requester=requester, step=step, to=to)

    async def hold_at(self, deployment: DeploymentId, caller: Caller, *, step: int | None) -> None:
        """The button *Hold*."""
        await self.progressing.hold(deployment, requester=await self.reception.member(caller), step=step)

    async def resume_at(self, deployment: DeploymentId, caller: Caller, *, step: int | None) -> None:
        """The button *Resume*."""
        await self.progressing.resume(deployment, requester=await self.reception.member(caller), step=step)

    async def cancel_countdown(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Cancel auto-rollback*."""
        await self.progressing.cancel_countdown(deployment, requester=await self._for_rollback(caller))

    async def snooze(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Snooze 10 min*."""
        await self.progressing.snooze(deployment, requester=await self._for_rollback(caller))

    async def roll_back_now(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Roll back now*."""
        await self.progressing.roll_back_now(deployment, requester=await self._for_rollback(caller))

    async def _for_rollback(self, caller: Caller) -> Membership:
        return await self.reception.member(caller, for_rollback=True)
