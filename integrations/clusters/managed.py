"""A cluster that a cloud runs: where it is and the token for it are asked for apart, and expire apart.

The cloud's SDK is each module's own affair. What all of them need is here: the joining, and threads for what blocks.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from integrations._shared.failures import told
from integrations._shared.kube.access import Access
from integrations.clusters.cached import Cached, utc_now
from integrations.clusters.credentials import unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.domain.errors import ProviderUnavailable
    from integrations.clusters.credentials import Endpoint, Token

R = TypeVar("R")

#: A cluster's address and authority change seldom, and when they do, not at a moment that anybody tells.
DESCRIBED = timedelta(minutes=10)
_THREADS = 4


class Managed:
    """A `ClusterAccess` of two parts."""

    def __init__(
        self,
        name: str,
        *,
        describe: Callable[[], Awaitable[Endpoint]],
        mint: Callable[[], Awaitable[Token]],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = name
        self._endpoint = Cached(describe, expires=lambda endpoint: endpoint.until, now=now)
        self._token = Cached(mint, expires=lambda token: token.expires, now=now)

    async def access(self, *, fresh: bool = False) -> Access:
        """See `ClusterAccess`. Raises `ProviderError`."""
        # One after the other, so that what is told is always the first thing to mend.
        token = await self._token.get(fresh=fresh)
        endpoint = await self._endpoint.get()
        return Access(server=endpoint.server, ca=endpoint.ca, token=token.value, expires=token.expires)


async def in_thread(work: Callable[[], R], *, name: str, timeout: float) -> R:
    """Let an SDK that blocks do ``work``, a few at a time. Raises `ProviderUnavailable` when it takes too long.

    The thread is not ended by that: the SDK's own time limits do it.
    """
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.get_running_loop().run_in_executor(_threads(), work)
    except TimeoutError:
        raise unavailable(name, f"no credentials within {timeout:g} s") from None


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="clusters")


def away(name: str, who: str, error: BaseException) -> ProviderUnavailable:
    """That ``who`` could not be asked about the cluster, in the words of its SDK."""
    said = told(str(error)) or type(error).__name__
    return unavailable(name, f"{who} cannot be asked: {said}")
