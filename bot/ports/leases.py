"""Who of several replicas does what only one may do, and which replicas are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


class Leases(Protocol):
    """Named leases with an end. Compare-and-swap in the database; clocks of replicas may differ by a few seconds."""

    async def hold(self, name: str, *, holder: str, at: datetime, ttl: timedelta) -> bool:
        """Take or renew a lease; False when somebody else holds it."""

    async def release(self, name: str, *, holder: str) -> None:
        """Give a lease back early; nothing happens if it is not ours."""

    async def expired(self, prefix: str, *, at: datetime) -> Sequence[str]:
        """Names of leases under ``prefix`` that ended without being given back."""

    async def held(self, prefix: str, *, at: datetime) -> Sequence[str]:
        """Names of leases under ``prefix`` that somebody holds at ``at``."""

    async def drop(self, name: str) -> None:
        """Forget an expired lease."""
