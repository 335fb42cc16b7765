"""What people say to a rollout of several steps, and to an automatic rollback that is counted down.

Each word is heard by the domain and written by compare-and-swap: what comes late, or is refused, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.analysis import countdown as counting
from bot.domain.analysis.standing import standing_of
from bot.domain.errors import ChecksSayNo, InvalidTransition, RequestRefused, SomebodyWasFaster
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action
from bot.domain.redact import redact
from bot.domain.strategy.interpret import seen
from bot.domain.strategy.plan import plan
from bot.domain.strategy.voice import hear, options
from bot.domain.strategy.words import HoldWord, PromoteWord, Refusal, ResumeWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.actor import Membership
    from bot.domain.analysis.countdown import Countdown, Turn
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.strategy.words import Answer, Word
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource


@dataclass(kw_only=True)
class Progressing:
    """Promote, hold, resume; and what stops or hastens an automatic rollback."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    gatekeeper: Gatekeeper

    async def promote(
        self,
        deployment_id: DeploymentId,
        *,
        requester: Membership,
        step: int | None = None,
        to: int | None = None,
        force: bool = False,
        skip: bool = False,
        reason: str = "",
    ) -> Deployment:
        """Let a rollout go on from ``step`` (None: wherever it is) up to the weight ``to`` (None: the next one).

        Raises `RequestRefused`: not entitled, late (`SomebodyWasFaster`), not among what can be promoted to, or held
        back by a check (`ChecksSayNo`) unless forced, which takes a reason and the right to resolve.
        """
        found, rule = await self._may(deployment_id, requester, Action.PROMOTE)
        if force:
            rule = self.gatekeeper.authorise(requester, Action.RESOLVE, found.service, found.environment)
        position = found.progression.position if found.progression else None
        catalog = await self.catalogs.at(found.catalog_revision)
        strategy = catalog.strategy(found.strategy, found.service, found.environment)
        possible = options(plan(strategy), position) if position else ()
        word = PromoteWord(
            by=requester.actor,
            at=self.ledger.now(),
            step=step if step is not None else position.step if position else -1,
            to=to if to is not None else possible[0] if possible else 100,
            force=force,
            skip=skip,
            reason=redact(reason),  # everybody reads it
        )
        return await self._say(found, word, requester, rule, kind="promoted")

    async def hold(
        self, deployment_id: DeploymentId, *, requester: Membership, step: int | None = None, reason: str = ""
    ) -> Deployment:
        """Leave a rollout where it is until somebody says something else. Raises like `promote`."""
        found, rule = await self._may(deployment_id, requester, Action.PROMOTE)
        word = HoldWord(by=requester.actor, at=self.ledger.now(), step=_step(found, step), reason=redact(reason))
        return await self._say(found, word, requester, rule, kind="held")

    async def resume(
        self, deployment_id: DeploymentId, *, requester: Membership, step: int | None = None
    ) -> Deployment:
        """Hold a rollout no longer. Raises like `promote`."""
        found, rule = await self._may(deployment_id, requester, Action.PROMOTE)
        word = ResumeWord(by=requester.actor, at=self.ledger.now(), step=_step(found, step))
        return await self._say(found, word, requester, rule, kind="resumed")

    async def cancel_countdown(self, deployment_id: DeploymentId, *, requester: Membership) -> Deployment:
        """Call an automatic rollback off; from then on only people roll this deployment back."""
        return await self._count(
            deployment_id, requester, lambda running: counting.cancel(running, requester.actor, self.ledger.now())
        )

    async def snooze(self, deployment_id: DeploymentId, *, requester: Membership) -> Deployment:
        """Put an automatic rollback off by ten minutes."""
        return await self._count(
            deployment_id, requester, lambda running: counting.snooze(running, requester.actor, self.ledger.now())
        )

    async def roll_back_now(self, deployment_id: DeploymentId, *, requester: Membership) -> Deployment:
        """Do not wait for the end of the countdown."""
        return await self._count(
            deployment_id,
            requester,
            lambda running: counting.roll_back_now(running, requester.actor, self.ledger.now()),
        )

    async def _may(self, deployment_id: DeploymentId, requester: Membership, action: Action) -> tuple[Deployment, str]:
        found = await self.deployments.get(deployment_id)
        return found, self.gatekeeper.authorise(requester, action, found.service, found.environment)

    async def _say(self, found: Deployment, word: Word, requester: Membership, rule: str, *, kind: str) -> Deployment:
        catalog = await self.catalogs.at(found.catalog_revision)
        strategy = catalog.strategy(found.strategy, found.service, found.environment)
        checks = catalog.service(found.service).checks

        def heard(now: Deployment) -> Deployment:
            progression = now.progression
            if progression is None or now.phase not in {Phase.DEPLOYING, Phase.PAUSED}:
                raise InvalidTransition(_no_step(now))
            if now.request is not None:
                raise SomebodyWasFaster(f"{now.request.actor.name} has asked to stop #{now.number} already.")
            standing = standing_of(progression.watches(checks), word.at, weight=progression.position.weight)
            standing = seen(plan(strategy), progression.position, standing)
            position, answer = hear(strategy, progression.position, word, standing)
            if not answer.accepted:
                raise _refusal(answer, now)
            after = replace(progression, position=position, question=None, why=answer.sentence)
            if not isinstance(word, HoldWord):  # they let it go on, and what keeps it all the same is not over
                after = after.stopped(progression.stop)
            return replace(now, progression=after, version=now.version + 1, view=now.view + 1)

        return await self.ledger.amend_as(
            found.id,
            heard,
            kind=kind,
            actor=requester.actor,
            at=word.at,
            note=_note(word),
            door=requester.door,
            rule=rule,
            override=isinstance(word, PromoteWord) and word.force,
        )

    async def _count(
        self, deployment_id: DeploymentId, requester: Membership, turn: Callable[[Countdown], Turn]
    ) -> Deployment:
        found, rule = await self._may(deployment_id, requester, Action.ROLLBACK)

        def turned(now: Deployment) -> Deployment:
            if now.countdown is None:
                raise InvalidTransition(f"No automatic rollback of #{now.number} is counted down.")
            result = turn(now.countdown)
            if not result.changed:
                raise SomebodyWasFaster(result.sentence)
            return replace(now, countdown=result.countdown, version=now.version + 1, view=now.view + 1)

        return await self.ledger.amend_as(
            found.id,
            turned,
            kind="countdown",
            actor=requester.actor,
            at=self.ledger.now(),
            note="",
            door=requester.door,
            rule=rule,
        )


