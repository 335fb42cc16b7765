"""What is still to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.notice import Notice


class Notices(Protocol):
    """Notices as rows, so that Slack being down loses none. Raises `StoreError`."""

    async def add(self, notice: Notice) -> None:
        """Keep a notice until it was told; the same key again changes nothing."""

    async def untold(self, *, limit: int = 50) -> Sequence[Notice]:
        """Those that were not told yet, the oldest first."""

    async def trying(self, key: str, *, at: datetime) -> datetime | None:
        """Put on record that it is going to be posted; when that was first recorded, or None if this is the first."""

    async def where(self, key: str) -> tuple[str, str] | None:
        """The channel and the ``ts`` of a notice that was told; None when it was not yet, or is not there.

        ``ts`` is empty when it never can be.
        """

    async def told(self, key: str, *, channel: str, ts: str) -> None:
        """Record where it was posted; ``ts`` is empty when it never can be."""
