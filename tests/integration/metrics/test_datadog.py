"""Datadog: its own client against a strict stand-in, with the manners that surprise."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from integration.metrics.door import Door, door, serve
from integration.metrics.fake_datadog import API_KEY, APP_KEY, FakeDatadog, monitor
from integration.metrics.labs import about, built

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from bot.domain.metric import Track
from integrations.datadog.options import DatadogOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.metric import Reading

pytestmark = pytest.mark.xdist_group("metrics")
QUERY = "avg:requests.errors{service:{service},version:{version}}"
MONITORS = "monitor:service:{service},env:{environment}"
TAGS = ("service:checkout", "env:production")
EXACT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPERATION = "d0123456789abcd-apply-1"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", API_KEY)
    monkeypatch.setenv("LAB_APP_KEY", APP_KEY)


@asynccontextmanager
async def lab(fake: FakeDatadog, **options: object) -> AsyncIterator[tuple[Any, Door]]:
    async with serve(fake.app()) as address, door(address) as entrance:
        known = {"api_key": "env:LAB_API_KEY", "app_key": "env:LAB_APP_KEY", "timeout": 5.0, **options}
        yield built("datadog", address=entrance.address, **known), entrance


async def read(
    fake: FakeDatadog, query: str = QUERY, *, at: datetime | None = None, window: float = 60.0, **o: Any
) -> Reading:
    async with lab(fake, **o) as (source, _):
        found: Reading = await source.read(query, subject=about(), window=window, at=at)
        return found


@pytest.mark.parametrize(("reduce", "value"), [("mean", 2.5), ("sum", 15.0), ("max", 4.0), ("min", 1.0), ("last", 4.0)])
async def test_points_become_one_number(reduce: str, value: float) -> None:
    # 09:00:00 begins a round of four, so the six whole buckets before it are 3 4 1 2 3 4 without the two halves.
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [1.0, 2.0, 3.0, 4.0]})
    at = EXACT if reduce != "mean" else EXACT + timedelta(seconds=20)
    expected = {"mean": 2.5, "sum": 17.0}.get(reduce, value)
    reading = await read(fake, at=at, reduce=reduce)
    assert reading.value == (
        pytest.approx(expected) if reduce != "mean" else pytest.approx((1 + 2 + 3 + 4 + 1 + 2) / 6)
    )


async def test_the_bucket_that_still_fills_and_the_one_before_the_window_are_left_out() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [5.0]})
    reading = await read(fake, at=EXACT + timedelta(seconds=7), window=33.0, reduce="sum")
    # From 08:59:34 to 09:00:07: whole are only those of :40 and :50.
    assert reading.value == 10.0


async def test_a_window_without_a_whole_bucket_is_no_data() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [5.0]}, interval=60)
    reading = await read(fake, at=EXACT + timedelta(seconds=30), window=60.0)
    assert reading.value is None
    assert "no bucket that lies wholly within 60 s" in reading.why


async def test_null_points_do_not_count_as_zero() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [None, 6.0]})
    assert (await read(fake)).value == 6.0
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [None]})
    reading = await read(fake)
    assert reading.value is None
    assert "null" in reading.why


async def test_a_lone_bucket_of_unknown_length_is_not_trusted() -> None:
    async with lab(FakeDatadog()) as (source, entrance):
        series = {"pointlist": [[(EXACT.timestamp() - 10) * 1000, 0.0]], "metric": "m"}
        entrance.answering(200, json.dumps({"status": "ok", "series": [series]}), Content_Type="application/json")
        assert (await source.read(QUERY, subject=about(), window=60.0, at=EXACT)).value is None


async def test_an_interval_in_milliseconds_would_be_understood_too() -> None:
    async with lab(FakeDatadog()) as (source, entrance):
        points = [[(EXACT.timestamp() - 10 * n) * 1000, 3.0] for n in range(6)]
        series = {"pointlist": points, "interval": 10_000}
        entrance.answering(200, json.dumps({"status": "ok", "series": [series]}), Content_Type="application/json")
        assert (await source.read(QUERY, subject=about(), window=60.0, at=EXACT)).value == 3.0


async def test_an_error_with_the_status_200_is_an_error() -> None:
    async with lab(FakeDatadog(refuses="Query timed out, api_key=0123456789")) as (source, _):
        with pytest.raises(ProviderError, match="could not answer the query: Query timed out") as caught:
            await source.read(QUERY, subject=about(), window=60.0)
        assert caught.value.retryable
        assert "0123456789" not in caught.value.message


async def test_several_series_are_not_one_number() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [1.0], ("requests.errors", "v1.3"): [2.0]})
    with pytest.raises(ProviderRejected, match="gives 2 series"):
        await read(fake, "avg:requests.errors{service:{service}} by {version}")


async def test_times_are_seconds_and_the_query_is_ours() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [1.0]})
    await read(
        fake, "sum:requests.errors{env:{environment},version:{version}}.as_count().rollup(sum, {window})", at=EXACT
    )
    [asked] = fake.queries
    assert asked == {
        "from": str(round(EXACT.timestamp()) - 60),
        "to": str(round(EXACT.timestamp())),
        "query": "sum:requests.errors{env:production,version:v1.2}.as_count().rollup(sum, 60)",
    }


async def test_tags_are_asked_for_as_datadog_keeps_them() -> None:
    fake = FakeDatadog(values={("requests.errors", "v1.2-rc1"): [1.0]})
    async with lab(fake) as (source, _):
        assert (await source.read(QUERY, subject=about("V1.2-RC1"), window=60.0)).value == 1.0


@pytest.mark.parametrize("query", ["avg:{version}{*}", "{version}", "avg:m{{version}}", "avg:m{version: {version}}"])
async def test_a_name_stands_as_the_value_of_a_tag_only(query: str) -> None:
    async with lab(FakeDatadog()) as (source, entrance):
        with pytest.raises(ProviderRejected, match="must stand as the value of a tag"):
            await source.read(query, subject=about(), window=60.0)
        assert not entrance.requests


async def test_asking_too_often_says_when_to_come_back_and_is_not_repeated() -> None:
    async with lab(FakeDatadog(limited="17")) as (source, entrance):
        with pytest.raises(ProviderUnavailable, match="too often") as caught:
            await source.read(QUERY, subject=about(), window=60.0)
        assert caught.value.retry_after == 17.0
        assert len(entrance.requests) == 1


async def test_a_server_in_trouble_is_asked_once() -> None:
    async with lab(FakeDatadog()) as (source, entrance):
        entrance.answering(503)
        with pytest.raises(ProviderUnavailable):
            await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=None, text="t", succeeded=False)
        assert len(entrance.requests) == 1, "repeating would show the deployment twice"


async def test_keys_without_the_right_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_APP_KEY", "not-this-one")
    with pytest.raises(ProviderRejected, match=r"does not allow this with our credentials \(403\): Forbidden"):
        await read(FakeDatadog())


async def test_the_environment_does_not_send_us_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_SITE", "elsewhere.example")
    monkeypatch.setenv("DD_API_KEY", "another")
    monkeypatch.setenv("DD_APP_KEY", "another")
    fake = FakeDatadog(values={("requests.errors", "v1.2"): [1.0]})
    assert (await read(fake)).value == 1.0


def test_sites_have_their_addresses() -> None:
    keys = {"api_key": "env:A", "app_key": "env:B"}
    assert DatadogOptions(**keys).endpoint == "https://api.datadoghq.com"
    assert DatadogOptions(**keys, site="datadoghq.eu").endpoint == "https://api.datadoghq.eu"
    assert DatadogOptions(**keys, site="us5.datadoghq.com").endpoint == "https://api.us5.datadoghq.com"
    assert DatadogOptions(**keys, address="https://relay.example/dd/").endpoint == "https://relay.example/dd"


@pytest.mark.parametrize(
    ("states", "value"),
    [
        (["OK", "Warn"], 0.0),
        (["OK", "Alert", "Alert"], 2.0),
        (["Alert", "No Data"], 1.0),
        (["OK", "No Data"], None),
        (["OK", "Unknown"], None),
        (["OK", "Skipped", "Ignored"], 0.0),
        (["Ignored"], None),
        ([], None),
    ],
)
async def test_monitors_are_judged(states: list[str], value: float | None) -> None:
    fake = FakeDatadog(monitors=[monitor(f"monitor {n}", state, *TAGS) for n, state in enumerate(states)])
    fake.monitors.append(monitor("of another service", "Alert", "service:cart", "env:production"))
    reading = await read(fake, MONITORS)
    assert reading.value == value
    assert bool(reading.why) == (value != 0.0)


async def test_what_is_muted_does_not_count() -> None:
    hour = 3600.0
    now = datetime.now(UTC).timestamp()
    muted = [
        monitor("muted for ever", "Alert", *TAGS, options={"silenced": {"*": None}}),
        monitor("muted for an hour", "Alert", *TAGS, options={"silenced": {"env:production": round(now + hour)}}),
        monitor(
            "down", "Alert", *TAGS, matching_downtimes=[{"id": 1, "start": round(now - 9), "end": None, "scope": ["*"]}]
        ),
        monitor("quiet", "No Data", *TAGS, options={"silenced": {"service:checkout,env:production": None}}),
    ]
    fake = FakeDatadog(monitors=[*muted, monitor("fine", "OK", *TAGS)])
    assert (await read(fake, MONITORS)).value == 0.0
    loud = [
        monitor("muted no more", "Alert", *TAGS, options={"silenced": {"*": round(now - hour)}}),
        monitor("muted elsewhere", "Alert", *TAGS, options={"silenced": {"env:staging": None}}),
        monitor("down later", "Alert", *TAGS, matching_downtimes=[{"id": 2, "start": round(now + hour), "end": None}]),
    ]
    fake = FakeDatadog(monitors=loud)
    reading = await read(fake, MONITORS)
    assert reading.value == 3.0
    assert "muted no more" in reading.why


async def test_groups_of_a_monitor_count_each_for_itself() -> None:
    groups = {"host:a": "Alert", "host:b": "Alert", "host:c": "OK"}
    fake = FakeDatadog(
        monitors=[monitor("by host", "Alert", *TAGS, groups=groups, options={"silenced": {"host:a": None}})]
    )
    reading = await read(fake, MONITORS)
    assert (reading.value, reading.samples) == (1.0, 2.0)
    assert "by host (host:b)" in reading.why


async def test_many_monitors_are_all_read() -> None:
    fake = FakeDatadog(monitors=[monitor(f"monitor {n}", "OK", *TAGS) for n in range(500)])
    fake.monitors.append(monitor("the last one", "Alert", *TAGS))
    assert (await read(fake, MONITORS)).value == 1.0
    assert fake.pages == [0, 1]


async def test_monitors_have_no_past() -> None:
    fake = FakeDatadog(monitors=[monitor("fine", "OK", *TAGS)])
    assert "past" in (await read(fake, MONITORS, at=EXACT - timedelta(days=1))).why
    async with lab(fake) as (source, _):
        points = await source.series(
            MONITORS, subject=about(), window=60.0, since=EXACT, until=EXACT + timedelta(seconds=60), step=60.0
        )
        assert [point.value for point in points] == [None, None]


async def test_a_deployment_is_shown_when_it_begins_and_when_it_ends() -> None:
    fake = FakeDatadog()
    async with lab(fake) as (source, _):
        known = {"subject": about(), "operation": OPERATION, "began": EXACT, "text": "Requested by ada"}
        await source.mark(**known, ended=None, succeeded=False)
        assert not fake.deployments
        for _ in range(2):
            await source.mark(**known, ended=EXACT + timedelta(seconds=90, microseconds=123457), succeeded=True)
    began, ended, _ = fake.events
    assert (began["alert_type"], ended["alert_type"]) == ("info", "success")
    assert began["aggregation_key"] == ended["aggregation_key"] == OPERATION
    assert began["date_happened"] == round(EXACT.timestamp())
    assert {"service:checkout", "env:production", "version:v1.2", "outcome:began"} <= set(began["tags"])
    start = round(EXACT.timestamp()) * 10**9
    assert fake.deployments == {
        OPERATION: {
            "id": OPERATION,
            "service": "checkout",
            "env": "production",
            "version": "v1.2",
            "started_at": start,
            "finished_at": start + 90_123_457_000,
        }
    }


async def test_what_failed_is_no_deployment_for_dora() -> None:
    fake = FakeDatadog()
    async with lab(fake) as (source, _):
        await source.mark(
            subject=about(track=Track.STABLE), operation=OPERATION, began=EXACT, ended=EXACT, text="", succeeded=False
        )
    assert not fake.deployments
    assert [event["alert_type"] for event in fake.events] == ["error"]


async def test_dora_may_be_left_out_and_its_id_fits_always() -> None:
    fake = FakeDatadog()
    known = {"subject": about(), "began": EXACT, "ended": EXACT, "text": "x" * 9000, "succeeded": True}
    async with lab(fake, dora=False) as (source, _):
        await source.mark(**known, operation=OPERATION)
    assert not fake.deployments
    async with lab(fake) as (source, _):
        for operation in ("short", "with a space and a length", "x" * 300):
            await source.mark(**known, operation=operation)
            await source.mark(**known, operation=operation)
    assert len(fake.deployments) == 3


async def test_a_deployment_that_dora_does_not_take_leaves_no_event_behind() -> None:
    fake = FakeDatadog()
    async with lab(fake) as (source, entrance):
        entrance.answering(500)
        with pytest.raises(ProviderUnavailable):
            await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=EXACT, text="t", succeeded=True)
        assert [path for path, _, _ in entrance.requests] == ["/api/v2/dora/deployment"]
