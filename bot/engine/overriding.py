"""Exceptions, each for one artifact and one deployment: two people pass a freeze, one breaks the glass.

Must not let anything pass by itself: the gates read the recorded exception. Who somebody is, what they may, what the
version is, and the place's own lock are never passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.audit import Deed
from bot.domain.errors import BadCommand, Blocked, NotAuthorized, NothingToDo, RevisionNotFound, SomebodyWasFaster
from bot.domain.lifecycle import WAITING
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.scope import Scope
from bot.engine.controls import afterwards, channel, id_of, needed, nobody, place_of, redraw, to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.release import Release
    from bot.engine.gatekeeper import Gatekeeper
    from bot.engine.ledger import Ledger
    from bot.engine.orders import Order
    from bot.engine.requests import Requests
    from bot.ports.deployments import Deployments
    from bot.ports.notices import Notices
    from bot.ports.overrides import Overrides
    from bot.ports.providers import CatalogSource, Providers

ASKED_FOR = timedelta(hours=1)
"""How long an exception from a freeze can be agreed to and used."""
BROKEN_FOR = timedelta(minutes=15)
"""How long broken glass can be used, should its deployment not have been accepted at once."""


@dataclass(kw_only=True, repr=False)
class Overriding:
    """What people can do in spite of freezes, and in an emergency."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    providers: Providers
    overrides: Overrides
    notices: Notices
    gatekeeper: Gatekeeper
    requests: Requests
    freed: Callable[[Scope], Awaitable[None]] = nobody
    """Called when something there may pass now."""

    async def ask(self, order: Order) -> Override:
        """Ask that one deployment of exactly this artifact may pass freezes and closed windows there.

        Whoever may deploy there may ask; a second person, with the right to override a freeze, must agree within the
        hour. The same act again is one exception.

        Raises `NotAuthorized`, and `BadCommand` for a place or a version that there is not, or without a reason.
        """
        catalog = self.catalogs.current()
        service, environment = place_of(catalog, order.service, order.environment)
        rule = self.gatekeeper.authorise(order.requester, Action.DEPLOY, service, environment)
        reason = needed(
            order.reason,
            "An override needs a reason: the person who is to agree will read it.",
            "Say why it cannot wait for the freeze to end.",
        )
        release = await self._release(catalog, service, order.version)
        made = self._new("o", OverrideKind.FREEZE, release, environment, order, reason, ASKED_FOR)
        asked = await self.overrides.add(made, deed=self._deed(order.requester, reason, rule))
        # Whoever asked waits for somebody else, so this must not get lost: should it fail, asking again tells it.
        await self.notices.add(
            Notice(
                key=f"override_asked:{asked.id}",
                to=channel(catalog.admin_channel, catalog.channel),
                kind=NoticeKind.OVERRIDE_ASKED,
                at=asked.at,
                by=asked.by,
                sentence=f"{asked.by.name} asks that {service} {release.version} ({release.short_digest}) may pass "
                f"freezes and windows in {environment} once: {asked.reason}",
                facts=_facts(asked, version=release.version),
            )
        )
        return asked

    async def agree(self, override_id: str, *, requester: Membership) -> Override:
        """Agree to somebody's override; they are told. The same person again changes nothing.

        Raises `NotAuthorized`, also for who asked for it, `NothingToDo` when it is used or its time has passed, and
        `SomebodyWasFaster` when somebody else has agreed.
        """
        found, me, now = await self.overrides.get(override_id), requester.actor, self.ledger.now()
        rule = self.gatekeeper.authorise(requester, Action.OVERRIDE_FREEZE, found.service, found.environment)
        if found.kind is not OverrideKind.FREEZE:
            message = "Broken glass waits for nobody to agree."
            raise NothingToDo(message, hint="It is reviewed afterwards.")
        if found.by.same_as(me):
            hint = "Anybody else with the right to override a freeze can agree."
            raise NotAuthorized("You asked for this override yourself; it takes a second person.", hint=hint)
        mine = found.seconded_by is not None and found.seconded_by.same_as(me)
        if now >= found.until and found.used_by is None and not mine:
            message = f"{found.by.name}'s override is void: nobody used it in time."
            raise NothingToDo(message, hint=f"{found.by.name} can ask for another one.")
        try:
            agreed = await self.overrides.second(found.id, by=me, deed=self._deed(requester, found.reason, rule))
        except SomebodyWasFaster:
            await self._tell_agreed(await self.overrides.get(found.id))  # should they have died over telling it
            raise
        place = Scope(service=agreed.service, environment=agreed.environment)
        await self._tell_agreed(agreed)
        await afterwards(
            "agreeing to an override",
            lambda: redraw(self.ledger, self.deployments, place),
            lambda: self.freed(place),
        )
        return agreed

    async def break_glass(self, order: Order, *, confirm: str) -> Deployment:
        """Deploy past approval, freezes, windows and locks, once; it is announced, and must be reviewed afterwards.

        ``confirm`` is the name of the service, typed by the person. The same act again is one exception and one
        deployment. Raises like `Requests.deploy`, `NotAuthorized` without the right to break the glass, and
        `BadCommand` without a reason or the name. If it is not accepted, the exception ends unused.
        """
        catalog = self.catalogs.current()
        service, environment = place_of(catalog, order.service, order.environment)
        rule = self.gatekeeper.authorise(order.requester, Action.BREAK_GLASS, service, environment)
        # It passes rules, never rights; and who may not deploy must leave no broken glass behind.
        self.gatekeeper.authorise(order.requester, Action.DEPLOY, service, environment)
        reason = needed(
            order.reason,
            "To break the glass needs a reason: it is announced, and reviewed afterwards.",
            'Say what the emergency is: reason="…".',
        )
        if confirm.strip() != service:
            typed = f"{confirm.strip()!r} is not {service}" if confirm.strip() else "Nothing was typed"
            raise BadCommand(
                f"{typed}: to break the glass for {service} in {environment}, type the service's name.",
                token=confirm.strip() or None,
                hint=f"Type {service} to confirm.",
            )
        release = await self._release(catalog, service, order.version)
        made = self._new("g", OverrideKind.BREAK_GLASS, release, environment, order, reason, BROKEN_FOR)
        broken = await self.overrides.add(made, deed=self._deed(order.requester, reason, rule))
        if broken.used_by is not None:  # by this very act, the first time
            deployment = await self.deployments.get(broken.used_by)
        else:
            try:
                deployment = await self.requests.deploy(replace(order, reason=reason, override=broken.id))
            except Blocked:
                broken = await self.overrides.get(broken.id)
                if broken.used_by is None:
                    raise
                deployment = await self.deployments.get(broken.used_by)  # by this very act, at the same time
        await afterwards("breaking the glass", partial(self.tell_broken, broken, deployment))
        return deployment

    async def review(self, override_id: str, *, requester: Membership) -> Override:
        """Record that one has looked at broken glass. The same person again changes nothing.

        Raises `NotAuthorized`, also for who broke it, `NothingToDo` when it was not used, and `SomebodyWasFaster` when
        somebody else has reviewed it.
        """
        found = await self.overrides.get(override_id)
        rule = self._may_review(requester, found)
        if found.kind is not OverrideKind.BREAK_GLASS:
            raise NothingToDo("Only broken glass is reviewed; to an override a second person agreed before.")
        if found.by.same_as(requester.actor):
            hint = "Anybody else with the right to break the glass or to configure can review it."
            raise NotAuthorized("You broke the glass yourself; somebody else must review it.", hint=hint)
        if found.used_by is None:
            raise NothingToDo("It was not used: nothing was deployed by it.", hint="There is nothing to review.")
        reviewed = await self.overrides.review(found.id, by=requester.actor, deed=self._deed(requester, "", rule))
        used = found.used_by
        # Changed a little, so that whichever replica shows it notices: nobody is asked to review it any more.
        await afterwards("reviewing", lambda: self.ledger.amend(used, lambda deployment: deployment.touch()))
        return reviewed

    async def tell_broken(self, broken: Override, deployment: Deployment) -> None:
        """Tell those who watch over it that the glass was broken, and ask for a review; again changes nothing."""
        catalog = self.catalogs.current()
        await self.notices.add(
            Notice(
                key=f"glass_broken:{broken.id}",
                to=channel(catalog.security_channel, catalog.admin_channel, catalog.channel),
                kind=NoticeKind.GLASS_BROKEN,
                at=broken.at,
                by=broken.by,
                sentence=f"{broken.by.name} broke the glass: #{deployment.number}, {deployment.service} "
                f"{deployment.release.version} ({deployment.release.short_digest}) to {deployment.environment}, passes "
                f"approval, freezes, windows and locks: {broken.reason}",
                deployment=deployment.id,
                facts=_facts(broken, version=deployment.release.version),
            )
        )

    async def _tell_agreed(self, agreed: Override) -> None:
        second = agreed.seconded_by
        if second is None:
            return
        waits = [
            one
            for one in await self.deployments.active()
            if one.phase in WAITING
            and one.service == agreed.service
            and one.environment == agreed.environment
            and one.release.artifact.digest == agreed.digest
        ]
        what = f"#{waits[0].number}" if waits else "One deployment of that artifact"
        await self.notices.add(
            Notice(
                key=f"override_agreed:{agreed.id}",
                to=to(agreed.by, self.catalogs.current()),
                kind=NoticeKind.OVERRIDE_AGREED,
                at=self.ledger.now(),
                by=second,
                sentence=f"{second.name} agrees to your override for {agreed.service} in {agreed.environment} "
                f"({agreed.reason}). {what} may pass freezes and windows there.",
                deployment=waits[0].id if waits else None,
                facts=_facts(agreed, version=waits[0].release.version if waits else ""),
            )
        )

    async def _release(self, catalog: Catalog, service: ServiceName, version: str) -> Release:
        try:
            return await self.providers.images(catalog, service).resolve(version=version)
        except RevisionNotFound as refusal:
            refusal.hint = refusal.hint or f"`/deploy history {service}` lists what was deployed."
            raise

    def _new(
        self,
        letter: str,
        kind: OverrideKind,
        release: Release,
        environment: EnvironmentName,
        order: Order,
        reason: str,
        good_for: timedelta,
    ) -> Override:
        now = self.ledger.now()
        # One act can be about several places: each has an exception of its own.
        act = f"{order.origin}:{release.service}:{environment}"
        return Override(
            id=id_of(letter, act),
            kind=kind,
            service=release.service,
            environment=environment,
            digest=release.artifact.digest,
            by=order.requester.actor,
            reason=reason,
            at=now,
            until=now + good_for,
        )

    def _may_review(self, requester: Membership, found: Override) -> str:
        try:
            return self.gatekeeper.authorise(requester, Action.BREAK_GLASS, found.service, found.environment)
        except NotAuthorized as refusal:
            try:
                return self.gatekeeper.authorise(requester, Action.CONFIGURE, found.service, found.environment)
            except NotAuthorized:
                hint = "Who may break the glass or configure there can review it."
                message = f"You may not review broken glass for {found.service} in {found.environment}."
                raise NotAuthorized(message, hint=hint) from refusal

    def _deed(self, member: Membership, reason: str, rule: str) -> Deed:
        return Deed(actor=member.actor, at=self.ledger.now(), reason=reason, door=member.door, rule=rule, override=True)


def _facts(override: Override, *, version: str) -> dict[str, str]:
    """What buttons about it need."""
    return {
        "override": override.id,
        "service": override.service,
        "environment": override.environment,
        "version": version,
        "digest": override.digest,
        "until": override.until.isoformat(),
    }
