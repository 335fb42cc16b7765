"""Words to a deployment that there is already: yes, no, go on, stop, go first, go later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, InvalidTransition, UnknownDeployment
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action
from bot.domain.when import read_duration
from bot.slack.render import answers, approval

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.domain.deployment import Deployment, Resolution
    from bot.domain.grammar import (
        AbortIntent,
        ApproveIntent,
        DeploymentRef,
        RejectIntent,
        RunNextIntent,
        ScheduleIntent,
        StartIntent,
    )
    from bot.domain.ids import DeploymentId
    from bot.engine.admission import Admission
    from bot.engine.approvals import Approvals
    from bot.engine.queries import Queries
    from bot.engine.queueing import Queueing
    from bot.engine.requests import Requests
    from bot.engine.scheduling import Scheduling
    from bot.slack.desks.times import Times
    from bot.slack.doors import Caller, Reception, Reply
    from bot.slack.render.message import Message

_WAITS_FOR_A_TURN = frozenset({Phase.QUEUED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The desk for deployments under way."""

    requests: Requests
    queries: Queries
    approvals: Approvals
    admission: Admission
    queueing: Queueing
    scheduling: Scheduling
    reception: Reception
    times: Times

    async def meant(self, named: DeploymentRef | None, place: str | None, caller: Caller) -> Deployment | None:
        """The deployment that was named, or in whose thread something was said without naming any place."""
        if named is not None:
            return await self.queries.find(str(named))
        if place is None and caller.about is not None:
            return await self.queries.find(caller.about)
        return None

    async def approve(self, intent: ApproveIntent, caller: Caller, reply: Reply) -> None:
        """Say yes to what was named, or to the only one that waits for it."""
        found = await self.the_one(
            intent.deployment, intent.service, intent.environment, caller, {Phase.AWAITING_APPROVAL}, "approve"
        )
        await reply(await self.vote_yes(found.id, caller, reason=intent.reason or ""))

    async def vote_yes(
        self, deployment: DeploymentId, caller: Caller, *, subject: str = "", reason: str = ""
    ) -> Message:
        """Say yes to this one; ``subject`` is the beginning of the hash of what was seen, empty where none was."""
        requester = await self.reception.member(caller)
        approved = await self.approvals.approve(deployment, requester=requester, subject=subject or None, reason=reason)
        return approval.voted(approved, await self.approvals.view(approved))

    async def reject(self, intent: RejectIntent, caller: Caller, reply: Reply) -> None:
        """Say no to what was named, or to the only one that waits for a word."""
        found = await self.the_one(
            intent.deployment, intent.service, intent.environment, caller, {Phase.AWAITING_APPROVAL}, "reject"
        )
        await reply(await self.vote_no(found.id, intent.reason or "", caller))

    async def vote_no(self, deployment: DeploymentId, reason: str, caller: Caller, *, subject: str = "") -> Message:
        """Say no to this one."""
        requester = await self.reception.member(caller)
        rejected = await self.approvals.reject(deployment, requester=requester, reason=reason, subject=subject or None)
        return approval.voted(rejected, await self.approvals.view(rejected))

    async def to_decide(self, deployment: DeploymentId, caller: Caller) -> Deployment:
        """One that somebody wants to say no to. Raises `NotAuthorized`, `InvalidTransition` when it waits for no word.

        Both are asked again when the word is said.
        """
        member, found = await self.reception.member(caller), await self.queries.find(deployment)
        self.approvals.gatekeeper.authorise(member, Action.APPROVE, found.service, found.environment)
        if found.phase is not Phase.AWAITING_APPROVAL:
            raise InvalidTransition(f"#{found.number} is {found.phase.words}; it asks for no approval now.")
        return found

    async def start(self, intent: StartIntent, caller: Caller) -> None:
        """Let one that is held try again."""
        found = await self.the_one(intent.deployment, None, None, caller, {Phase.HELD}, "start")
        await self.start_again(found.id, caller)

    async def start_again(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Start*."""
        await self.admission.start(deployment, requester=await self.reception.member(caller))

    async def abort(self, intent: AbortIntent, caller: Caller) -> None:
        """Stop what was named, or the only one under way."""
        requester = await self.reception.member(caller)
        deployment = await self.meant(intent.deployment, intent.service or intent.environment, caller)
        if deployment is None:
            deployment = await self.queries.the_one_under_way(intent.service, intent.environment)
        await self.requests.abort(deployment.id, requester=requester, reason=intent.reason or "")

    async def stop(self, deployment: DeploymentId, caller: Caller) -> None:
        """The button *Abort*."""
        await self.requests.abort(deployment, requester=await self.reception.member(caller))

    async def resolve(self, deployment: DeploymentId, resolution: Resolution, caller: Caller) -> None:
        """The buttons of a deployment that needs attention."""
        requester = await self.reception.member(caller, for_rollback=True)
        await self.requests.resolve(deployment, resolution, requester=requester)

    async def run_next(self, intent: RunNextIntent, caller: Caller) -> None:
        """Let one that waits go before the others."""
        requester = await self.reception.member(caller)
        found = await self.the_one(
            intent.deployment, intent.service, intent.environment, caller, _WAITS_FOR_A_TURN, "run-next"
        )
        await self.queueing.run_next(found.id, requester=requester, reason=intent.reason or "")

    async def schedule(self, intent: ScheduleIntent, caller: Caller, reply: Reply) -> None:
        """Tell what waits for its time, or give one another time."""
        if intent.at is None:
            deployment = await self.meant(intent.deployment, intent.service or intent.environment, caller)
            rows = await self.scheduling.all(intent.service, intent.environment)
            if deployment is not None:
                rows = [row for row in rows if row[1].id == deployment.id]
            await reply(answers.schedule(rows))
            return
        requester = await self.reception.member(caller)
        found = await self.the_one(
            intent.deployment, intent.service, intent.environment, caller, {Phase.SCHEDULED}, "schedule"
        )
        at = self.scheduling.when(
            intent.at, zone=await self.times.zone(caller), service=found.service, environment=found.environment
        )
        expires = at + read_duration(intent.expires) if intent.expires else None
        moved = await self.scheduling.move(found.id, at=at, expires=expires, requester=requester)
        await reply(answers.schedule([(moved, found)]))

    async def the_one(
        self,
        named: DeploymentRef | None,
        service: str | None,
        environment: str | None,
        caller: Caller,
        phases: Collection[Phase],
        verb: str,
    ) -> Deployment:
        """The one that is meant: by its name, by the thread, or because it is the only one there in such a phase."""
        if (found := await self.meant(named, service or environment, caller)) is not None:
            return found
        under_way = await self.queries.under_way(service, environment)
        fitting = [deployment for deployment in under_way if deployment.phase in phases]
        there = " ".join(filter(None, [f"of {service}" if service else "", f"in {environment}" if environment else ""]))
        states = " or ".join(sorted(phase.words for phase in phases))
        if not fitting:
            raise UnknownDeployment(f"No deployment {there} is {states}.".replace("  ", " "))
        if len(fitting) > 1:
            names = [f"#{deployment.number}" for deployment in fitting[:3]]
            raise BadCommand(
                f"{len(fitting)} deployments {there} are {states}; say which one.".replace("  ", " "),
                suggestions=names,
                hint=f"`/deploy {verb} {names[0]}`",
            )
        return fitting[0]
