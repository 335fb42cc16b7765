"""What people can ask for. Each use case authorises, then writes once; it never waits for a deployment."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.actor import BOT, Door, Membership
from bot.domain.ago import ago
from bot.domain.analysis.countdown import CountdownState
from bot.domain.audit import Deed
from bot.domain.deployment import Moment, Request, Resolution
from bot.domain.errors import (
    BadCommand,
    Blocked,
    InvalidTransition,
    NoRollback,
    NotAuthorized,
    NothingToDo,
    ProviderError,
    SomebodyWasFaster,
)
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.access import Action, may
from bot.domain.policy.gates import stopping
from bot.domain.redact import redact
from bot.engine.orders import Admitted, Order
from bot.engine.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement
    from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
    from bot.domain.release import Release
    from bot.engine.durable import Durable
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.engine.orders import DryRun, Orders
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.providers import CatalogSource, Providers
    from bot.ports.schedules import Schedules

_CHANGING = frozenset({Phase.DEPLOYING, Phase.PAUSED, Phase.VERIFYING})


@dataclass(kw_only=True)
class Requests:
    """The doors' common way in: command, mention, button, form, API."""

    ledger: Ledger
    deployments: Deployments
    releases: Releases
    catalogs: CatalogSource
    providers: Providers
    gatekeeper: Gatekeeper
    orders: Orders
    schedules: Schedules
    durable: Durable

    async def deploy(self, order: Order) -> Deployment:
        """Accept a deployment; raises `RequestRefused` when it cannot be, and then nothing was changed.

        It may have to be approved, or wait for its time or its turn, before it begins.
        """
        return await self._accept(await self.orders.admit(order))

    async def deploy_all(self, orders: Sequence[Order]) -> Sequence[Deployment]:
        """Accept several deployments, or none: all are checked before the first is written."""
        admitted = [await self.orders.admit(order) for order in orders]
        return [await self._accept(found) for found in admitted]

    async def check(self, order: Order) -> None:
        """Raise what `deploy` would raise, without accepting anything."""
        await self.orders.admit(order)

    async def dry_run(self, order: Order) -> DryRun:
        """What `deploy` would change, found out without changing or locking anything."""
        return await self.orders.dry_run(order)

    async def roll_back(
        self,
        deployment_id: DeploymentId,
        *,
        requester: Membership,
        origin: str,
        reason: str = "",
        to: str | None = None,
    ) -> Deployment:
        """Accept a rollback of a deployment to the release proven healthy before it, or to the version ``to``."""
        found = await self.deployments.get(deployment_id)
        catalog = self.catalogs.current()
        rule = self.gatekeeper.authorise(requester, Action.ROLLBACK, found.service, found.environment)
        self._refuse_second(found, requester)
        if found.phase is not Phase.SUCCEEDED:
            hint = "Abort it instead." if not found.phase.final else None
            raise InvalidTransition(
                f"#{found.number} is {found.phase.words}; only a succeeded deployment can be rolled back.", hint=hint
            )
        now_running = await self.orders.placement(found.service, found.environment)
        if now_running is None or now_running.deployment != found.id:
            raise InvalidTransition(
                f"#{found.number} is not what {found.service} runs in {found.environment} any more"
                + (f"; that is {now_running.release.version}." if now_running else "."),
                hint=f"`/deploy rollback {found.service} {found.environment}` rolls back what runs now.",
            )
        back_to = await self._proven(catalog, found, to)
        await self._refuse_locked(back_to, found, requester)
        order = Order(
            service=found.service,
            version=back_to.version,
            environment=found.environment,
            requester=requester,
            channel=found.channel,
            origin=origin,
            reason=reason,
            strategy="rolling",
        )
        admitted = Admitted(
            order=order, catalog=catalog, release=back_to, environment=found.environment, rule=rule, override=None
        )
        deployment = self._new(admitted, rollback_of=found.id)
        try:
            added = await self.ledger.add(
                deployment, taking_back=found.id, phase=Phase.ROLLING_BACK, door=requester.door, rule=rule
            )
        except InvalidTransition:
            self._refuse_second(await self.deployments.get(found.id), requester)
            raise
        await self.durable.begin(added.id, added.scope)
        return added

    async def roll_back_place(
        self,
        service: str,
        environment: str,
        *,
        requester: Membership,
        origin: str,
        reason: str = "",
        to: str | None = None,
    ) -> Deployment:
        """Accept a rollback of whatever a service runs in an environment."""
        catalog = self.catalogs.current()
        service_name, environment_name = self.orders.place(catalog, service, environment)
        self.gatekeeper.authorise(requester, Action.ROLLBACK, service_name, environment_name)
        placement = await self.orders.placement(service_name, environment_name)
        if to is None:
            await self._none_under_way(service_name, environment_name, placement)
        if placement is None or placement.deployment is None:
            runs = f"It runs {placement.release.version}, which" if placement else "What it runs, if anything,"
            raise NoRollback(
                f"There is nothing to roll back: {service} in {environment} was never deployed from here. "
                f"{runs} was there before.",
                hint=f"`/deploy {service} <version> {environment}` deploys a version.",
            )
        return await self.roll_back(placement.deployment, requester=requester, origin=origin, reason=reason, to=to)

    async def roll_back_by_itself(self, deployment_id: DeploymentId, why: str) -> tuple[DeploymentId, LockScope] | None:
        """Take back what fails its checks; done once, however often it is asked for. Where there is no way back, it is
        left for people to see: nothing is rolled back to what was never proven.

        The rollback, which whoever asked has to begin: within a step of a workflow no other one can be started.
        """
        found, origin = await self.deployments.get(deployment_id), f"automatic:{deployment_id}"
        if found.phase is Phase.ROLLING_BACK:
            past = await self.deployments.history(found.service, found.environment, limit=10)
            return next(((one.id, one.scope) for one in past if one.origin == origin), None)
        now_running = await self.orders.placement(found.service, found.environment)
        if found.phase is not Phase.SUCCEEDED or now_running is None or now_running.deployment != found.id:
            return None
        catalog, now = self.catalogs.current(), self.ledger.now()
        try:
            back_to = await patiently(lambda: self._proven(catalog, found, None), patience=60)
        except (NoRollback, ProviderError) as refusal:
            barred = f"{refusal.message.rstrip('.')}."
            await self.ledger.amend_as(
                deployment_id,
                lambda one: _barred(one, barred, now),
                kind="countdown",
                actor=BOT,
                at=now,
                note=f"This is not rolled back automatically: {barred} A person must decide.",
            )
            return None
        order = Order(
            service=found.service,
            version=back_to.version,
            environment=found.environment,
            requester=Membership(actor=BOT, door=Door.ENGINE),
            channel=found.channel,
            origin=origin,
            reason=why,
            strategy="rolling",
        )
        admitted = Admitted(
            order=order, catalog=catalog, release=back_to, environment=found.environment, rule="", override=None
        )
        with contextlib.suppress(InvalidTransition):  # somebody was faster
            added = await self.ledger.add(
                self._new(admitted, rollback_of=found.id),
                taking_back=found.id,
                phase=Phase.ROLLING_BACK,
                door=Door.ENGINE,
                rule="automatic rollback",
            )
            return added.id, added.scope
        return None

    async def abort(self, deployment_id: DeploymentId, *, requester: Membership, reason: str = "") -> Deployment:
        """Stop a deployment. One that waits ends at once; one that changes its target stops and puts it back."""
        found = await self.deployments.get(deployment_id)
        rule = self._may_abort(found, requester)
        actor, at, reason = requester.actor, self.ledger.now(), redact(reason)  # everybody reads it
        if found.phase in WAITING:
            try:
                ended = await self.ledger.advance(
                    found.id,
                    Phase.ABORTED,
                    actor=actor,
                    key="closed:aborted",
                    note=reason or "Nothing was changed.",
                    at=at,
                    door=requester.door,
                    rule=rule,
                    first=_still_waiting,
                )
            except InvalidTransition:
                found = await self.deployments.get(deployment_id)
            else:
                if ended.timeline[-1].at != at:  # the key was there: another click had come first
                    raise self._too_late(ended, requester)
                await self.durable.steps.give_back(ended)
                await self._cancel_time(ended, requester, rule)
                for other in await self.deployments.queue(ended.scope):
                    self.ledger.announce(other)
                return ended
        if found.phase.final:
            raise self._too_late(found, requester)
        request = Request(actor=actor, at=at, reason=reason)
        return await self.ledger.ask(found.id, request, door=requester.door, rule=rule)

    async def resolve(
        self, deployment_id: DeploymentId, resolution: Resolution, *, requester: Membership
    ) -> Deployment:
        """Decide what happens to a deployment that needs attention."""
        found = await self.deployments.get(deployment_id)
        action = Action.ROLLBACK if resolution is Resolution.ROLL_BACK else Action.RESOLVE
        rule = self.gatekeeper.authorise(requester, action, found.service, found.environment)
        request = Request(actor=requester.actor, at=self.ledger.now(), resolution=resolution)
        return await self.ledger.ask(found.id, request, door=requester.door, rule=rule)

    async def _accept(self, admitted: Admitted) -> Deployment:
        order = admitted.order
        added = await self.ledger.add(
            self._new(admitted),
            taking_back=None,
            phase=Phase.REQUESTED,
            door=order.requester.door,
            rule=admitted.rule,
            override=admitted.override,
        )
        await self.durable.begin(added.id, added.scope)
        return added

    async def _none_under_way(
        self, service: ServiceName, environment: EnvironmentName, placement: Placement | None
    ) -> None:
        """Refuse to take back what ran before a change that is under way: whoever asks means that change."""
        for other in await self.deployments.active():
            here = (other.service, other.environment) == (service, environment)
            if here and other.phase in _CHANGING and not other.is_rollback and other.request is None:
                before = placement.release.version if placement else "what ran before"
                raise NoRollback(
                    f"#{other.number}, {service} {other.release.version}, is {other.phase.words} in {environment} "
                    f"just now; a rollback would take back {before}, which it replaces.",
                    hint=f"`/deploy abort #{other.number}` stops it and brings {before} back. "
                    "To go back further than that, say the version: `to=…`.",
                )

    def _new(self, admitted: Admitted, *, rollback_of: DeploymentId | None = None) -> Deployment:
        at = Moment(phase=Phase.REQUESTED, at=self.ledger.now(), actor=admitted.order.requester.actor)
        return self.orders.new(admitted, at=at, rollback_of=rollback_of)

    async def _proven(self, catalog: Catalog, found: Deployment, to: str | None) -> Release:
        """The release to go back to, made sure to exist still."""
        images = self.providers.images(catalog, found.service)
        wanted = await images.resolve(version=to) if to else None
        proven = await self.releases.rollback_target(
            found.service, found.environment, other_than=found.release, exactly=wanted
        )
        if proven is None and to is not None:
            raise NoRollback(
                f"{found.service} {to} was never proven healthy in {found.environment}, so nothing can be rolled back "
                "to it.",
                hint=f"`/deploy {found.service} {to} {found.environment}` deploys it.",
            )
        if proven is None:
            raise NoRollback(
                f"There is nothing to roll back to: no release of {found.service} before "
                f"{found.release.version} was proven healthy in {found.environment}."
            )
        try:
            still = await images.resolve(version=proven.release.version)
        except BadCommand as gone:
            raise NoRollback(
                f"{found.service} {proven.release.version} cannot be brought back: it is not to be found any more.",
                hint=f"`/deploy {found.service} <version> {found.environment}` deploys another version.",
            ) from gone
        if not still.same_as(proven.release):
            raise NoRollback(
                f"{found.service} {proven.release.version} is not what it was: it has been built anew since it was "
                f"proven healthy ({proven.release.short_digest} then, {still.short_digest} now).",
                hint=f"`/deploy {found.service} {proven.release.version} {found.environment}` deploys the new build.",
            )
        return proven.release

    def _may_abort(self, found: Deployment, requester: Membership) -> str:
        """The role that lets somebody stop it: their own, with the right to, or, while it waits, to approve it."""
        own = found.requester.same_as(requester.actor)
        service, environment = found.service, found.environment
        try:
            return self.gatekeeper.authorise(requester, Action.ABORT, service, environment, own=own)
        except NotAuthorized:
            rules = self.catalogs.current().rules
            denied = may(rules, requester, Action.ABORT, service=service, environment=environment).role is not None
            if denied or found.phase not in WAITING or not self.gatekeeper.may_approve(requester, found):
                raise
            return self.gatekeeper.authorise(requester, Action.APPROVE, service, environment)

    async def _cancel_time(self, ended: Deployment, requester: Membership, rule: str) -> None:
        """Take away the time that it waited for. One that is forgotten comes to nothing when it is due."""
        if ended.reached(Phase.SCHEDULED) is None:
            return
        deed = Deed(actor=requester.actor, at=self.ledger.now(), door=requester.door, rule=rule)
        with contextlib.suppress(NothingToDo):
            await self.schedules.cancel(ended.id, deed=deed)

    async def _refuse_locked(self, release: Release, found: Deployment, requester: Membership) -> None:
        """Raise `Blocked` when somebody else's lock keeps even a rollback out."""
        gates = await self.gatekeeper.foresee(release, found.environment, member=requester, rollback=True)
        if stops := [stop for stop in stopping(gates) if stop.name == "lock"]:
            raise Blocked(stops[0].sentence, gates=stops, hint="Its owner can take it away, or you take it over.")

    def _refuse_second(self, found: Deployment, requester: Membership) -> None:
        """Raise `SomebodyWasFaster` if the deployment is being rolled back or was."""
        if found.phase not in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
            return
        # The last time: a rollback that came to nothing gives the deployment back to be rolled back again.
        begun = [moment for moment in found.timeline if moment.phase is Phase.ROLLING_BACK]
        taken = begun[-1] if begun else found.timeline[-1]
        who = "You" if taken.actor.same_as(requester.actor) else taken.actor.name
        raise SomebodyWasFaster(f"{who} already rolled #{found.number} back, {ago(taken.at, self.ledger.now())}.")

    def _too_late(self, found: Deployment, requester: Membership) -> SomebodyWasFaster | InvalidTransition:
        last = found.timeline[-1]
        if found.phase is Phase.ABORTED:
            who = "You" if last.actor.same_as(requester.actor) else last.actor.name
            return SomebodyWasFaster(f"{who} already aborted #{found.number}, {ago(last.at, self.ledger.now())}.")
        return InvalidTransition(f"#{found.number} is over: it {_WAS.get(found.phase, 'ended')}.")


_WAS = {
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.ERRORED: "broke",
    Phase.REJECTED: "was rejected",
    Phase.EXPIRED: "expired",
    Phase.SUPERSEDED: "was superseded",
    Phase.ROLLING_BACK: "is being rolled back",
    Phase.ROLLED_BACK: "was rolled back",
}


def _barred(deployment: Deployment, why: str, at: datetime) -> Deployment:
    """The deployment whose automatic rollback cannot be: a person must look."""
    if deployment.countdown is None or deployment.countdown.state is CountdownState.PAGED:
        return deployment
    barred = replace(deployment.countdown, state=CountdownState.PAGED, barred=why, ended=at)
    return replace(deployment.touch(), version=deployment.version + 1, countdown=barred)


def _still_waiting(deployment: Deployment) -> Deployment:
    if deployment.phase not in WAITING:
        raise InvalidTransition(f"#{deployment.number} is {deployment.phase.words}.")
    return deployment