def _step(found: Deployment, step: int | None) -> int:
    if step is not None:
        return step
    return found.progression.position.step if found.progression else -1


def _no_step(found: Deployment) -> str:
    """Why there is nothing to promote or to hold."""
    if not found.phase.final:
        return f"#{found.number} is {found.phase.words}; it is at no step that could be promoted or held."
    last = found.timeline[-1]
    by = f" by {last.actor.name}" if last.actor.kind is ActorKind.PERSON else ""
    return f"#{found.number} is over already: {found.phase.words}{by}. Nothing was changed."


def _refusal(answer: Answer, found: Deployment) -> RequestRefused:
    """What to raise for a word that changed nothing: whether somebody was faster, or it was refused."""
    if answer.refusal is Refusal.CHECKS:
        hint = f"Who may resolve can force it: `/deploy promote #{found.number} force reason=…`."
        return ChecksSayNo(answer.sentence, hint=hint)
    if answer.refusal is Refusal.WRONG:
        return RequestRefused(answer.sentence)
    return SomebodyWasFaster(answer.sentence)


def _note(word: Word) -> str:
    """What was said, for the audit."""
    if not isinstance(word, PromoteWord):
        return getattr(word, "reason", "")
    how = (", without the steps before it" if word.skip else "") + (", by force" if word.force else "")
    return f"To {word.to} %{how}. {word.reason}".strip()
