"""The versions of a service as tags of a repository. A tag may move; what it meant is found out once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected, ProviderTimeout, RevisionNotFound
from bot.domain.release import Artifact, Release
from bot.ports.images import Images
from integrations._shared.turns import Turns
from integrations.oci.challenge import PROVIDER
from integrations.oci.reference import Repository, is_attached, is_digest, tag_of, version_of
from integrations.oci.registry import Registry
from integrations.oci.versions import nearest, newest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.domain.ids import ServiceName
    from integrations.oci.options import OciOptions

log = logging.getLogger(__name__)

_FRESH = 30.0
"""Seconds for which a list of tags is asked for once."""
_MOST_DIGESTS = 512
_PAGES_TIME = 3
"""How many calls' time a list of tags may take, with all its pages."""
_SHOWN = 80


class OciImages(Images):
    """The versions of one service in one repository."""

    def __init__(
        self, *, options: OciOptions, service: ServiceName, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._service = service
        self._clock = clock
        self._repository = Repository.read(options.repository)
        self._registry = Registry(options, self._repository, clock)
        self._versions: tuple[list[str], float] | None = None
        self._listing = Turns()
        self._digests: OrderedDict[str, None] = OrderedDict()
        """Digests that were seen there. What one means cannot change; whether it is still there can."""

    async def resolve(self, *, version: str) -> Release:
        """Pin ``version``, or the digest that it is, to what the registry has now.

        Raises `RevisionNotFound`, `ProviderError`, `ConfigurationError`.
        """
        if is_digest(version):
            found = version if version in self._digests else await self._registry.digest(version)
        else:
            tag = tag_of(version, self._options.tag)
            found = None if tag is None else await self._registry.digest(tag)
        if found is None:
            raise await self._missing(version)
        self._remember(found)
        return Release(
            service=self._service,
            version=version,
            artifact=Artifact(digest=found, location=self._repository.at(found)),
        )

    async def has(self, *, release: Release) -> bool:
        """Whether the registry still has that very image, whatever its tag means by now.

        Raises `ProviderError`, `ConfigurationError`.
        """
        digest = release.artifact.digest
        there = is_digest(digest) and await self._registry.digest(digest) is not None
        if not there:
            self._digests.pop(digest, None)
        return there

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        """Versions that begin with ``prefix``, newest first. They may be half a minute old.

        Raises `ProviderError`, `ConfigurationError`.
        """
        known = await self._known()
        if known is None:
            raise self._no_repository()
        return [version for version in known if version.startswith(prefix)][: max(0, limit)]

    async def _known(self) -> list[str] | None:
        """All versions, newest first; None if there is no such repository."""
        limit = _PAGES_TIME * self._options.timeout
        late: ProviderError
        try:
            # Whoever waits for another's list waits no longer than for a list of its own.
            async with asyncio.timeout(limit), self._listing.here:
                if self._versions is None or self._clock() >= self._versions[1]:
                    self._versions = None
                    tags = await self._registry.tags()
                    if tags is None:
                        return None
                    said = (version_of(tag, self._options.tag) for tag in tags if not is_attached(tag))
                    self._versions = newest_first({version for version in said if version}), self._clock() + _FRESH
                return self._versions[0]
        except TimeoutError:
            late = ProviderTimeout(
                f"{self._repository.registry} did not list the tags of {self._repository.name} within {limit:g} s.",
                provider=PROVIDER,
            )
        raise late

    def _no_repository(self) -> ProviderRejected:
        where, user = self._repository, self._options.username
        return ProviderRejected(
            f"{where.registry} has no repository {where.name}, or does not show it to {user or 'everybody'}.",
            provider=PROVIDER,
        )

    async def _missing(self, version: str) -> ProviderRejected | RevisionNotFound:
        """Why ``version`` is not there, as somebody who typed it can use it."""
        try:
            known = await self._known()
        except ProviderError as error:
            log.info("no versions to suggest: %s", error)
            known = []
        else:
            # A repository without any tag cannot be told from one that is not there.
            if known is None and not is_digest(version):
                return self._no_repository()
        shown = version if len(version) <= _SHOWN else version[: _SHOWN - 1] + "…"
        return RevisionNotFound(
            f"{self._service} has no version {shown!r} in {self._repository}.",
            token=shown,
            suggestions=nearest(shown, known or []) or (known or [])[:3],
        )

    def _remember(self, digest: str) -> None:
        self._digests.pop(digest, None)
        self._digests[digest] = None
        while len(self._digests) > _MOST_DIGESTS:
            self._digests.popitem(last=False)


def build(*, options: OciOptions, service: ServiceName) -> OciImages:
    """The versions of ``service`` in the repository that ``options`` name. Reaches for nothing yet."""
    return OciImages(options=options, service=service)
