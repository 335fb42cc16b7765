"""Previews for people: who may have one, for how long, and what becomes of those that are over.

Keeps nothing: what previews there are, the platform says. Must not touch what a deployment touches.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from bot.domain.errors import NotAuthorized, ProviderError, RequestRefused, SomebodyWasFaster
from bot.domain.ids import OperationId
from bot.domain.policy.access import Action, may
from bot.domain.rollout import Outcome, OutcomeKind
from bot.ports.previews import PreviewState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Actor, Membership
    from bot.domain.catalog import Catalog
    from bot.domain.ids import ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Progress
    from bot.ports.previews import Preview, Previews, PreviewSource
    from bot.ports.providers import CatalogSource, Providers

T = TypeVar("T")
log = logging.getLogger(__name__)

_TRIES = 4
_LONGEST_PAUSE = 5.0
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+!|~-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A preview that was over."""

    preview: Preview
    trouble: str = ""
    """Why it could not be closed; it will be tried again. Empty: it is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A version in the preview of a pull request, as somebody who may asked for it."""

    release: Release
    number: int
    until: datetime
    by: Actor
    role: str
    """By which they may."""
    extends: bool = False
    """It runs there already, as it seemed when it was asked for: only the time changes."""


class _Place(NamedTuple):
    catalog: Catalog
    service: ServiceName
    previews: Previews
    role: str


async def _nothing(_: Preview) -> None:
    """What is done where nobody says what."""


