"""Times that people type, on the clock of the person who typed them. Answers show them on every reader's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from bot.domain.deployment import Wish
from bot.domain.errors import BadCommand
from bot.domain.when import find_zone, parse_until, read_duration
from bot.engine.scheduling import GOOD_FOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

    from bot.engine.scheduling import Scheduling
    from bot.slack.doors import Caller
    from bot.slack.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Reads what people type."""

    identity: Identity
    scheduling: Scheduling
    now: Callable[[], datetime]

    async def wish(
        self, at: str | None, expires: str | None, caller: Caller, *, service: str, environment: str
    ) -> Wish | None:
        """When a deployment is to start; None for as soon as it can. Raises `BadCommand`."""
        if at is None:
            if expires is not None:
                raise BadCommand("An end without a beginning: expires= belongs to at=.", hint="Add at=18:00, say.")
            return None
        when = self.scheduling.when(at, zone=await self.zone(caller), service=service, environment=environment)
        return Wish(at=when, expires=when + (read_duration(expires) if expires else GOOD_FOR))

    async def until(self, text: str | None, caller: Caller) -> datetime | None:
        """When something is to end: a length of time from now, or a time. Raises `BadCommand`."""
        if text is None:
            return None
        return parse_until(text, now=self.now(), zone=await self.zone(caller))

    async def zone(self, caller: Caller) -> tzinfo:
        """Where the caller lives; UTC where their zone is none that we know."""
        return find_zone(await self.identity.zone(caller.user)) or UTC
