"""Asks a service for a path, several times. Follows no redirect and asks no host but the configured one."""

from __future__ import annotations

import asyncio
import re
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from bot.domain.errors import ProviderRejected, ProviderTimeout, ProviderUnavailable
from bot.domain.metric import Point, Track
from integrations._shared.numbers import moments, no_data, now, reading
from integrations._shared.template import fill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import aiohttp

    from bot.domain.metric import Reading, Subject
    from integrations._shared.template import Slot
    from integrations.http_probe.options import HttpProbeOptions

PROVIDER = "http_probe"
_PATH = re.compile(r"/[!-~]*")
_PRESENT = 10.0
_MOST_READ = 1024 * 1024
_NO_ANSWER = 5


class _Seen(NamedTuple):
    """One probe."""

    status: int | None
    """None when there was no answer."""
    seconds: float
    trouble: str
    late: bool = False

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 400


class HttpProbe:
    """A `MetricSource` whose queries are paths of the service itself."""

    def __init__(self, options: HttpProbeOptions) -> None:
        self._options = options

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """See `MetricSource`. Tells the present only: about the past there is no data.

        Raises `ProviderUnavailable` or `ProviderTimeout` when latency is measured and no probe was answered at all;
        where errors or status are measured, silence is an answer too.
        """
        path = _path(query, subject=subject, window=window)
        when = now()
        if at is not None and (when - at).total_seconds() > _PRESENT:
            return no_data("a probe cannot look into the past", at=at)
        canary = self._options.canary_address
        base = canary if canary and subject.track is Track.CANARY else self._options.address
        seen = await self._ask(base, path)
        return self._judge(seen, when)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """See `MetricSource`. A probe remembers nothing, so no point has a value."""
        _path(query, subject=subject, window=window)
        return [Point(at=when, value=None) for when in moments(since, until, step, provider=PROVIDER)]

    def _judge(self, seen: list[_Seen], when: datetime) -> Reading:
        bad = [probe for probe in seen if not probe.good]
        why = f"{len(bad)} of {len(seen)} probes failed: {bad[0].trouble}" if bad else ""
        match self._options.measure:
            case "errors":
                return reading(100.0 * len(bad) / len(seen), at=when, samples=len(seen), why=why)
            case "status":
                worst = max(_NO_ANSWER if probe.status is None else probe.status // 100 for probe in seen)
                return reading(float(worst), at=when, samples=len(seen), why=why)
        if all(probe.status is None for probe in seen):
            if any(probe.late for probe in seen):
                raise ProviderTimeout(f"None of {len(seen)} probes was answered: {seen[0].trouble}.", provider=PROVIDER)
            raise ProviderUnavailable(f"None of {len(seen)} probes was answered: {seen[0].trouble}.", provider=PROVIDER)
        good = [probe.seconds for probe in seen if probe.good]
        if not good:
            # Errors are quick; their latency would make a broken release look fast.
            return no_data(why, at=when, samples=0)
        return reading(median(good), at=when, samples=len(good), why=why)

    async def _ask(self, base: str, path: str) -> list[_Seen]:
        import aiohttp

        seen: list[_Seen] = []
        # A connection for each probe, as a new visitor has it; and no proxy from the environment.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._options.timeout),
            auto_decompress=False,
        ) as session:
            # A connection that breaks is an answer; aiohttp would ask once more and hide it, and has no public switch.
            session._retry_connection = False  # noqa: SLF001 - the tests see to it that this goes on working
            for number in range(self._options.probes):
                if number:
                    await asyncio.sleep(self._options.pause)
                seen.append(await self._probe(session, base + path))
        return seen

    async def _probe(self, session: aiohttp.ClientSession, address: str) -> _Seen:
        import aiohttp
        from yarl import URL

        began = time.monotonic()
        try:
            async with session.get(URL(address, encoded=True), allow_redirects=False) as answer:
                read = 0
                async for part in answer.content.iter_any():
                    read += len(part)
                    if read > _MOST_READ:
                        break
                status = answer.status
        except TimeoutError:
            limit = self._options.timeout
            return _Seen(None, time.monotonic() - began, f"no answer within {limit:g} s", late=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Seen(None, time.monotonic() - began, f"no connection, or it broke ({type(error).__name__})")
        return _Seen(status, time.monotonic() - began, f"it answered {status}")


def build(*, options: HttpProbeOptions) -> HttpProbe:
    """The source that ``options`` describe. Reaches for nothing yet."""
    return HttpProbe(options)


def _path(query: str, *, subject: Subject, window: float) -> str:
    """The path that ``query`` means; raises `ProviderRejected` when it could lead anywhere else."""

    def put(slot: Slot) -> str:
        return quote(slot.value, safe="")

    path = fill(query, subject=subject, window=str(round(window)), put=put, provider=PROVIDER)
    if not _PATH.fullmatch(path) or "\\" in path or "#" in path or path.startswith("//"):
        raise ProviderRejected("The query of a probe is a path, such as /health, and nothing else.", provider=PROVIDER)
    if any(unquote(part) in (".", "..") for part in re.split(r"[/?&=]", path)):
        raise ProviderRejected("The path of a probe has no . and no .. in it.", provider=PROVIDER)
    return path