@dataclass(kw_only=True, repr=False)
class Previewing:
    """Opens, shows and closes previews."""

    catalogs: CatalogSource
    providers: Providers
    previews: PreviewSource
    now: Callable[[], datetime]
    usual: timedelta = timedelta(days=3)
    """How long a preview is kept when nobody says."""
    longest: timedelta = timedelta(days=14)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def open(
        self, service: str, version: str, *, number: int, requester: Membership, keep: timedelta | None = None
    ) -> Preview:
        """Begin to bring a version to the preview of a pull request. The same request again changes nothing.

        Raises `RequestRefused`, `ProviderError`, `ConfigurationError`.
        """
        wish = await self.wish(service, version, number=number, requester=requester, keep=keep)
        return await self.bring(wish)

    async def wish(
        self, service: str, version: str, *, number: int, requester: Membership, keep: timedelta | None = None
    ) -> Wish:
        """What somebody asks for, looked up and allowed. Nothing is begun.

        Raises `RequestRefused`, `ProviderError`, `ConfigurationError`.
        """
        place = self._place(service, requester)
        wanted = self.usual if keep is None else keep
        if not timedelta() < wanted <= self.longest:
            raise RequestRefused(
                f"A preview is kept for {_days(self.longest)} at most.", hint="Open it again when it is needed longer."
            )
        release = await self.providers.images(place.catalog, place.service).resolve(version=version)
        found = await self._again(lambda: place.previews.find(number=number))
        there = None if found is None else found.services.get(place.service)
        return Wish(
            release=release,
            number=number,
            until=self.now() + wanted,
            by=requester.actor,
            role=place.role,
            extends=there is not None and there.digest == release.artifact.digest,
        )

    async def bring(self, wish: Wish) -> Preview:
        """Begin to bring what was wished to its preview. The same wish again finishes what was begun.

        Raises `RequestRefused`, `ProviderError`, `ConfigurationError`.
        """
        previews = self._of(self.catalogs.current(), wish.release.service)
        number, release, until, by = wish.number, wish.release, wish.until, wish.by.name
        operation = _operation(number, release)
        return await self._again(
            lambda: previews.open(number=number, release=release, until=until, by=by, operation=operation)
        )

    async def observe(self, service: ServiceName, preview: Preview) -> Outcome:
        """How the service comes up in a preview. Raises `RequestRefused`, `ProviderError`, `ConfigurationError`."""
        previews = self._of(self.catalogs.current(), service)
        told = cast("AsyncGenerator[Progress | Outcome]", previews.observe(preview=preview, service=service))
        async with aclosing(told) as looks:
            async for look in looks:
                if isinstance(look, Outcome):
                    return look
        return Outcome(kind=OutcomeKind.TIMED_OUT, message="The cluster told no more.")

    async def find(self, service: str, *, number: int) -> Preview | None:
        """The preview of a pull request that a service has a part in. Raises as `bring` does."""
        catalog = self.catalogs.current()
        previews = self._of(catalog, catalog.service(service).name)
        return await self._again(lambda: previews.find(number=number))

    async def to_close(self, service: str, *, number: int, requester: Membership) -> tuple[Preview, str]:
        """The preview that somebody may close, and the role that says so.

        Raises `RequestRefused`, also when there is none; `ProviderError`, `ConfigurationError`.
        """
        place = self._place(service, requester)
        found = await self._again(lambda: place.previews.find(number=number))
        if found is None:
            raise RequestRefused(f"There is no preview of #{number}.", hint="Say previews to see which there are.")
        return found, place.role

    async def close(self, service: str, *, number: int, requester: Membership) -> bool:
        """Have the preview of a pull request deleted; whether it is gone already.

        Raises `RequestRefused`, also when there is none; `ProviderError`, `ConfigurationError`.
        """
        found, _ = await self.to_close(service, number=number, requester=requester)
        return await self.give_up(service, found)

    async def give_up(self, service: str, preview: Preview) -> bool:
        """Have exactly this preview deleted; whether it is gone already. Raises as `bring` does."""
        catalog = self.catalogs.current()
        previews = self._of(catalog, catalog.service(service).name)
        return await self._again(lambda: previews.close(number=preview.number, identity=preview.identity))

    async def all(self) -> list[Preview]:
        """Every preview. Raises `ProviderError`, `ConfigurationError`."""
        every = self.previews.every(self.catalogs.current())
        return [preview for previews in every for preview in await previews.all()]

    async def sweep(self, *, before: Callable[[Preview], Awaitable[None]] = _nothing) -> list[Swept]:
        """Close what is over. One that is in trouble keeps no other from being closed.

        ``before`` is awaited before each is closed, and keeps it from that by raising.
        """
        swept = []
        for previews in self.previews.every(self.catalogs.current()):
            try:
                found: Sequence[Preview] = await previews.all()
            except ProviderError as error:
                log.warning("previews cannot be looked through: %s", error)
                continue
            for each in found:
                if each.is_over(self.now()):
                    await before(each)
                    if done := await self._sweep(previews, each):
                        swept.append(done)
        return swept

    async def _sweep(self, previews: Previews, preview: Preview) -> Swept | None:
        """None when there was nothing to do any more."""
        try:
            await previews.close(number=preview.number, identity=preview.identity, over_at=self.now())
        except SomebodyWasFaster:
            return None
        except (ProviderError, RequestRefused) as error:
            return Swept(preview=preview, trouble=error.message)
        return Swept(preview=preview)

    def _place(self, service: str, requester: Membership) -> _Place:
        """Where previews of a service are made, for somebody who may have them: who may deploy it anywhere."""
        catalog = self.catalogs.current()
        known = catalog.service(service)
        asked = [
            may(catalog.rules, requester, Action.DEPLOY, service=known.name, environment=environment)
            for environment in known.targets
        ]
        allowed = next((decision for decision in asked if decision.allowed), None)
        if allowed is None:
            raise NotAuthorized(
                f"You may not deploy {known.name} anywhere, so you may not preview it either.",
                hint="Ask somebody who has it, or an operator for the role.",
            )
        return _Place(catalog, known.name, self._of(catalog, known.name), allowed.role or "")

    def _of(self, catalog: Catalog, service: ServiceName) -> Previews:
        previews = self.previews.of(catalog, service)
        if previews is None:
            raise RequestRefused(
                f"{service} has no previews in the configuration.",
                hint="An operator can describe them under previews in the catalog.",
            )
        return previews

    async def _again(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask once more, a few times, where the platform lets hope that it helps."""
        for left in reversed(range(_TRIES)):
            try:
                return await ask()
            except ProviderError as error:
                if not error.retryable or not left:
                    raise
                await self.pause(min(error.retry_after or 0.5, _LONGEST_PAUSE))
        raise AssertionError("the last try returns or raises")


def comment(preview: Preview) -> str:
    """A preview as Markdown, ready to be posted on its pull request. Nothing in it can notify anybody."""
    lines = [f"**Preview of #{preview.number}**", "", "| service | version | address | state |", "|---|---|---|---|"]
    closing = preview.state is PreviewState.CLOSING
    for name, service in preview.services.items():
        state = "being closed" if closing else "ready" if service.ready else service.message or "on its way"
        version = _plain(service.version) if service.version else "as in the template"
        lines.append(f"| {_plain(name)} | {version} | {service.address} | {_plain(state)} |")
    lines += ["", *(f"- {_plain(note)}" for note in preview.notes), *([""] if preview.notes else [])]
    if preview.until is not None and not closing:
        lines.append(f"It is kept until {preview.until:%Y-%m-%d %H:%M} UTC.")
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\g<0>", line).replace("@", "@\u2060")


def _operation(number: int, release: Release) -> OperationId:
    """The same for the same wish, so that to wish again changes nothing."""
    service = re.sub(r"[^A-Za-z0-9]+", "-", release.service)[:50]
    return OperationId(f"preview-{number}-{service}-{release.short_digest}")


def _days(span: timedelta) -> str:
    return f"{span.days} days" if span.days != 1 else "a day"
