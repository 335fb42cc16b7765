"""What is shipped: a version of a service, pinned to an artifact that cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.ids import ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Something built: ``digest`` says exactly what, ``location`` where a target finds it."""

    digest: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of a service, resolved once to its artifact and never resolved again."""

    service: ServiceName
    version: str
    artifact: Artifact

    @property
    def short_digest(self) -> str:
        """Twelve characters of the digest, as people compare them."""
        return self.artifact.digest.removeprefix("sha256:")[:12]

    @property
    def is_named(self) -> bool:
        """Whether it has a version; what was found running without one goes by its digest."""
        return self.version not in (self.short_digest, self.artifact.digest)

    def same_as(self, other: Release | None) -> bool:
        """Whether both would run the same bytes."""
        return other is not None and self.artifact.digest == other.artifact.digest
