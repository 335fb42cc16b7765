"""Previews for people: who may have one, for how long, and what becomes of those that are over.

Keeps nothing: what previews there are, the platform says. Must not touch what a deployment touches.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import NotAuthorized, ProviderError, RequestRefused, SomebodyWasFaster
from bot.domain.ids import OperationId
from bot.domain.policy.access import Action, may
from bot.ports.previews import PreviewState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.actor import Membership
    from bot.domain.catalog import Catalog
    from bot.domain.ids import ServiceName
    from bot.domain.release import Release
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
        catalog, name, previews = self._place(service, requester)
        wanted = self.usual if keep is None else keep
        if not timedelta() < wanted <= self.longest:
            raise RequestRefused(
                f"A preview is kept for {_days(self.longest)} at most.", hint="Open it again when it is needed longer."
            )
        release = await self.providers.images(catalog, name).resolve(version=version)
        until, by = self.now() + wanted, requester.actor.name
        operation = _operation(number, release)
        return await self._again(
            lambda: previews.open(number=number, release=release, until=until, by=by, operation=operation)
        )

    async def close(self, service: str, *, number: int, requester: Membership) -> bool:
        """Have the preview of a pull request deleted; whether it is gone already.

        Raises `RequestRefused`, also when there is none; `ProviderError`, `ConfigurationError`.
        """
        _, _, previews = self._place(service, requester)
        found = await previews.find(number=number)
        if found is None:
            raise RequestRefused(f"There is no preview of #{number}.")
        return await self._again(lambda: previews.close(number=number, identity=found.identity))

    async def all(self) -> list[Preview]:
        """Every preview. Raises `ProviderError`, `ConfigurationError`."""
        every = self.previews.every(self.catalogs.current())
        return [preview for previews in every for preview in await previews.all()]

    async def sweep(self) -> list[Swept]:
        """Close what is over. One that is in trouble keeps no other from being closed."""
        swept = []
        for previews in self.previews.every(self.catalogs.current()):
            try:
                found: Sequence[Preview] = await previews.all()
            except ProviderError as error:
                log.warning("previews cannot be looked through: %s", error)
                continue
            swept += [done for each in found if each.is_over(self.now()) if (done := await self._sweep(previews, each))]
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

    def _place(self, service: str, requester: Membership) -> tuple[Catalog, ServiceName, Previews]:
        """Where previews of a service are made, for somebody who may have them: who may deploy it anywhere."""
        catalog = self.catalogs.current()
        known = catalog.service(service)
        asked = [
            may(catalog.rules, requester, Action.DEPLOY, service=known.name, environment=environment)
            for environment in known.targets
        ]
        if not any(decision.allowed for decision in asked):
            raise NotAuthorized(
                f"You may not deploy {known.name} anywhere, so you may not preview it either.",
                hint="Ask somebody who has it, or an operator for the role.",
            )
        previews = self.previews.of(catalog, known.name)
        if previews is None:
            raise RequestRefused(f"{known.name} has no previews in the configuration.")
        return catalog, known.name, previews

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
