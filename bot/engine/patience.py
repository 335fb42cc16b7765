"""Try a call to a provider again while the provider says that this is safe and may help."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]], *, patience: float) -> T:
    """The result of ``call``, retried for ``patience`` seconds; then its last `ProviderError`.

    Waits as long as the provider asked, else 0.2 s doubling to 5 s with jitter, so that many deployments do not knock
    at the same instant.
    """
    deadline = asyncio.get_running_loop().time() + patience
    wait = 0.2
    while True:
        try:
            return await call()
        except ProviderError as error:
            pause = error.retry_after or wait * random.uniform(0.7, 1.3)  # noqa: S311 - jitter, not a secret
            if not error.retryable or asyncio.get_running_loop().time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        wait = min(wait * 2, 5.0)
