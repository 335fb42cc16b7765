"""What was allowed to platforms that ask before they go on, where every replica finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.gate import Gate, Sighting


class Gates(Protocol):
    """One gate for each place. Raises `StoreError`."""

    async def get(self, key: str) -> Gate:
        """The gate of a place; one that was never opened is closed."""

    async def keys(self) -> Sequence[str]:
        """Every place that ever had one."""

    async def put(self, gate: Gate, *, blind: bool = False) -> Gate:
        """Store it if nobody has changed it since it was read; the gate as it is stored.

        ``blind`` forgets what was seen, so that nothing is allowed before the next look. Raises `SomebodyWasFaster`.
        """

    async def saw(self, key: str, sighting: Sighting) -> None:
        """Record a look, unless there is a newer one. Is no change of the gate."""
