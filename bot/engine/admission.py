"""The way of a deployment to the queue: approval, its time, and whatever else holds it. Nothing here changes a target.

The row says where it stands, and every step from there is a compare-and-swap with a key of its own: any number of
replicas, and any number of tries after a crash, take it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.deployment import Hold, Wish
from bot.domain.errors import InvalidTransition, ProviderError
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.access import Action
from bot.domain.policy.approval import TallyState
from bot.domain.policy.gates import Verdict, opens_at, stopping
from bot.engine.approvals import noted_since
from bot.engine.orders import WAITS_FOR, blocked
from bot.engine.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.gates import GateResult
    from bot.domain.policy.scope import Scope
    from bot.engine.approvals import Approvals
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.engine.queueing import Queueing
    from bot.ports.deployments import Deployments
    from bot.ports.providers import Providers
    from bot.ports.schedules import Schedules

log = logging.getLogger(__name__)

HELD_FOR = timedelta(hours=24)
"""How long a deployment is held before it expires."""
_LOOK_AT_GATES = timedelta(seconds=30)


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Admission:
    """Brings deployments to the queue, or to an end before it."""

    ledger: Ledger
    deployments: Deployments
    gatekeeper: Gatekeeper
    approvals: Approvals
    schedules: Schedules
    queueing: Queueing
    providers: Providers
    look_again: float = 1.0
    """Seconds between two looks for what another replica has done."""
    _reminders: dict[DeploymentId, int] = field(default_factory=dict)
    """How many of the reminders of each have been shown by this process."""

    async def settle(self, deployment_id: DeploymentId) -> tuple[str, str] | None:
        """Wait, however long, until the deployment is in the queue: its turn and the lock that it waits for.

        None if it is to be taken up when its time comes, or is over.
        """
        seen, look_at, woke = 0, self.ledger.now(), True
        with self.ledger.woken_by(deployment_id) as woken:
            while True:
                woken.clear()
                deployment = await self.deployments.get(deployment_id)
                if deployment.phase is Phase.QUEUED:
                    await self.queueing.supersede(deployment)
                    return turn_of(deployment), deployment.scope
                if deployment.phase not in WAITING or deployment.phase is Phase.SCHEDULED:
                    return None
                now = self.ledger.now()
                if woke or deployment.view != seen or now >= look_at:
                    after, at = await self._look(deployment)
                    if after.phase is not deployment.phase:
                        continue
                    seen = after.view
                    look_at = min(at, now + _LOOK_AT_GATES) if at else now + _LOOK_AT_GATES
                    if look_at <= self.ledger.now():
                        continue
                pause = min(self.look_again, max(0.0, (look_at - self.ledger.now()).total_seconds()))
                # Not `wait_for`: on Python 3.11 it swallows a cancellation that meets the event being set.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await woken.wait()
                woke = woken.is_set()

    async def fire(self, deployment_id: DeploymentId, version: int) -> bool:
        """Take up a deployment whose time has come; False when that time is not the one it waits for any more.

        It is asked everything anew. One that comes too late expires: nothing ever starts late.
        """
        schedule = await self.schedules.of(deployment_id)
        while schedule is not None and schedule.version == version and schedule.at > self.ledger.now():
            # Another replica's clock, which was ahead of ours, has rung.
            await asyncio.sleep(min(1.0, (schedule.at - self.ledger.now()).total_seconds()))
            schedule = await self.schedules.of(deployment_id)
        deployment = await self.deployments.get(deployment_id)
        now = self.ledger.now()
        if schedule is None or schedule.version != version:
            # Already closed: by a move, by an abort, or by us before a crash.
            return schedule is None and deployment.phase in WAITING and deployment.phase is not Phase.SCHEDULED
        late = now >= schedule.expires
        deed = Deed(actor=BOT, at=now)
        if deployment.phase is Phase.SCHEDULED:
            if late:
                note = "Its time had passed before it could start; nothing was changed."
                await self._advance(deployment, Phase.EXPIRED, key=f"expired:{version}", note=note)
            else:
                wish = Wish(at=schedule.at, expires=schedule.expires)
                deployment = await self.ledger.amend(
                    deployment_id, lambda found: found if found.wish == wish else replace(found.touch(), wish=wish)
                )
                deployment = await self._refresh(deployment)
                await self._go_on(deployment)
        await self.schedules.close(deployment_id, deed=deed, expired=late, version=version)
        return not late

    async def start(self, deployment_id: DeploymentId, *, requester: Membership) -> Deployment:
        """Let a deployment that is held try again. What a lock or a window still keeps goes on by itself from now on.

        Raises `NotAuthorized`, `InvalidTransition` if it is not held, and `Blocked` by what one cannot wait for.
        """
        found = await self.deployments.get(deployment_id)
        own = found.requester.same_as(requester.actor)
        rule = self.gatekeeper.authorise(requester, Action.DEPLOY, found.service, found.environment, own=own)
        if found.phase is not Phase.HELD:
            raise InvalidTransition(f"#{found.number} is {found.phase.words}; there is nothing to start.")
        stops = _but_approval(stopping(await self.gatekeeper.ask(found)))
        if not stops:
            return await self._go_on(await self._refresh(found), actor=requester.actor, door_and_rule=(requester, rule))
        if any(stop.name not in WAITS_FOR and stop.verdict is Verdict.BLOCK for stop in stops):
            raise blocked(found.number, stops)

        def waiting(deployment: Deployment) -> Deployment:
            if deployment.phase is not Phase.HELD or deployment.hold is None:
                return deployment
            return replace(deployment.touch(), waits=True, hold=replace(deployment.hold, resumes=True))

        return await self.ledger.amend(deployment_id, waiting)

    async def look_again_at(self, scope: Scope) -> None:
        """See to it that whoever waits with a deployment that is held there, in whatever replica, looks again."""
        for deployment in await self.deployments.held():
            if scope.covers(deployment.service, deployment.environment):
                await self.ledger.amend(deployment.id, lambda found: found.touch())

    async def wake_all(self) -> None:
        """The configuration has changed: look again at everything that waits to be approved or is held."""
        for deployment in await self.deployments.active():
            if deployment.phase in {Phase.AWAITING_APPROVAL, Phase.HELD}:
                self.ledger.announce(deployment)

    async def check(self, deployment: Deployment) -> tuple[GateResult, ...]:
        """The gates that keep a deployment, whose turn it is, from going on now. Rollbacks were asked when they were
        requested, and are not held up again.
        """
        if deployment.is_rollback:
            return ()
        return stopping(await self.gatekeeper.ask(await self._refresh(deployment)))

    async def send_back(self, deployment_id: DeploymentId, stops: Sequence[GateResult]) -> int:
        """Take a deployment, for which nothing was changed yet, out of the queue or the lock: it waits for approval or
        is held. How often it had taken a place in the queue.
        """
        deployment = await self.deployments.get(deployment_id)
        if deployment.phase in {Phase.QUEUED, Phase.DEPLOYING}:
            if deployment.phase is Phase.DEPLOYING:
                deployment = await self.ledger.amend(
                    deployment_id, lambda found: replace(found.touch(), previous=None, previous_recorded=False)
                )
            await self._stop(deployment, stops)
        return deployment.times_queued

    async def _look(self, deployment: Deployment) -> tuple[Deployment, datetime | None]:
        """Bring it on if that is possible now; the deployment after that, and when to look again at the latest."""
        deployment, now = await self._refresh(deployment), self.ledger.now()
        if deployment.phase is Phase.AWAITING_APPROVAL:
            return await self._await_approval(deployment, now)
        if deployment.phase is Phase.HELD and (hold := deployment.hold):
            if hold.expires and now >= hold.expires:
                note = f"It was held too long. {hold.sentence}"
                return await self._advance(deployment, Phase.EXPIRED, key=_key("expired", deployment), note=note), None
            times = [at for at in (hold.expires, hold.until if hold.resumes else None) if at and at > now]
            if not hold.resumes:
                return deployment, min(times, default=None)
            after = await self._go_on(deployment)
            return after, min(times, default=None)
        if deployment.phase is Phase.REQUESTED:
            return await self._go_on(deployment), None
        return deployment, None

    async def _await_approval(self, deployment: Deployment, now: datetime) -> tuple[Deployment, datetime | None]:
        place = self.gatekeeper.catalogs.current().environments.get(deployment.environment)
        asked, rule = deployment.asked_at, place.approval if place else None
        tally = await self.gatekeeper.tally_of(deployment)
        if rule is None or tally is None or asked is None:
            return await self._go_on(deployment), None
        if tally.state is TallyState.REJECTED:
            key = _key("rejected", deployment)
            note = tally.sentence
            return await self._advance(deployment, Phase.REJECTED, key=key, note=note, actor=tally.by[0]), None
        if tally.approved:
            return await self._go_on(deployment, actor=tally.by[-1], note=tally.sentence), None
        if now >= rule.expires_at(asked):
            note = f"Nobody decided in time. {tally.sentence}"
            return await self._advance(deployment, Phase.EXPIRED, key=_key("expired", deployment), note=note), None
        if self._reminded(deployment, now):
            deployment = await self.ledger.amend(deployment.id, lambda found: found.touch())
        times = (rule.nudges_at(asked), rule.escalates_at(asked), rule.expires_at(asked))
        return deployment, min(at for at in times if at > now)

    def _reminded(self, deployment: Deployment, now: datetime) -> bool:
        """Whether people are to be reminded, or others asked, since it was looked at last: then it is shown anew."""
        place = self.gatekeeper.catalogs.current().environments[deployment.environment]
        asked, rule = deployment.asked_at, place.approval
        if asked is None or rule is None:
            return False
        due = sum(now >= at for at in (rule.nudges_at(asked), rule.escalates_at(asked)))
        shown = self._reminders.get(deployment.id, 0) if due else 0
        if due:
            self._reminders[deployment.id] = due
        return due > shown

    async def _go_on(
        self,
        deployment: Deployment,
        *,
        actor: Actor = BOT,
        note: str = "",
        door_and_rule: tuple[Membership, str] | None = None,
    ) -> Deployment:
        """Bring it where it belongs now: to be approved, to its time, into a hold or into the queue."""
        note = note or (await self.gatekeeper.exemptions(deployment) if deployment.is_rollback else "")
        stops = stopping(await self.gatekeeper.ask(deployment)) if not deployment.is_rollback else ()
        wish, now = deployment.wish, self.ledger.now()
        if any(stop.name == "approval" for stop in stops):
            return await self._stop(deployment, stops)
        if wish and now >= wish.expires:
            note = "Its time had passed before it could start; nothing was changed."
            return await self._advance(deployment, Phase.EXPIRED, key=_key("expired", deployment), note=note)
        if wish and now < wish.at and deployment.reached(Phase.SCHEDULED) is None:
            await self._set_time(deployment, wish)
            return await self._advance(deployment, Phase.SCHEDULED, key="scheduled", note=note, actor=actor)
        if stops:
            return await self._stop(deployment, stops)
        key = f"queued:{deployment.times_queued + 1}" if deployment.times_queued else "queued"
        member, rule = door_and_rule or (None, "")
        queued = await self._advance(
            deployment, Phase.QUEUED, key=key, note=note, actor=actor, member=member, rule=rule
        )
        if queued.phase is Phase.QUEUED:
            await self.queueing.supersede(queued)
        return queued

    async def _set_time(self, deployment: Deployment, wish: Wish) -> None:
        if await self.schedules.of(deployment.id) is None:
            deed = Deed(actor=deployment.requester, at=self.ledger.now(), reason=deployment.reason)
            await self.schedules.set(deployment.id, at=wish.at, expires=wish.expires, deed=deed)

    async def _stop(self, deployment: Deployment, stops: Sequence[GateResult]) -> Deployment:
        """Send it to be approved, or hold it."""
        asks = next((stop for stop in stops if stop.name == "approval"), None)
        if asks is not None:
            if deployment.phase is Phase.AWAITING_APPROVAL:
                return deployment
            note = noted_since(deployment) or (asks.sentence if deployment.asked_at else "")
            return await self._advance(deployment, Phase.AWAITING_APPROVAL, key=_key("approval", deployment), note=note)
        stop, now = stops[0], self.ledger.now()
        unknown = all(one.verdict is Verdict.UNKNOWN for one in stops)
        waits = deployment.waits and all(one.name in WAITS_FOR for one in stops)
        expires = deployment.wish.expires if deployment.wish else now + HELD_FOR
        if deployment.hold and deployment.hold.expires:
            expires = deployment.hold.expires
        hold = Hold(
            gate=stop.name,
            sentence=stop.sentence,
            until=opens_at(stops),
            resumes=unknown or waits,
            expires=expires,
        )
        if deployment.phase is Phase.HELD:
            if hold == deployment.hold:
                return deployment
            return await self.ledger.amend(deployment.id, lambda found: _held(found, hold))
        return await self._advance(
            deployment,
            Phase.HELD,
            key=_key("held", deployment),
            note=stop.sentence,
            then=lambda found: replace(found, hold=hold, turn=None),
        )

    async def _refresh(self, deployment: Deployment) -> Deployment:
        """The deployment under the configuration that is in force, and planned against what runs now.

        What was said about another plan or configuration does not count any more, and that is shown.
        """
        catalog = self.gatekeeper.catalogs.current()
        place = catalog.environments.get(deployment.environment)
        service = catalog.services.get(deployment.service)
        gone = place is None or service is None or deployment.environment not in service.targets
        if gone or place is None or deployment.is_rollback or deployment.phase not in WAITING:
            return deployment
        scope = catalog.lock_scope(deployment.service, deployment.environment)
        moved = deployment.catalog_revision != catalog.revision and (
            scope == deployment.scope or deployment.phase is not Phase.QUEUED
        )
        if not moved and place.approval is None:
            return deployment
        plan = deployment.plan
        try:
            target = self.providers.target(catalog, deployment.service, deployment.environment)
            plan = await patiently(lambda: target.plan(release=deployment.release), patience=5)
        except ProviderError as error:
            log.warning("#%s could not be planned anew: %s", deployment.number, error.message)
        same = plan is not None and deployment.plan is not None and plan.hash == deployment.plan.hash
        if same and not moved:
            return deployment
        before = self.gatekeeper.subject_of(deployment)
        before = replace(before, catalog_revision=deployment.catalog_revision)
        revision = catalog.revision if moved else deployment.catalog_revision
        asked = place.approval is not None and deployment.asked_at is not None
        # Noted first: what is void in the books only would be found by nobody who looks at the deployment.
        lost = await self.approvals.lost(replace(deployment, plan=plan), before) if asked else ""

        def renew(found: Deployment) -> Deployment:
            if found.phase not in WAITING:
                return found
            note = lost or found.note
            return replace(found.evolve(plan=plan), catalog_revision=revision, scope=scope, note=note)

        changed = await self.ledger.amend(deployment.id, renew)
        if asked:
            await self.approvals.void(changed, before)
        return changed

    async def _advance(
        self,
        deployment: Deployment,
        phase: Phase,
        *,
        key: str,
        note: str = "",
        actor: Actor = BOT,
        member: Membership | None = None,
        rule: str = "",
        then: Callable[[Deployment], Deployment] = lambda found: found,
    ) -> Deployment:
        """Advance from exactly where it was seen, or find that it went another way meanwhile."""

        def unless_moved(found: Deployment) -> Deployment:
            if len(found.timeline) != len(deployment.timeline):
                raise InvalidTransition(f"#{found.number} is {found.phase.words}.")
            return then(found)

        try:
            return await self.ledger.advance(
                deployment.id,
                phase,
                actor=actor,
                key=key,
                note=note,
                door=member.door if member else None,
                rule=rule,
                first=unless_moved,
            )
        except InvalidTransition as refusal:
            log.info("%s stays as it is: %s", deployment.id, refusal.message)
            return await self.deployments.get(deployment.id)


def turn_of(deployment: Deployment) -> str:
    """The name of the turn that a deployment in the queue has: the same for whoever looks at its row."""
    times = deployment.times_queued
    return f"{deployment.id}:turn" if times <= 1 else f"{deployment.id}:turn:{times}"


def _but_approval(stops: Sequence[GateResult]) -> tuple[GateResult, ...]:
    return tuple(stop for stop in stops if stop.name != "approval")


def _held(found: Deployment, hold: Hold) -> Deployment:
    return replace(found.touch(), hold=hold) if found.phase is Phase.HELD else found


def _key(act: str, deployment: Deployment) -> str:
    """Names an act by where in its life the deployment was: after a crash the same act has the same name."""
    return f"{act}:{len(deployment.timeline)}"
