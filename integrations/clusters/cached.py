"""Something that expires, kept as long as it is good and asked for by one at a time. Knows nothing of clusters.

Must never show what it keeps: tokens are among it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

from bot.domain.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_LONGEST_MARGIN = timedelta(seconds=60)
_AGAIN = timedelta(seconds=5)


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Cached(Generic[T]):
    """What ``ask`` answers, until shortly before it expires.

    While several wait for it, it is asked for once. When it cannot be had anew because somebody does not answer, the
    one that is there is used until it has really expired.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        *,
        expires: Callable[[T], datetime | None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """``expires``: when something is of no use any more; None: it is good for as long as nobody complains."""
        self._ask = ask
        self._expires = expires
        self._now = now
        self._kept: T | None = None
        self._until: datetime | None = None
        self._number = 0
        # Deployments may run in more than one loop, and a lock belongs to one.
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def get(self, *, fresh: bool = False) -> T:
        """The one that is kept, or a new one. ``fresh``: a new one in any case, because the kept one was refused.

        Raises what ``ask`` raises.
        """
        known = self._number
        if self._kept is not None and not fresh and self._good():
            return self._kept
        async with self._asking.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            # Whoever complained about the same one before us has got another by now.
            if self._kept is not None and self._good() and (not fresh or self._number != known):
                return self._kept
            try:
                answer = await self._ask()
            except ProviderError as error:
                if fresh or self._kept is None or not error.retryable or not self._usable():
                    raise
                self._until = self._now() + _AGAIN
                return self._kept
            self._kept, self._number = answer, self._number + 1
            self._until = self._renewal(answer)
            return answer

    def _renewal(self, answer: T) -> datetime | None:
        end = self._expires(answer)
        if end is None:
            return None
        left = end - self._now()
        return end - min(_LONGEST_MARGIN, left / 5)

    def _good(self) -> bool:
        return self._until is None or self._now() < self._until

    def _usable(self) -> bool:
        assert self._kept is not None
        end = self._expires(self._kept)
        return end is None or self._now() < end

    def __repr__(self) -> str:
        return f"<Cached, asked {self._number} times>"
