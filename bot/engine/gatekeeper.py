"""Gathers what the gates need to know and asks them. Decides nothing itself and remembers nothing.

What cannot be found out is handed on as unknown, which the gates take for a no.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.audit import Deed
from bot.domain.errors import (
    BadCommand,
    DeploymentArchitectError,
    IdentityUnknown,
    NotAuthorized,
    NothingToDo,
    ProviderError,
    SomebodyWasFaster,
)
from bot.domain.policy.access import Action, may
from bot.domain.policy.approval import Subject, tally
from bot.domain.policy.gates import Facts, GateResult, Verdict, check_gates, stopping
from bot.domain.policy.override import OverrideKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.catalog import Catalog, Environment
    from bot.domain.deployment import Deployment
    from bot.domain.history import ProvenRelease
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.approval import Tally
    from bot.domain.policy.override import Override
    from bot.domain.policy.scope import Scope
    from bot.domain.release import Release
    from bot.engine.ledger import Ledger
    from bot.ports.ballots import Ballots
    from bot.ports.deployments import Releases
    from bot.ports.freezes import Freezes
    from bot.ports.locks import Locks
    from bot.ports.overrides import Overrides
    from bot.ports.people import People
    from bot.ports.providers import CatalogSource, Providers

log = logging.getLogger(__name__)

_EXEMPT = frozenset({"lock", "freeze", "window"})
"""Gates that may let a rollback through although they stop everything else."""
_AT_DEQUEUE = 10.0
"""Seconds that looking for an artifact may take while others wait."""


@dataclass(kw_only=True, repr=False)  # a step's argument is logged, and whatever this holds is too much to be told
class Gatekeeper:
    """Who may do what, and whether a deployment may go on now."""

    ledger: Ledger
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    people: People
    locks: Locks
    freezes: Freezes
    ballots: Ballots
    overrides: Overrides

    def authorise(
        self,
        member: Membership,
        action: Action,
        service: ServiceName,
        environment: EnvironmentName,
        *,
        own: bool = False,
    ) -> str:
        """The role that allows it, and whether that was only remembered: so it stands in the audit.

        Raises `NotAuthorized` unless one does; for one's ``own``, only if one denies it.
        """
        decision = may(self.catalogs.current().rules, member, action, service=service, environment=environment)
        if not decision.allowed and not (own and decision.role is None):
            raise NotAuthorized(decision.reason, hint="Ask somebody who has it, or an operator for the role.")
        rule = decision.role or "their own request"
        return f"{rule} (groups as last known)" if member.remembered else rule

    def authorise_scope(self, member: Membership, action: Action, scope: Scope, *, own: bool = False) -> str:
        """The roles that allow it in every place that ``scope`` covers; raises `NotAuthorized` for the first that none
        allows it in.
        """
        places = [
            (service.name, environment.name)
            for service, environment in self.catalogs.current().places()
            if scope.covers(service.name, environment.name)
        ]
        if not places:
            raise NotAuthorized(f"Nothing of the catalog is in {scope.words}.")
        roles = [self.authorise(member, action, *place, own=own) for place in places]
        return ", ".join(dict.fromkeys(roles))

    async def ask(self, deployment: Deployment, *, artifact: bool = True) -> tuple[GateResult, ...]:
        """What every gate says to a deployment now. Without ``artifact`` it is taken to be there, for the last moment
        before a change, when it was looked for already.
        """
        if gone := self._gone(deployment.service, deployment.environment) or self._impossible(deployment):
            return (gone,)
        return check_gates(await self._facts_of(deployment, artifact=artifact))

    async def ask_at_last(self, deployment: Deployment) -> tuple[GateResult, ...]:
        """Like `ask`, right before a change: an exception without which it would be stopped is used up by it first, so
        that it lets no other deployment pass.
        """
        if gone := self._gone(deployment.service, deployment.environment) or self._impossible(deployment):
            return (gone,)
        facts = await self._facts_of(deployment, artifact=False)
        own = [one for one in facts.overrides if one.used_by is not None]
        free = [one for one in facts.overrides if one.used_by is None]
        results = check_gates(replace(facts, overrides=own))
        for one in free if stopping(results) else ():
            passing = check_gates(replace(facts, overrides=[*own, one]))
            if len(stopping(passing)) == len(stopping(results)):
                continue
            deed = Deed(actor=deployment.requester, at=self.ledger.now(), reason=one.reason)
            with contextlib.suppress(SomebodyWasFaster, NothingToDo):
                await self.overrides.use(one.id, deployment=deployment.id, deed=deed)
                return passing
        return results

    async def _facts_of(self, deployment: Deployment, *, artifact: bool) -> Facts:
        """What is known of a deployment. Broken glass counts for the one deployment that it was broken for; what a
        second person has agreed to, for the first that comes.
        """
        facts = await self._facts(
            deployment.release,
            deployment.environment,
            requester=deployment.requester,
            deployment=deployment,
            artifact=artifact,
        )
        counting = [
            one
            for one in facts.overrides
            if one.used_by == deployment.id or (one.used_by is None and one.kind is OverrideKind.FREEZE)
        ]
        return replace(facts, overrides=counting)

    async def exemptions(self, deployment: Deployment) -> str:
        """What a rollback passes that would stop anything else, in sentences. It is never held up by this question."""
        try:
            results = await self.ask(deployment, artifact=False)
        except DeploymentArchitectError as error:
            log.warning("what the rollback #%s passes cannot be told: %s", deployment.number, error.message)
            return ""
        passed = [one.sentence for one in results if one.name in _EXEMPT and one.verdict is Verdict.WARN]
        return " ".join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in passed)

    async def foresee(
        self,
        release: Release,
        environment: EnvironmentName,
        *,
        member: Membership,
        at: datetime | None = None,
        override: str | None = None,
        rollback: bool = False,
    ) -> tuple[GateResult, ...]:
        """What the gates say to a deployment that there is not yet: asked for by ``member``, to begin at ``at``.

        ``override`` is the only exception that counts.
        """
        if gone := self._gone(release.service, environment):
            return (gone,)
        facts = await self._facts(release, environment, requester=member.actor, deployment=None, artifact=False)
        overrides = [one for one in facts.overrides if one.id == override]
        facts = replace(facts, member=member, overrides=overrides, rollback=rollback)
        return check_gates(replace(facts, at=at) if at else facts)

    async def tally_of(self, deployment: Deployment) -> Tally | None:
        """What people have said to a deployment; None where nobody is asked."""
        catalog = self.catalogs.current()
        place = catalog.environments.get(deployment.environment)
        rule = place.approval if place else None
        if rule is None or deployment.is_rollback:
            return None
        ballots = await self.ballots.of(deployment.id)
        asked = deployment.asked_at
        return tally(
            rule,
            self.subject_of(deployment),
            ballots,
            requester=deployment.requester,
            members=await self._entitled(catalog, deployment, [ballot.actor for ballot in ballots]),
            escalated=asked is not None and self.ledger.now() >= rule.escalates_at(asked),
            until=rule.expires_at(asked) if asked else None,
        )

    def may_approve(self, member: Membership, deployment: Deployment) -> bool:
        """Whether the person's word would count: they have the right to, and did not ask for it themselves."""
        own = deployment.requester.same_as(member.actor)
        return not own and self._may_approve(self.catalogs.current(), member, deployment)

    def subject_of(self, deployment: Deployment) -> Subject:
        """What people are asked to approve: exactly this artifact, plan and configuration."""
        return Subject(
            digest=deployment.release.artifact.digest,
            environment=deployment.environment,
            plan_hash=deployment.plan.hash if deployment.plan else "",
            catalog_revision=self.catalogs.current().revision,
        )

    def _unasked(self, catalog: Catalog, place: Environment, release: Release, requester: Actor) -> Tally | None:
        """What is missing before anybody was asked; None where nobody is."""
        if place.approval is None:
            return None
        subject = Subject(
            digest=release.artifact.digest, environment=place.name, plan_hash="", catalog_revision=catalog.revision
        )
        return tally(place.approval, subject, (), requester=requester, members=())

    async def _entitled(
        self, catalog: Catalog, deployment: Deployment, voters: Sequence[Actor]
    ) -> list[Membership] | None:
        """Those of the voters who may approve now; None when it cannot be told."""
        found = []
        for actor in {actor.id: actor for actor in voters}.values():
            try:
                member = await self.people.member(actor)
            except IdentityUnknown:
                return None
            except NotAuthorized:
                continue
            if self._may_approve(catalog, member, deployment):
                found.append(member)
        return found

    def _may_approve(self, catalog: Catalog, member: Membership, deployment: Deployment) -> bool:
        answer = may(
            catalog.rules,
            member,
            Action.APPROVE,
            service=deployment.service,
            environment=deployment.environment,
        )
        return answer.allowed

    async def _facts(
        self,
        release: Release,
        environment: EnvironmentName,
        *,
        requester: Actor,
        deployment: Deployment | None,
        artifact: bool,
    ) -> Facts:
        catalog, service, at = self.catalogs.current(), release.service, self.ledger.now()
        place = catalog.environments[environment]
        rollback = deployment is not None and deployment.is_rollback
        member, there, proven = await asyncio.gather(
            self._member(requester, rollback=rollback),
            self._is_there(catalog, release) if artifact else _yes(),
            self._proven(service, place.after, release),
        )
        overrides: list[Override] = list(await self.overrides.of_place(service, environment, release.artifact.digest))
        return Facts(
            at=at,
            requester=requester,
            member=member,
            rules=catalog.rules,
            service=service,
            environment=environment,
            release=release,
            rollback=rollback,
            begun=deployment is not None and deployment.begun,
            deployment=deployment.id if deployment else None,
            after=place.after,
            proven=proven,
            artifact_there=there,
            locks=await self.locks.current(at=at),
            freezes=await self.freezes.current(at=at),
            windows=place.windows,
            needs_approval=place.approval is not None,
            tally=await self.tally_of(deployment) if deployment else self._unasked(catalog, place, release, requester),
            overrides=overrides,
        )

    async def _member(self, requester: Actor, *, rollback: bool) -> Membership | None:
        if requester.kind is ActorKind.BOT:
            return None
        try:
            return await self.people.member(requester, for_rollback=rollback)
        except NotAuthorized:
            return None

    async def _is_there(self, catalog: Catalog, release: Release) -> bool | None:
        try:
            async with asyncio.timeout(_AT_DEQUEUE):
                return await self.providers.images(catalog, release.service).has(release=release)
        except (ProviderError, TimeoutError):
            return None

    async def _proven(
        self, service: ServiceName, after: EnvironmentName | None, release: Release
    ) -> Sequence[ProvenRelease] | None:
        if after is None:
            return ()
        return await self.releases.proven(service, after, release)

    def _gone(self, service: ServiceName, environment: EnvironmentName) -> GateResult | None:
        """What there is to say about a place that the configuration does not have any more: nothing else counts."""
        catalog = self.catalogs.current()
        known = catalog.services.get(service)
        if known is not None and environment in known.targets and environment in catalog.environments:
            return None
        sentence = f"The configuration does not have {service} in {environment} any more."
        return GateResult(name="configuration", verdict=Verdict.BLOCK, sentence=sentence)

    def _impossible(self, deployment: Deployment) -> GateResult | None:
        """That it cannot be deployed as it was asked for, under the configuration that is in force by now.

        What has begun under an earlier one goes on as it began.
        """
        catalog = self.catalogs.current()
        if deployment.is_rollback or deployment.catalog_revision != catalog.revision:
            return None
        try:
            catalog.check_strategy(deployment.strategy, deployment.service, deployment.environment)
        except BadCommand as refusal:
            return GateResult(name="configuration", verdict=Verdict.BLOCK, sentence=refusal.message)
        return None


async def _yes() -> bool:
    return True
