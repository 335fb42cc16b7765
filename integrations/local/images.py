"""The versions of a service that lie in a folder. Must not start or change anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import ProviderRejected, RevisionNotFound
from bot.domain.release import Artifact, Release
from bot.ports.images import Images
from integrations.local.artifacts import ArtifactError, Artifacts, nearest, valid_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bot.domain.ids import ServiceName

T = TypeVar("T")


class LocalImages(Images):
    """The versions of one service as ``<folder>/<version>/``."""

    def __init__(self, *, folder: Path, service: ServiceName) -> None:
        self._folder = folder
        self._service = service
        self._artifacts = Artifacts()

    async def resolve(self, *, version: str) -> Release:
        """Pin ``version`` to what its folder holds now; raises `RevisionNotFound`, `ProviderRejected`."""
        known = await self.versions(limit=10_000)
        if not valid_version(version) or version not in known:
            suggestions = nearest(version, known) or list(known[:3])
            raise RevisionNotFound(
                f"{self._service} has no version {version[:64]!r}.",
                token=version[:64],
                suggestions=suggestions,
                hint=None if known else f"No version of {self._service} has been built yet.",
            )
        place = self._folder / version
        content = await _reading(lambda: self._artifacts.read(place))
        return Release(
            service=self._service,
            version=version,
            artifact=Artifact(digest=content.digest, location=str(place)),
        )

    async def has(self, *, release: Release) -> bool:
        """Whether the folder of that version holds the very same files; raises `ProviderRejected`."""
        try:
            return (await self.resolve(version=release.version)).same_as(release)
        except RevisionNotFound:
            return False

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        """Versions that begin with ``prefix``, newest first; raises `ProviderRejected`."""
        found = await _reading(lambda: self._artifacts.versions(self._folder))
        return tuple(version for version in found if version.startswith(prefix))[: max(0, limit)]


async def _reading(what: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(what)
    except ArtifactError as error:
        raise ProviderRejected(str(error), provider="local") from None
