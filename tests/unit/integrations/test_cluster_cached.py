"""What is kept until it expires: asked for by one, renewed in time, and not taken away by somebody who is down."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations.clusters.cached import Cached
from integrations.clusters.credentials import Unusable, address
from integrations.clusters.kubeconfig_file import described
from integrations.clusters.plain_yaml import read

BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Thing(NamedTuple):
    number: int
    ends: datetime | None


class Source:
    """Gives things that last for a while, or refuses."""

    def __init__(self, lasts: float | None) -> None:
        self.lasts = lasts
        self.now = BEGIN
        self.asked = 0
        self.trouble: ProviderError | None = None
        self.slow: asyncio.Event | None = None
        self.cached = Cached(self.ask, expires=lambda thing: thing.ends, now=lambda: self.now)

    async def ask(self) -> Thing:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0)  # whoever is asked, takes a while
        if self.slow is not None:
            await self.slow.wait()
        if self.trouble is not None:
            raise self.trouble
        return Thing(number, None if self.lasts is None else self.now + timedelta(seconds=self.lasts))

    async def after(self, seconds: float, *, fresh: bool = False) -> int:
        self.now += timedelta(seconds=seconds)
        return (await self.cached.get(fresh=fresh)).number


DOWN = ProviderUnavailable("down", provider="kubernetes")


async def test_it_is_renewed_a_minute_before_it_expires_or_a_fifth_of_its_time() -> None:
    long = Source(3600)
    assert [await long.after(0), await long.after(3539), await long.after(1)] == [1, 1, 2]
    short = Source(60)
    assert [await short.after(0), await short.after(47), await short.after(1)] == [1, 1, 2]
    endless = Source(None)
    assert [await endless.after(0), await endless.after(10**9), await endless.after(0, fresh=True)] == [1, 1, 2]


async def test_somebody_who_is_down_takes_nothing_away_that_is_good_still() -> None:
    source = Source(600)
    assert await source.after(0) == 1
    source.trouble = DOWN
    assert await source.after(541) == 1
    assert source.asked == 2
    assert await source.after(4) == 1
    assert source.asked == 2, "not at every request"
    assert await source.after(2) == 1
    assert source.asked == 3
    with pytest.raises(ProviderUnavailable):
        await source.after(60)
    source.trouble = None
    assert await source.after(0) == 5


async def test_what_is_refused_for_good_or_was_complained_about_is_not_used_on() -> None:
    source = Source(600)
    await source.after(0)
    source.trouble = DOWN
    with pytest.raises(ProviderUnavailable):
        await source.after(0, fresh=True)
    source.trouble = ProviderRejected("no", provider="kubernetes")
    with pytest.raises(ProviderRejected):
        await source.after(541)


async def test_many_that_wait_or_complain_together_ask_once() -> None:
    source = Source(600)
    source.slow = asyncio.Event()
    waiting = [asyncio.create_task(source.cached.get()) for _ in range(50)]
    await asyncio.sleep(0)
    source.slow.set()
    assert {thing.number for thing in await asyncio.gather(*waiting)} == {1}
    complaints = await asyncio.gather(*(source.cached.get(fresh=True) for _ in range(50)))
    assert {thing.number for thing in complaints} == {2}
    assert (await source.cached.get(fresh=True)).number == 3, "a later complaint is about the newer one"


async def test_who_gives_up_waiting_takes_nobody_along() -> None:
    source = Source(600)
    source.slow = asyncio.Event()
    first, second = (asyncio.create_task(source.cached.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.slow.set()
    assert (await second).number == 2


def test_it_serves_more_than_one_loop() -> None:
    source = Source(600)

    async def several() -> set[int]:
        return {thing.number for thing in await asyncio.gather(*(source.cached.get(fresh=True) for _ in range(5)))}

    assert asyncio.run(several()) == {1}
    assert asyncio.run(several()) == {2}


async def test_it_shows_nothing_of_what_it_keeps() -> None:
    source = Source(600)
    await source.after(0)
    assert "Thing" not in repr(source.cached)


WORDS = st.sampled_from(
    ["a: b\n", "- ", "{", "}", "[", "]", "&x ", "*x", "!!str ", "? ", ": ", "|\n", ">-\n", '"', "'", "\\", "#", "---\n",
     "...\n", "%YAML 1.2\n", "\t", "\ufeff", "current-context: x\n", "contexts:\n", "users: ", "null", "<<: *x\n"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=30).map("".join), st.text(max_size=80)))
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    for look in (lambda: read(data), lambda: described(data, None), lambda: described(data, text[:20] or None)):
        said = ""
        try:
            look()
        except Unusable as error:
            said = str(error)
        assert said.isprintable()


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="htps:/.@[]#?\\ab1 \n\r%:", max_size=40).map(lambda rest: f"https://{rest}"))
def test_no_address_leads_elsewhere_than_it_seems_to(text: str) -> None:
    try:
        server = address(text)
    except Unusable:
        return
    assert server.startswith("https://")
    assert not set(server) & set("?#\\ \n\r")
    assert "@" not in server.removeprefix("https://").partition("/")[0]
