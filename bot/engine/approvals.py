"""What people say to a deployment that asks for approval: each word is written down once, about what they saw."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bot.domain.actor import BOT, Membership
from bot.domain.ago import ago
from bot.domain.audit import Deed
from bot.domain.errors import IdentityUnknown, InvalidTransition, NotAuthorized, RequestRefused, SomebodyWasFaster
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.approval import Ballot, TallyState
from bot.domain.redact import redact
from bot.domain.view import ApprovalView

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.approval import Subject
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.ballots import Ballots
    from bot.ports.deployments import Deployments
    from bot.ports.people import People

_ASKED = 10
"""People who are asked one by one; the others see it in the channel."""


@dataclass(kw_only=True)
class Approvals:
    """Yes and no to deployments."""

    ledger: Ledger
    deployments: Deployments
    ballots: Ballots
    gatekeeper: Gatekeeper
    people: People

    async def approve(
        self, deployment_id: DeploymentId, *, requester: Membership, subject: str | None = None, reason: str = ""
    ) -> Deployment:
        """Say yes; ``subject`` is the beginning of the hash of what the person saw, if they saw one.

        Raises `RequestRefused`: not entitled, one's own request, decided already, or something else than was seen.
        """
        return await self._vote(deployment_id, True, requester=requester, subject=subject, reason=reason)

    async def reject(
        self, deployment_id: DeploymentId, *, requester: Membership, reason: str, subject: str | None = None
    ) -> Deployment:
        """Say no, which ends the deployment; takes a reason."""
        if not reason.strip():
            raise RequestRefused("A rejection needs a reason.", hint='Add it: reason="…".')
        return await self._vote(deployment_id, False, requester=requester, subject=subject, reason=reason)

    async def lost(self, deployment: Deployment, before: Subject) -> str:
        """Whose word about ``before`` does not count for ``deployment`` as it would be now, and why; empty if none."""
        said = [ballot for ballot in await self.ballots.of(deployment.id) if ballot.subject_hash == before.hash]
        if not said:
            return ""
        names = " and ".join(dict.fromkeys(f"{ballot.actor.name}'s" for ballot in said))
        word = "approval" if len(said) == 1 else "approvals"
        has = "has" if len(self._changes(deployment, before)) == 1 else "have"
        return (
            f"{names} {word} {'does' if len(said) == 1 else 'do'} not count any more: "
            f"{' and '.join(self._changes(deployment, before))} {has} changed."
        )

    async def void(self, deployment: Deployment, before: Subject) -> None:
        """Take back what was said about ``before``, which is not what would be deployed any more."""
        changed = ", ".join(self._changes(deployment, before))
        deed = Deed(actor=BOT, at=self.ledger.now(), reason=f"Changed since: {changed}.")
        await self.ballots.void(deployment.id, deed=deed, subject_hash=before.hash)

    def _changes(self, deployment: Deployment, before: Subject) -> tuple[str, ...]:
        return self.gatekeeper.subject_of(deployment).changes(before) or ("the configuration",)

    async def view(self, deployment: Deployment) -> ApprovalView | None:
        """How far it has come, for people; None where nobody is or was asked."""
        asked_at = deployment.asked_at
        catalog = self.gatekeeper.catalogs.current()
        place = catalog.environments.get(deployment.environment)
        if asked_at is None or place is None or place.approval is None:
            return None
        tally = await self.gatekeeper.tally_of(deployment)
        if tally is None:
            return None
        rule, until = place.approval, _decided_at(deployment) or self.ledger.now()
        escalated = until >= rule.escalates_at(asked_at)
        asked: Sequence[str] = ()
        never, void = "", tally.void
        if deployment.phase is Phase.AWAITING_APPROVAL:
            asked = await self._asked(catalog, deployment, rule.fallback if escalated else None)
            never = "" if tally.approved else await self._never(catalog, deployment)
            # What was about something else is noted by who waits with it, in words of its own: it is told once.
            void = tuple(one for one in void if one.ballot.subject_hash == self.gatekeeper.subject_of(deployment).hash)
        return ApprovalView(
            tally=tally,
            rule=rule,
            subject=self.gatekeeper.subject_of(deployment).hash,
            asked_at=asked_at,
            nudged=until >= rule.nudges_at(asked_at),
            escalated=escalated and rule.fallback is not None,
            asked=asked,
            void=void[-1].why if void else _void_before(deployment),
            never=never,
        )

    async def _vote(
        self, deployment_id: DeploymentId, approve: bool, *, requester: Membership, subject: str | None, reason: str
    ) -> Deployment:
        found = await self.deployments.get(deployment_id)
        rule = self.gatekeeper.authorise(requester, Action.APPROVE, found.service, found.environment)
        if found.requester.same_as(requester.actor):
            raise NotAuthorized(
                f"You asked for #{found.number} yourself, and nobody approves their own request.",
                hint="Somebody else must decide; you can abort it.",
            )
        if found.phase is not Phase.AWAITING_APPROVAL:
            raise await self._too_late(found, requester)
        current = self.gatekeeper.subject_of(found).hash
        if subject and not current.startswith(subject):
            raise InvalidTransition(
                f"What #{found.number} would change is not what you saw: the artifact, the plan or the configuration "
                "is another one now.",
                hint="Its message shows what it is now; decide there.",
            )
        now, reason = self.ledger.now(), redact(reason)  # everybody reads it
        ballot = Ballot(actor=requester.actor, approve=approve, reason=reason, at=now, subject_hash=current)
        deed = Deed(actor=requester.actor, at=now, reason=reason, door=requester.door, rule=rule)
        counted = await self.ballots.cast(deployment_id, ballot, deed=deed)
        told = await self.ledger.amend(deployment_id, lambda deployment: deployment.touch())
        if counted.at < now and told.phase is Phase.AWAITING_APPROVAL:
            raise SomebodyWasFaster(
                f"You already approved #{told.number}, {ago(counted.at, now)}; each person counts once.",
                hint="Its message shows who else must.",
            )
        if not approve and told.phase not in WAITING:
            raise await self._too_late(told, requester)  # it went on in the very moment of saying no
        return told

    async def _too_late(self, found: Deployment, requester: Membership) -> RequestRefused:
        tally = await self.gatekeeper.tally_of(found)
        decided = _decided_at(found)
        if tally is None or decided is None or tally.state is TallyState.PENDING or not tally.by:
            return InvalidTransition(f"#{found.number} is {found.phase.words}; it asks for no approval now.")
        who = "You" if any(one.same_as(requester.actor) for one in tally.by) else tally.by[-1].name
        did = "approved" if tally.approved else "rejected"
        hint = None if found.phase.final else f"`/deploy abort #{found.number}` stops it."
        return SomebodyWasFaster(f"{who} already {did} #{found.number}, {ago(decided, self.ledger.now())}.", hint=hint)

    async def _asked(self, catalog: Catalog, deployment: Deployment, fallback: str | None) -> Sequence[str]:
        """Who is asked one by one: the group that must be among them if there is one, else whoever may approve."""
        rule = catalog.environments[deployment.environment].approval
        assert rule is not None
        groups, users = set(filter(None, [rule.group, fallback])), frozenset[str]()
        if rule.group is None:
            holding, users = _holding(catalog, deployment)
            groups |= holding
        try:
            return (await self._others(deployment, groups, users))[:_ASKED]
        except IdentityUnknown:
            return ()

    async def _never(self, catalog: Catalog, deployment: Deployment) -> str:
        """Why it can never have enough approvals, as far as can be told now; empty if it can."""
        rule = catalog.environments[deployment.environment].approval
        assert rule is not None
        wanted = {group for group in (rule.group, rule.fallback) if group and rule.group}
        try:
            may = await self._others(deployment, *_holding(catalog, deployment))
            among = [one for one in await self._others(deployment, wanted) if one in may] if wanted else may
        except IdentityUnknown:
            return ""
        who = f"{deployment.requester.name}, who asked for it"
        if not may:
            return f"nobody but {who}, has the right to approve it"
        if not among:
            return f"nobody but {who}, is in the group that must approve it"
        if len(may) < rule.quorum:
            return f"it takes {rule.quorum} people, and no more than {len(may)} beside {who}, may approve it"
        return ""

    async def _others(self, deployment: Deployment, groups: Collection[str], users: Collection[str] = ()) -> list[str]:
        """The people in those groups, and those, but not who asked for it. Raises `IdentityUnknown`."""
        found = [*await self.people.in_groups({group.removeprefix("@") for group in groups}), *sorted(users)]
        return [one for one in dict.fromkeys(found) if one != deployment.requester.id]


def _holding(catalog: Catalog, deployment: Deployment) -> tuple[frozenset[str], frozenset[str]]:
    """The groups and the people whom a row gives the right to approve it."""
    rows = [
        row
        for row in catalog.rules
        if row.effect is Effect.ALLOW and Action.APPROVE in row.actions and _speaks_of(row, deployment)
    ]
    return frozenset().union(*(row.groups for row in rows)), frozenset().union(*(row.users for row in rows))


def _speaks_of(row: Rule, deployment: Deployment) -> bool:
    """Whether the row is about that place, whoever is in it."""
    return any(fnmatchcase(deployment.service, glob) for glob in row.services) and any(
        fnmatchcase(deployment.environment, glob) for glob in row.environments
    )


def _decided_at(deployment: Deployment) -> datetime | None:
    """When it stopped waiting for approval; None while it waits."""
    moments = deployment.timeline
    for index in range(len(moments) - 1, 0, -1):
        if moments[index - 1].phase is Phase.AWAITING_APPROVAL:
            return moments[index].at if moments[-1].phase is not Phase.AWAITING_APPROVAL else None
    return None


def _void_before(deployment: Deployment) -> str:
    """Why what was said before does not count: as it was noted since, or when it came back to be approved."""
    if since := noted_since(deployment):
        return since
    asked = [moment for moment in deployment.timeline if moment.phase is Phase.AWAITING_APPROVAL]
    return asked[-1].note if len(asked) > 1 else ""


def noted_since(deployment: Deployment) -> str:
    """What was noted about it after it had come into its phase: that a word about it does not count any more."""
    return deployment.note if deployment.note != deployment.timeline[-1].note else ""
