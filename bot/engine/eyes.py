"""Looks at a rollout while others decide about it: a source that does not answer holds no word of a person up.

Sees and judges; decides nothing and writes nothing into the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError
from bot.ports.target import SupportsTrafficWeight, TellsTakenBack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.analysis.watch import Watch
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.progression import Progression
    from bot.domain.rollout import TakenBack
    from bot.engine.checking import Checking
    from bot.engine.rollout import Rollout

log = logging.getLogger(__name__)

_LOOK_AT_WEIGHT = timedelta(seconds=2)
_PATIENCE = 5.0
"""Seconds that a target may take to tell the weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look came to, and of what."""

    of: Progression
    watches: tuple[Watch, ...]
    weight: int | None
    """Per cent of the traffic, as the target says; None when it does not tell just now."""
    gone: TakenBack | None
    """How it came that it gets none; None where it does, or the target does not tell."""

    def fits(self, now: Progression) -> bool:
        """Whether it was a look at what is there now; people's words change nothing about that."""
        return (self.of.looks, self.of.position.since) == (now.looks, now.position.since)


@dataclass(kw_only=True)
class Eyes:
    """One look after the other, for as long as somebody waits for the next move of one rollout."""

    checking: Checking
    rollout: Rollout
    service: Service
    woken: asyncio.Event
    """Set as soon as there is something to be seen."""
    _looking: asyncio.Task[Seen] | None = None
    _weighed: datetime | None = field(default=None)

    @property
    def busy(self) -> bool:
        """Whether a look is under way."""
        return self._looking is not None

    def look(self, deployment: Deployment, now: datetime) -> None:
        """Begin to look if it is time to."""
        progression = deployment.progression
        if self.busy or progression is None or not progression.position.begun:
            return
        if now >= min(self._times(progression.watches(self.service.checks), progression, now)):
            self._looking = asyncio.ensure_future(self._look(deployment, progression, now))
            self._looking.add_done_callback(lambda _: self.woken.set())

    def seen(self, now: Progression) -> Seen | None:
        """What a look came to that is over by now, told once; None for one at what is past. Raises what it raised."""
        if self._looking is None or not self._looking.done():
            return None
        found, self._looking = self._looking.result(), None
        return found if found.fits(now) else None

    def look_at(self, watches: Sequence[Watch], progression: Progression, now: datetime) -> list[datetime]:
        """When to look next; whoever looks already is waited for."""
        return [] if self.busy or not progression.position.begun else self._times(watches, progression, now)

    async def close(self) -> None:
        """Look no longer."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(self._looking, return_exceptions=True)

    def _times(self, watches: Sequence[Watch], progression: Progression, now: datetime) -> list[datetime]:
        weigh = now if self._weighed is None else self._weighed + _LOOK_AT_WEIGHT
        position = progression.position
        dry = position.begun and position.weight == 0
        looks = (watch.next_look(position.since) for watch in watches if not (dry and watch.check.needs_traffic))
        return [weigh, *looks]

    async def _look(self, deployment: Deployment, progression: Progression, now: datetime) -> Seen:
        watches, (weight, gone) = await asyncio.gather(
            self.checking.look(
                deployment,
                progression.watches(self.service.checks),
                since=progression.position.since,
                before=progression.before,
                at=now,
                weight=progression.position.weight,
            ),
            self._weight(deployment, now),
        )
        return Seen(of=progression, watches=watches, weight=weight, gone=gone)

    async def _weight(self, deployment: Deployment, now: datetime) -> tuple[int | None, TakenBack | None]:
        """The weight and, where it is none, why. Without the one that can be told the other is not: who would go by
        the weight alone took the platform's verdict for somebody's wish.
        """
        if self._weighed is not None and now < self._weighed + _LOOK_AT_WEIGHT:
            return None, None
        self._weighed = now
        try:
            target = await self.rollout.target(deployment)
            if not isinstance(target, SupportsTrafficWeight):
                return None, None
            async with asyncio.timeout(_PATIENCE):
                weight = await target.weight(release=deployment.release)
                if weight == 0 and isinstance(target, TellsTakenBack):
                    return weight, await target.taken_back(release=deployment.release)
                return weight, None
        except (ProviderError, TimeoutError) as error:
            log.info("the weight of #%s cannot be read: %s", deployment.number, str(error) or "no answer")
            return None, None
