"""The order of those who wait: letting one go first, and letting the newest take the place of the older ones.

Must not decide whose turn it is: a turn of the queue does, when it begins. Whoever it takes cannot be moved any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.catalog import QueuePolicy
from bot.domain.errors import BadCommand, InvalidTransition, NothingToDo
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action
from bot.domain.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Membership
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource

_GIVE_WAY = frozenset({Phase.QUEUED, Phase.HELD, Phase.AWAITING_APPROVAL})
"""What waits for the environment or for people. What waits for its own time was not asked for now."""


@dataclass(kw_only=True)
class Queueing:
    """Changes the order in which deployments have an environment."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    gatekeeper: Gatekeeper

    async def run_next(self, deployment_id: DeploymentId, *, requester: Membership, reason: str) -> Deployment:
        """Let a queued deployment go before the others; rollbacks still go first.

        Raises `BadCommand` without a reason, `NotAuthorized`, `InvalidTransition` for one that is not in the queue,
        `NothingToDo` when nobody is in front of it that it could pass.
        """
        found = await self.deployments.get(deployment_id)
        rule = self.gatekeeper.authorise(requester, Action.RUN_NEXT, found.service, found.environment)
        reason = redact(reason.strip())  # everybody reads it
        if not reason:
            raise BadCommand("Who goes before others says why.", hint=f'`/deploy run-next #{found.number} reason="…"`')
        _in_the_queue(found)
        queue = await self.deployments.queue(found.scope)
        ahead = [other for other in queue[: _place_of(found, queue)] if not other.is_rollback]
        if not found.hurried and not ahead:
            first = bool(queue) and queue[0].id == found.id
            raise NothingToDo(
                f"#{found.number} is next already."
                if first
                else f"Only rollbacks are before #{found.number}, and they always go first."
            )
        at, said = self.ledger.now(), f"{reason} ({requester.actor.name})"

        def hurry(now: Deployment) -> Deployment:
            _in_the_queue(now)
            if now.hurried:
                raise NothingToDo(f"#{now.number} goes before the others already.")
            return replace(now, hurried=True, note=said, version=now.version + 1, view=now.view + 1)

        hurried = await self.ledger.amend_as(
            found.id, hurry, kind="run_next", actor=requester.actor, at=at, note=reason, door=requester.door, rule=rule
        )
        for other in await self.deployments.queue(found.scope):
            if other.id != found.id:
                self.ledger.announce(other)  # who is in front of whom has changed
        return hurried

    async def supersede(self, deployment: Deployment) -> Sequence[Deployment]:
        """Where the newest takes the place of the older ones, end those; they come back, none for most environments.

        To be called once ``deployment`` is queued, any number of times: what is done is not done again, and what a turn
        has taken meanwhile goes on. Rollbacks neither give way nor take anybody's place.
        """
        environment = self.catalogs.current().environments.get(deployment.environment)
        if environment is None or environment.queue is not QueuePolicy.NEWEST or deployment.is_rollback:
            return []
        newest = await self.deployments.get(deployment.id)
        if not (newest.phase is Phase.QUEUED or newest.phase.holds_lock or newest.phase is Phase.SUCCEEDED):
            return []  # it came to nothing itself: then the older ones are wanted still
        ended = []
        for other in await self.deployments.active():
            if (
                (other.service, other.environment) == (newest.service, newest.environment)
                and other.number < newest.number
                and other.phase in _GIVE_WAY
                and not other.is_rollback
            ):
                at = self.ledger.now()
                try:
                    after = await self.ledger.advance(
                        other.id,
                        Phase.SUPERSEDED,
                        actor=BOT,
                        key=f"closed:{Phase.SUPERSEDED}",
                        note=f"Superseded by #{newest.number}.",
                        at=at,
                        first=_still_waits,
                    )
                except InvalidTransition:
                    continue  # its turn has come, or it has ended
                if after.since == at:  # else another replica has done it
                    ended.append(after)
        if ended:
            for other in await self.deployments.queue(newest.scope):
                self.ledger.announce(other)
        return ended


def _in_the_queue(deployment: Deployment) -> None:
    if deployment.phase is not Phase.QUEUED:
        raise InvalidTransition(
            f"#{deployment.number} is {deployment.phase.words}; only one that waits in the queue can be moved forward."
        )


def _place_of(deployment: Deployment, queue: Sequence[Deployment]) -> int:
    return next((place for place, other in enumerate(queue) if other.id == deployment.id), len(queue))


def _still_waits(deployment: Deployment) -> Deployment:
    if deployment.phase not in _GIVE_WAY:
        raise InvalidTransition(f"#{deployment.number} is {deployment.phase.words}.")
    return deployment
