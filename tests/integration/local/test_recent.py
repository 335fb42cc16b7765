"""What the proxy counted, as a metric source tells it: by release, by window, and never more than it knows."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import ProviderRejected
from bot.domain.ids import EnvironmentName
from bot.domain.metric import Subject, Track
from bot.domain.rollout import OutcomeKind
from integrations.local import LocalMetricsOptions, build_metrics
from integrations.local.agent.recent import KEPT, RELEASES, Recent

if TYPE_CHECKING:
    import aiohttp
    from conftest import World

    from bot.domain.release import Release
    from integrations.local.metrics import LocalMetrics

ONE = ("sha256:1", "v1")


class Clock:
    """A clock that tests set."""

    def __init__(self, at: float = 1_000_000.5) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_a_window_holds_nothing_from_before_it() -> None:
    clock = Clock()
    recent = Recent(clock)
    for _ in range(10):
        recent.count(ONE, seconds=0.01, error=False)
        clock.at += 1
    # From 1,000,004.5 on: the second that began at 1,000,004 has requests from before that.
    rows = recent.rows(ONE, since=1_000_004.5, until=clock.at)["rows"]
    assert [row["second"] for row in rows] == list(range(1_000_005, 1_000_010))
    assert [row["second"] for row in recent.rows(ONE, since=0, until=1_000_002.9)["rows"]][-1] == 1_000_002


def test_each_release_is_counted_apart() -> None:
    clock = Clock()
    recent = Recent(clock)
    other = ("sha256:2", "v1")
    for _ in range(4):
        recent.count(ONE, seconds=0.25, error=False)
    recent.count(other, seconds=0.5, error=True)
    [row] = recent.rows(ONE, since=0, until=clock.at)["rows"]
    assert (row["requests"], row["errors"], row["seconds"]) == (4, 0, 1.0)
    assert sum(number for _, number in row["buckets"]) == 4
    [row] = recent.rows(other, since=0, until=clock.at)["rows"]
    assert (row["requests"], row["errors"]) == (1, 1)
    assert recent.rows(("sha256:1", "v2"), since=0, until=clock.at)["rows"] == []


def test_a_quarter_of_an_hour_of_a_few_releases_is_all_that_is_kept() -> None:
    clock = Clock()
    recent = Recent(clock)
    for second in range(3 * KEPT):
        recent.count((f"sha256:{second % RELEASES}", "v"), seconds=0.01, error=False)
        recent.count(ONE, seconds=0.01, error=False) if second % 2 else None
        clock.at += 1
    rows = recent.rows(("sha256:1", "v"), since=0, until=clock.at)["rows"]
    assert rows[0]["second"] >= clock.at - KEPT
    assert recent.rows(ONE, since=0, until=clock.at)["since"] == clock.at - KEPT
    assert len(recent._releases) <= RELEASES
    assert max(len(kept) for kept in recent._releases.values()) <= KEPT
    # One that has not been asked for a long time has no old seconds to tell of either.
    clock.at += 10 * KEPT
    assert recent.rows(ONE, since=0, until=clock.at)["rows"] == []


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.count(ONE, seconds=0.01, error=False)
    clock.at -= 100
    recent.count(ONE, seconds=0.01, error=True)
    clock.at += 100
    [row] = recent.rows(ONE, since=0, until=clock.at)["rows"]
    assert (row["requests"], row["errors"]) == (2, 1)


def subject(release: Release, track: Track = Track.CANARY) -> Subject:
    return Subject(
        service=release.service,
        environment=EnvironmentName("staging"),
        version=release.version,
        digest=release.artifact.digest,
        track=track,
    )


def source(world: World) -> LocalMetrics:
    return build_metrics(options=LocalMetricsOptions(root=world.root))


async def use(http: aiohttp.ClientSession, world: World, times: int) -> None:
    address = str((await world.status())["address"])
    gate = asyncio.Semaphore(8)

    async def once() -> None:
        async with gate, http.get(address) as answer:
            await answer.read()

    await asyncio.gather(*(once() for _ in range(times)))


async def test_a_canary_and_the_stable_release_are_told_apart(world: World, http: aiohttp.ClientSession) -> None:
    target, metrics = world.target(instances=1), source(world)
    stable, canary = await world.release("v1.2", latency=2), await world.release("v1.3", latency=40, error_rate=0.25)
    await world.deploy(target, stable)
    handle = await target.set_weight(release=canary, percent=40, operation=world.operation())
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    began = datetime.now(UTC)
    await use(http, world, 100)

    async def ask(query: str, release: Release, window: float = 60.0) -> tuple[float | None, float | None]:
        found = await metrics.read(query, subject=subject(release), window=window)
        return found.value, found.samples

    assert await ask("requests", stable) == (60, 60)
    assert await ask("requests", canary) == (40, 40)
    assert await ask("error_share", stable) == (0, 60)
    assert await ask("error_share", canary) == (0.25, 40)
    mean, samples = await ask("latency", canary)
    assert mean is not None
    assert mean >= 40
    assert samples == 40
    quick, _ = await ask("latency", stable)
    assert quick is not None
    assert quick < mean
    slow, _ = await ask("p95", canary)
    assert slow is not None
    assert slow >= 32
    # The track says nothing that the digest does not.
    on_stable = await metrics.read("requests", subject=subject(canary, Track.STABLE), window=60)
    assert on_stable.value == 40

    until = datetime.now(UTC) + timedelta(seconds=1)
    points = await metrics.series(
        "error_share", subject=subject(canary), window=60, since=began - timedelta(seconds=5), until=until, step=1
    )
    assert points[0].value is None, "nothing had been asked yet"
    assert points[-1].value == 0.25


async def test_no_traffic_is_no_data_and_says_so(world: World) -> None:
    target, metrics = world.target(instances=1), source(world)
    release = await world.release("v1.2")
    never = await metrics.read("requests", subject=subject(release), window=6)
    assert (never.value, never.why) == (None, "nothing of checkout was ever deployed in staging")
    await world.deploy(target, release)
    for query in ("error_share", "latency", "p95", "requests"):
        quiet = await metrics.read(query, subject=subject(release), window=6)
        assert (quiet.value, quiet.samples) == (None, 0)
        assert quiet.why == "v1.2 got no request in staging within 6 s"
    before = await metrics.read(
        "requests", subject=subject(release), window=6, at=datetime.now(UTC) - timedelta(hours=1)
    )
    assert before.value is None
    assert "knows nothing of the past before that" in before.why


async def test_what_was_counted_is_gone_with_the_agent_and_nobody_takes_that_for_zero(
    world: World, http: aiohttp.ClientSession
) -> None:
    target, metrics = world.target(instances=1), source(world)
    release = await world.release("v1.2", error_rate=1)
    await world.deploy(target, release)
    await use(http, world, 5)
    assert (await metrics.read("error_share", subject=subject(release), window=60)).value == 1
    await world.end_agent()
    after = await metrics.read("error_share", subject=subject(release), window=60)
    assert after.value is None
    assert after.why


@pytest.mark.parametrize("query", ["", "errors", "error_share ", "{track}", "error_share{version}", "x" * 9000])
async def test_there_are_only_four_queries(world: World, query: str) -> None:
    release = await world.release("v1.2")
    with pytest.raises(ProviderRejected, match=r"it knows error_share, latency, p95, requests\."):
        await source(world).read(query, subject=subject(release), window=6)
    assert not world.root.exists(), "nothing was asked, so no agent was started"


@pytest.mark.parametrize("window", [0, 0.5, -1, float("nan"), float("inf")])
async def test_a_window_that_is_none_is_refused(world: World, window: float) -> None:
    release = await world.release("v1.2")
    with pytest.raises(ProviderRejected, match="a window has at least one"):
        await source(world).read("requests", subject=subject(release), window=window)


async def test_counting_costs_next_to_nothing() -> None:
    recent = Recent()
    began = time.perf_counter()
    for number in range(20_000):
        recent.count(ONE, seconds=number / 1e6, error=False)
    assert time.perf_counter() - began < 2, "20,000 requests took longer than they may on any machine"
