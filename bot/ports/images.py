"""Where the versions of a service come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.release import Release


class Images(Protocol):
    """The built versions of one service. Raises `ProviderError` only, but for what is named below."""

    async def resolve(self, *, version: str) -> Release:
        """Pin ``version`` to its artifact; raises `RevisionNotFound` with the nearest versions as suggestions."""

    async def has(self, *, release: Release) -> bool:
        """Whether the very artifact of ``release`` can still be had."""

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        """Versions that begin with ``prefix``, newest first."""
