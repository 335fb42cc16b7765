"""Stop the line: a freeze stands, and nothing is on its way any more, before whoever put it hears so.

Must not hold deployments itself: every permit to change a target reads the freezes after it was taken
(`bot.engine.permits`), and here the freeze is written before permits are looked for. One of both sees the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.deployment import Request
from bot.domain.errors import (
    ConfigurationError,
    InvalidTransition,
    NothingToDo,
    SomebodyWasFaster,
    StoreError,
    UnknownDeployment,
)
from bot.domain.ids import DeploymentId
from bot.domain.lifecycle import Phase
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action
from bot.domain.policy.freeze import Freeze, WhileRunning, covering
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.engine.controls import (
    REMEMBERED,
    afterwards,
    ahead,
    channel,
    check_scope,
    covered,
    needed,
    new_id,
    nobody,
    numbers,
    redraw,
    to,
    touches,
    typed,
    who_and_when,
)
from bot.engine.permits import WRITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.deployment import Deployment
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.ports.deployments import Deployments
    from bot.ports.freezes import Freezes
    from bot.ports.leases import Leases
    from bot.ports.notices import Notices
    from bot.ports.overrides import Overrides
    from bot.ports.providers import CatalogSource

_LOOK_EVERY = 0.02
"""Seconds between two looks for permits."""
_CLOCKS_APART = timedelta(seconds=5)
"""How far ahead of the writer's our clock may be: a permit that ended that recently by our clock still counts."""
_RUNNING = frozenset({Phase.DEPLOYING, Phase.PAUSED, Phase.VERIFYING})
_GATE = "freeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A freeze that stands, and what it found under way."""

    freeze: Freeze
    writing: Sequence[Deployment] = ()
    """Those that still have a change on its way, which nobody can call back any more; empty nearly always."""
    under_way: Sequence[Deployment] = ()
    """Those that go forward and have the place for themselves now."""
    aborting: Sequence[Deployment] = ()
    """Those of them that were asked to stop and put back what ran before."""
    pausing: Sequence[Deployment] = ()
    """Those of them whose next step waits until the freeze is lifted."""
    others: Sequence[Freeze] = ()
    """Freezes of the same places that stand beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfrozen:
    """Freezes that are over, and what only they had held: its requesters start it again, nothing does by itself."""

    freezes: Sequence[Freeze]
    held: Sequence[Deployment] = ()


@dataclass(kw_only=True, repr=False)
class Freezing:
    """What people can do with freezes."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    freezes: Freezes
    overrides: Overrides
    leases: Leases
    notices: Notices
    gatekeeper: Gatekeeper
    freed: Callable[[Scope], Awaitable[None]] = nobody
    """Called when less is frozen than before."""
    patience: float = 5.0
    """Seconds to wait for changes that are on their way."""

    async def freeze(
        self, *, scope: Scope, requester: Membership, reason: str, until: datetime | None = None
    ) -> Frozen:
        """Let nothing go forward there. Once this returns no change begins, and those in ``writing`` are all that are
        still on their way. The same wish of the same person again is one freeze.

        Raises `NotAuthorized`, and `BadCommand` for a place that there is not, no reason or an end in the past.
        """
        catalog, now, me = self.catalogs.current(), self.ledger.now(), requester.actor
        check_scope(catalog, scope)
        rule = self.gatekeeper.authorise_scope(requester, Action.CONFIGURE, scope)
        hint = f'Say why: `/deploy freeze {typed(scope)} reason="…"`.'
        reason = needed(reason, "A freeze needs a reason: everybody who is held will read it.", hint)
        made = Freeze(id=new_id("f"), scope=scope, reason=reason, by=me, at=now, until=ahead(until, now, "A freeze"))
        standing = await self.freezes.current(at=now)
        same = next((one for one in standing if _same_wish(one, made)), None)
        deed = Deed(actor=me, at=now, reason=reason, door=requester.door, rule=rule)
        placed = same or await self.freezes.place(made, deed=deed)
        try:
            writing = await self._until_written(scope)
            under_way = await self._under_way(scope)
        except StoreError as error:
            message = f"The freeze of {scope.words} may stand, but what is on its way cannot be told: {error.message}"
            raise StoreError(message) from error
        policies = [(one, await self._policy(one)) for one in under_way]
        aborting = [one for one, policy in policies if policy is WhileRunning.ABORT and await self._stop(one, placed)]
        await afterwards(
            f"freezing {scope.key}",
            lambda: self.tell_frozen(placed),
            lambda: redraw(self.ledger, self.deployments, scope),
        )
        return Frozen(
            freeze=placed,
            writing=writing,
            under_way=under_way,
            aborting=aborting,
            pausing=[one for one, policy in policies if policy is WhileRunning.PAUSE],
            others=[one for one in standing if one.id != placed.id and _overlap(one.scope, scope)],
        )

    async def unfreeze(self, *, scope: Scope, requester: Membership, reason: str = "") -> Unfrozen:
        """Lift the freezes of exactly that scope, whoever put them.

        Raises `NotAuthorized`, and `NothingToDo` when there is none, with who lifted it if somebody did.
        """
        found = [freeze for freeze in await self.freezes.current(at=self.ledger.now()) if freeze.scope == scope]
        if not found:
            check_scope(self.catalogs.current(), scope)
            raise await self._nothing(scope, requester)
        return await self._lift(found, requester, reason)

    async def unfreeze_one(self, freeze_id: str, *, requester: Membership, reason: str = "") -> Unfrozen:
        """Lift one freeze. Raises like `unfreeze`."""
        now = self.ledger.now()
        for freeze in await self.freezes.current(at=now):
            if freeze.id == freeze_id:
                return await self._lift([freeze], requester, reason)
        for freeze, by in await self.freezes.ended(since=now - timedelta(hours=REMEMBERED)):
            if freeze.id == freeze_id:
                await self.tell_unfrozen(freeze, by)
                raise self._over(freeze, by, requester)
        raise NothingToDo("That freeze is not there any more.", hint="`/deploy locks` shows what is frozen now.")

    async def current(self, service: str | None = None, environment: str | None = None) -> Sequence[Freeze]:
        """The freezes that matter there, the oldest first."""
        found = await self.freezes.current(at=self.ledger.now())
        return [freeze for freeze in found if touches(freeze.scope, service, environment)]

    async def complete(self, freeze: Freeze) -> None:
        """Do what follows a freeze for whoever died over putting it; again changes nothing."""
        await self.tell_frozen(freeze)
        for one in await self._under_way(freeze.scope):
            # What began later had the freeze before it, or a person's word that it may go on.
            begun = [moment.at for moment in one.timeline if moment.phase is Phase.DEPLOYING]
            if begun and begun[-1] <= freeze.at and await self._policy(one) is WhileRunning.ABORT:
                await self._stop(one, freeze)

    async def tell_frozen(self, freeze: Freeze) -> None:
        """Tell everybody of a freeze; again changes nothing."""
        facts = {"freeze": freeze.id, "scope": freeze.scope.key}
        facts |= {"until": freeze.until.isoformat()} if freeze.until else {}
        await self.notices.add(
            Notice(
                key=f"frozen:{freeze.id}",
                to=channel(self.catalogs.current().channel),
                kind=NoticeKind.FROZEN,
                at=freeze.at,
                by=freeze.by,
                sentence=freeze.sentence,
                facts=facts,
            )
        )

    async def tell_unfrozen(self, freeze: Freeze, by: Actor | None) -> None:
        """Tell everybody that a freeze is over, and those whom it held that they may start; again changes nothing.

        ``freeze`` is as it ended; ``by`` whoever lifted it, None when its time had passed.
        """
        ended = freeze.until or self.ledger.now()
        # What is held since is not this freeze's; a little later may only be another clock.
        held = [one for one in await self._held([freeze]) if one.since <= ended + _CLOCKS_APART]
        actor, words = by or BOT, freeze.scope.words
        how = f"{by.name} has lifted" if by else "The time has passed of"
        whose = "the" if by and by.same_as(freeze.by) else f"{freeze.by.name}'s"
        sentence = f"{how} {whose} freeze of {words} ({freeze.reason})."
        waits = f" It held {numbers(held)}; who asked for {'it' if len(held) == 1 else 'them'} may start again."
        if not held:  # what stood still between two steps needs nobody to start it
            begun = [one for one in await self._under_way(freeze.scope) if one.request is None]
            goes_on = f" that somebody must start; {numbers(begun)} {'goes' if len(begun) == 1 else 'go'} on"
            waits = f" It held nothing{goes_on if begun else ''}."
        for one in held:
            await self.notices.add(
                Notice(
                    key=f"freed:{one.id}:{one.version}",
                    to=to(one.requester, self.catalogs.current()),
                    kind=NoticeKind.FREED,
                    at=ended,
                    by=actor,
                    sentence=f"{sentence} Your #{one.number}, {one.service} {one.release.version} to "
                    f"{one.environment}, was held by it: start it if it is still wanted.",
                    deployment=one.id,
                    facts={"freeze": freeze.id, "number": str(one.number)},
                )
            )
        await self.notices.add(
            Notice(
                key=f"unfrozen:{freeze.id}",
                to=channel(self.catalogs.current().channel),
                kind=NoticeKind.UNFROZEN,
                at=ended,
                by=actor,
                sentence=sentence + waits,
                facts={"freeze": freeze.id, "scope": freeze.scope.key, "held": " ".join(str(d.number) for d in held)},
            )
        )

    async def _lift(self, found: Sequence[Freeze], requester: Membership, reason: str) -> Unfrozen:
        scope, now, me = found[0].scope, self.ledger.now(), requester.actor
        # One of what the catalog does not have any more is lifted by whoever may lift any.
        there = covered(self.catalogs.current(), scope)
        rule = self.gatekeeper.authorise_scope(requester, Action.CONFIGURE, scope if there else EVERYTHING)
        deed = Deed(actor=me, at=now, reason=reason, door=requester.door, rule=rule)
        lifted: list[Freeze] = []
        refusal: NothingToDo | None = None
        for freeze in found:
            try:
                lifted.append(await self.freezes.lift(freeze.id, deed=deed))
            except NothingToDo as over:
                refusal = over
        if refusal is not None and not lifted:
            raise NothingToDo(refusal.message, hint="`/deploy locks` shows what is frozen now.")
        held = await self._held(lifted)
        await afterwards(
            f"unfreezing {scope.key}",
            *(partial(self.tell_unfrozen, freeze.lifted(now), me) for freeze in lifted),
            lambda: redraw(self.ledger, self.deployments, scope),
            lambda: self.freed(scope),
        )
        return Unfrozen(freezes=lifted, held=held)

    async def _until_written(self, scope: Scope) -> list[Deployment]:
        """Wait until no change is on its way that was let go before the freeze; those that still are in the end."""
        names = {f"{WRITING}{one.id}": one for one in await self._writers(scope)}
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.patience
        # Only those of the first look: who takes a permit from now on sees the freeze.
        while names and clock() < deadline:
            await asyncio.sleep(_LOOK_EVERY)
            held = await self._permits()
            names = {name: one for name, one in names.items() if name in held}
        return sorted(names.values(), key=lambda one: one.number)

    async def _writers(self, scope: Scope) -> list[Deployment]:
        """Those within the scope that have a permit now, rollbacks apart."""
        found: list[Deployment] = []
        for name in await self._permits():
            with contextlib.suppress(UnknownDeployment):
                one = await self.deployments.get(DeploymentId(name.removeprefix(WRITING)))
                if scope.covers(one.service, one.environment) and not one.is_rollback:
                    found.append(one)
        return found

    async def _permits(self) -> set[str]:
        return set(await self.leases.held(WRITING, at=self.ledger.now() - _CLOCKS_APART))

    async def _under_way(self, scope: Scope) -> list[Deployment]:
        """Those within the scope that go forward now."""
        return [
            one
            for one in await self.deployments.active()
            if one.phase in _RUNNING and not one.is_rollback and scope.covers(one.service, one.environment)
        ]

    async def _policy(self, deployment: Deployment) -> WhileRunning:
        """What a freeze means for it: as its own configuration says, unless an exception lets it pass."""
        for override in await self.overrides.of_deployment(deployment.id):
            if override.covers(
                service=deployment.service,
                environment=deployment.environment,
                digest=deployment.release.artifact.digest,
                deployment=deployment.id,
                requester=deployment.requester,
                at=self.ledger.now(),
            ):
                return WhileRunning.CONTINUE
        try:
            catalog = await self.catalogs.at(deployment.catalog_revision)
        except ConfigurationError:
            catalog = self.catalogs.current()
        place = catalog.environments.get(deployment.environment)
        return place.freeze_running if place else WhileRunning.CONTINUE

    async def _stop(self, deployment: Deployment, freeze: Freeze) -> bool:
        """Ask it to stop, unless somebody has; False when it is not under way any more, or has changed nothing yet.

        One that has changed nothing needs no stopping: the next permit is refused, and it is held.
        """
        if not deployment.previous_recorded:
            return False
        request = Request(actor=BOT, at=self.ledger.now(), reason=f"{freeze.sentence}.")
        try:
            await self.ledger.ask(deployment.id, request)
        except InvalidTransition:
            return False
        except SomebodyWasFaster:
            found = await self.deployments.get(deployment.id)
            return found.request is not None and found.request.resolution is None
        return True

    async def _held(self, over: Sequence[Freeze]) -> list[Deployment]:
        """Those that were held by these freezes and that no other one holds."""
        now = self.ledger.now()
        gone = {freeze.id for freeze in over}
        others = [freeze for freeze in await self.freezes.current(at=now) if freeze.id not in gone]
        return [
            one
            for one in await self.deployments.active()
            if one.phase is Phase.HELD
            and one.hold is not None
            and one.hold.gate == _GATE
            and any(freeze.scope.covers(one.service, one.environment) for freeze in over)
            and not covering(others, one.service, one.environment, now)
        ]

    async def _nothing(self, scope: Scope, requester: Membership) -> NothingToDo:
        """Why there is nothing to lift: who was faster, or what else holds the place."""
        now = self.ledger.now()
        ended = [
            one for one in await self.freezes.ended(since=now - timedelta(hours=REMEMBERED)) if one[0].scope == scope
        ]
        if ended:
            await self.tell_unfrozen(*ended[-1])  # should whoever lifted it have died over telling it
            return self._over(*ended[-1], requester)
        others = [freeze for freeze in await self.freezes.current(at=now) if _overlap(freeze.scope, scope)]
        if others:
            return NothingToDo(
                f"There is no freeze of exactly {scope.words}. {others[0].sentence}.",
                hint=f"`/deploy unfreeze {typed(others[0].scope)}` lifts that one.",
            )
        verb = "Nothing is" if scope == EVERYTHING else f"{scope.words} is not"
        return NothingToDo(f"{verb} frozen.", hint="`/deploy locks` shows what is locked and frozen.")

    def _over(self, freeze: Freeze, by: Actor | None, requester: Membership) -> NothingToDo:
        hint = "`/deploy locks` shows what is frozen now."
        if by is None:
            return NothingToDo(f"The freeze of {freeze.scope.words} has ended by itself.", hint=hint)
        who, ago = who_and_when(by, freeze.until or freeze.at, viewer=requester.actor, now=self.ledger.now())
        return NothingToDo(f"{who} lifted the freeze of {freeze.scope.words} already, {ago}.", hint=hint)


def _same_wish(one: Freeze, other: Freeze) -> bool:
    """Whether both are what the same person says twice; "2h" means another instant each time."""
    if one.until is None or other.until is None:
        ends = one.until is other.until
    else:
        ends = abs(one.until - other.until) <= timedelta(minutes=1)
    return ends and one.by.same_as(other.by) and (one.scope, one.reason) == (other.scope, other.reason)


def _overlap(one: Scope, other: Scope) -> bool:
    return touches(one, other.service, other.environment)
