"""Previews asked for, recorded, told and cleaned up. What is asked for is a durable workflow: a crash ends none of it.

Each step can be done again: the same wish brings the same preview, and what is told has a key and is told once. Must
not know what a preview is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, TypeVar

from bot.domain.actor import BOT, Actor, Door
from bot.domain.audit import AuditEntry, Deed
from bot.domain.errors import (
    ConfigurationError,
    DeploymentArchitectError,
    NothingToDo,
    ProviderError,
    RequestRefused,
    SomebodyWasFaster,
)
from bot.domain.ids import ServiceName
from bot.domain.notice import Notice, NoticeKind
from bot.domain.release import Artifact, Release
from bot.domain.rollout import OutcomeKind
from bot.engine.previews import Wish, comment
from bot.ports.previews import PreviewState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.actor import Membership
    from bot.engine.previews import Previewing
    from bot.ports.audit import AuditLog
    from bot.ports.leases import Leases
    from bot.ports.notices import Notices
    from bot.ports.previews import Preview
    from bot.ports.providers import CatalogSource

T = TypeVar("T")
log = logging.getLogger(__name__)

_LEASE = "previews"


class Asked(TypedDict):
    """A `Wish` as the journal keeps it."""

    key: str
    """Names the request: what is told of it begins with it."""
    service: str
    version: str
    digest: str
    location: str
    number: int
    until: str
    workspace: str
    person: str
    name: str
    role: str
    door: str
    extends: bool


class Brought(TypedDict):
    """What became of a wish."""

    identity: str
    """Of the preview; empty when there is none."""
    trouble: str
    """Why not, in plain words; empty when there is nothing to say."""


@dataclass(kw_only=True, repr=False)
class Showing:
    """Has previews opened and closed for people, and closes those that are over."""

    previewing: Previewing
    catalogs: CatalogSource
    notices: Notices
    audit: AuditLog
    leases: Leases
    executor: str
    now: Callable[[], datetime]
    begin: Callable[[Asked], Awaitable[None]] | None = None
    """Starts what was asked for, durably; given once it exists."""
    sweep_every: float = 60.0
    """Seconds between two looks for previews that are over."""
    patience: float = 600.0
    """Seconds for which a cluster that does not answer is asked again."""
    pause: float = 5.0
    """Seconds between two tries."""
    _recorded: set[str] = field(default_factory=set)
    _sweeping: asyncio.Task[None] | None = None

    # What people do

    async def open(
        self,
        service: str,
        version: str,
        *,
        number: int,
        requester: Membership,
        act: str,
        keep: timedelta | None = None,
    ) -> Wish:
        """Have a version brought to the preview of a pull request; what comes of it is told in the channel.

        The same act again changes nothing. Raises `RequestRefused`, `ProviderError`, `ConfigurationError`.
        """
        assert self.begin is not None, "the engine was put together"
        wish = await self.previewing.wish(service, version, number=number, requester=requester, keep=keep)
        await self.begin(_asked(wish, f"preview:{act}", door=requester.door))
        return wish

    async def close(self, service: str, *, number: int, requester: Membership, identity: str | None = None) -> Preview:
        """Have the preview of a pull request deleted; with ``identity`` only that one.

        Raises `RequestRefused`, `ProviderError`, `ConfigurationError`.
        """
        found, role = await self.previewing.to_close(service, number=number, requester=requester)
        if identity is not None and found.identity != identity:
            raise SomebodyWasFaster(f"That preview of #{number} was closed, and another one was opened since.")
        if found.state is PreviewState.CLOSING:
            raise NothingToDo(f"The preview of #{number} is being closed already.")
        deed = Deed(actor=requester.actor, at=self.now(), door=requester.door, rule=role)
        about = _about(found)
        await self.audit.append(
            AuditEntry(act="preview.closed", object=f"preview:{found.place}", about=about, deed=deed)
        )
        await self.previewing.give_up(service, found)
        await self._over(found, by=requester.actor, why=f"{requester.actor.name} closed the preview of #{number}.")
        return found

    async def all(self) -> list[Preview]:
        """Every preview. Raises `ProviderError`, `ConfigurationError`."""
        return await self.previewing.all()

    # Steps of the workflow

    async def record(self, asked: Asked) -> None:
        """Put on record that somebody asked for it, and say so. Raises `StoreError`: then nothing is begun."""
        wish = _wish(asked)
        release, number = wish.release, wish.number
        door = Door(asked["door"]) if asked["door"] else None
        await self.audit.append(
            AuditEntry(
                act="preview.extended" if wish.extends else "preview.opened",
                object=f"preview:{release.service}#{number}",
                about=f"{release.service} {release.version} → preview of #{number} ({release.artifact.digest})",
                after=wish.until.isoformat(),
                deed=Deed(actor=wish.by, at=self.now(), door=door, rule=wish.role),
            )
        )
        what = "keeps" if wish.extends else "opens"
        said = f"{wish.by.name} {what} the preview of #{number}: {release.service} {release.version}."
        await self._tell(asked, NoticeKind.PREVIEW_ASKED, "asked", said)

    async def bring(self, asked: Asked) -> Brought:
        """Make the preview, or change what runs in it. A cluster that does not answer is asked again for a while."""
        wish = _wish(asked)

        async def work() -> Preview:
            return await self.previewing.bring(wish)

        try:
            made = await self._patiently(work)
        except (RequestRefused, ProviderError, ConfigurationError) as error:
            return Brought(identity="", trouble=_words(error))
        await self._tell(
            asked,
            NoticeKind.PREVIEW_MADE,
            "made",
            " ".join([f"{made.place} is made; {asked['service']} {asked['version']} is on its way up.", *made.notes]),
        )
        return Brought(identity=made.identity, trouble="")

    async def watch(self, asked: Asked, identity: str) -> Brought:
        """Wait until it is up, or it is known why it is not."""
        service = ServiceName(asked["service"])

        async def work() -> Brought:
            found = await self.previewing.find(service, number=asked["number"])
            if found is None or found.identity != identity or found.state is PreviewState.CLOSING:
                return Brought(identity="", trouble="It was closed before it was up.")
            outcome = await self.previewing.observe(service, found)
            well = outcome.kind is OutcomeKind.SUCCEEDED
            return Brought(identity=identity, trouble="" if well else outcome.message or "It does not come up.")

        known = self.catalogs.current().services.get(service)
        deadline = known.deadline if known else 600.0
        try:
            async with asyncio.timeout(deadline):
                return await self._patiently(work)
        except TimeoutError:
            return Brought(identity=identity, trouble=f"It was not up after {round(deadline)} seconds.")
        except (RequestRefused, ProviderError, ConfigurationError) as error:
            return Brought(identity=identity, trouble=_words(error))

    async def tell(self, asked: Asked, brought: Brought) -> None:
        """Say what came of it, in the thread of its beginning. Raises `StoreError`."""
        what = f"{asked['service']} {asked['version']} in the preview of #{asked['number']}"
        if brought["trouble"]:
            rest = " The preview stays until its time is over or somebody closes it." if brought["identity"] else ""
            said = f"{what}: {brought['trouble']}{rest}"
            await self._tell(asked, NoticeKind.PREVIEW_FAILED, "ended", said)
            return
        facts = {"until": asked["until"]}
        with contextlib.suppress(RequestRefused, ProviderError, ConfigurationError):
            service = ServiceName(asked["service"])
            found = await self.previewing.find(service, number=asked["number"])
            if found is not None and service in found.services:
                facts |= {"address": found.services[service].address, "comment": comment(found)}
        await self._tell(asked, NoticeKind.PREVIEW_READY, "ended", f"{what} is up.", facts)

    # What nobody has to ask for

    async def start(self) -> None:
        """Begin to look for previews that are over. Nothing happens if it has begun."""
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._keep_sweeping(), name="previews")

    async def stop(self) -> None:
        """Look no more."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
            self._sweeping = None

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except DeploymentArchitectError as error:
                log.warning("previews that are over stay for now: %s", error.message)
            except Exception:
                log.exception("looking for previews that are over broke, and is tried again")
            await asyncio.sleep(self.sweep_every)

    async def sweep(self) -> None:
        """Close what is over, and tell. On many replicas one does so; if two do, it is done and told once all the same.

        Raises `StoreError`, `ConfigurationError`.
        """
        if not self.catalogs.current().previews:
            return
        ttl = timedelta(seconds=3 * self.sweep_every)
        if not await self.leases.hold(_LEASE, holder=self.executor, at=self.now(), ttl=ttl):
            return
        for swept in await self.previewing.sweep(before=self._record_end):
            one = swept.preview
            if swept.trouble:
                await self._say(
                    NoticeKind.PREVIEW_FAILED,
                    f"preview:{one.identity}:stays",
                    one,
                    f"The preview of #{one.number} is over and cannot be closed: {swept.trouble} It is tried again.",
                )
            elif one.until is not None and one.until <= self.now():
                opened = f", which {one.by} opened," if one.by else ""
                await self._over(one, by=BOT, why=f"The time of the preview of #{one.number}{opened} is over.")

    async def _record_end(self, preview: Preview) -> None:
        """Before it is closed; what was half closed is on record already."""
        if preview.state is PreviewState.CLOSING or preview.identity in self._recorded:
            return
        deed = Deed(actor=BOT, at=self.now(), door=Door.ENGINE)
        about = _about(preview)
        await self.audit.append(
            AuditEntry(act="preview.expired", object=f"preview:{preview.place}", about=about, deed=deed)
        )
        self._recorded.add(preview.identity)

    async def _over(self, preview: Preview, *, by: Actor, why: str) -> None:
        await self._say(
            NoticeKind.PREVIEW_OVER, f"preview:{preview.identity}:over", preview, f"{why} It is deleted.", by
        )

    async def _say(self, kind: NoticeKind, key: str, preview: Preview, said: str, by: Actor = BOT) -> None:
        notice = Notice(key=key, to=self._where(preview), kind=kind, at=self.now(), by=by, sentence=said)
        await self.notices.add(notice)

    async def _tell(
        self, asked: Asked, kind: NoticeKind, what: str, said: str, facts: dict[str, str] | None = None
    ) -> None:
        """What becomes of a request is told in the thread of what was told first."""
        thread = {} if what == "asked" else {"thread": f"{asked['key']}:asked"}
        await self.notices.add(
            Notice(
                key=f"{asked['key']}:{what}",
                to=f"channel:{self._channel(ServiceName(asked['service']))}",
                kind=kind,
                at=self.now(),
                by=_wish(asked).by,
                sentence=said,
                facts={**thread, **(facts or {})},
            )
        )

    def _where(self, preview: Preview) -> str:
        """The channel of the first service that was brought there by somebody."""
        brought = [name for name, one in preview.services.items() if one.operation is not None]
        return f"channel:{self._channel(brought[0]) if brought else self.catalogs.current().channel}"

    def _channel(self, service: ServiceName) -> str:
        catalog = self.catalogs.current()
        known = catalog.services.get(service)
        return (known.channel if known else None) or catalog.channel

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Ask again for a while where the cluster lets hope that it helps."""
        deadline = self.now() + timedelta(seconds=self.patience)
        while True:
            try:
                return await work()
            except ProviderError as error:
                if not error.retryable or self.now() >= deadline:
                    raise
                log.info("a preview waits: %s", error.message)
            await asyncio.sleep(self.pause)


def _words(error: DeploymentArchitectError) -> str:
    hint = error.hint if isinstance(error, RequestRefused) else None
    return " ".join(filter(None, [error.message, hint]))


def _about(preview: Preview) -> str:
    running = ", ".join(f"{name} {one.version}" for name, one in preview.services.items() if one.version)
    return f"preview of #{preview.number}" + (f": {running}" if running else "")


def _asked(wish: Wish, key: str, *, door: Door | None) -> Asked:
    release, by = wish.release, wish.by
    return Asked(
        key=key,
        service=release.service,
        version=release.version,
        digest=release.artifact.digest,
        location=release.artifact.location,
        number=wish.number,
        until=wish.until.isoformat(),
        workspace=by.workspace,
        person=by.id,
        name=by.name,
        role=wish.role,
        door=door.value if door else "",
        extends=wish.extends,
    )


def _wish(asked: Asked) -> Wish:
    artifact = Artifact(digest=asked["digest"], location=asked["location"])
    return Wish(
        release=Release(service=ServiceName(asked["service"]), version=asked["version"], artifact=artifact),
        number=asked["number"],
        until=datetime.fromisoformat(asked["until"]),
        by=Actor(workspace=asked["workspace"], id=asked["person"], name=asked["name"]),
        role=asked["role"],
        extends=asked["extends"],
    )
