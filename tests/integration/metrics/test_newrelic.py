"""New Relic: NerdGraph over the wire against a strict stand-in, with the manners that surprise."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from integration.metrics.door import Door, door, serve
from integration.metrics.fake_newrelic import ACCOUNT, USER_KEY, FakeNewRelic
from integration.metrics.labs import about, built

from bot.domain.errors import ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable
from integrations.newrelic.options import NewRelicOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.metric import Reading

pytestmark = pytest.mark.xdist_group("metrics")
QUERY = "SELECT average(duration) FROM Transaction WHERE version = '{version}'"
EXACT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPERATION = "d0123456789abcd-apply-1"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_USER_KEY", USER_KEY)


@asynccontextmanager
async def lab(fake: FakeNewRelic, **options: object) -> AsyncIterator[tuple[Any, Door]]:
    async with serve(fake.app()) as address, door(address) as entrance:
        known = {"account": ACCOUNT, "user_key": "env:LAB_USER_KEY", "timeout": 5.0, **options}
        yield built("newrelic", address=entrance.address, **known), entrance


async def read(*rows: dict[str, Any], query: str = QUERY, at: datetime | None = None, **more: Any) -> Reading:
    async with lab(FakeNewRelic(rows={"v1.2": list(rows)}, **more)) as (source, _):
        found: Reading = await source.read(query, subject=about(), window=300.0, at=at)
        return found


@pytest.mark.parametrize(
    ("row", "value", "samples"),
    [
        ({"average.duration": 0.12}, 0.12, None),
        ({"percentile.duration": {"95": 0.3}}, 0.3, None),
        ({"errors": 3.2, "samples": 120}, 3.2, 120.0),
        ({"count": 0}, 0.0, None),
        ({"average.duration": None}, None, None),
        ({"errors": 0, "samples": 0}, None, 0.0),
        ({"errors": None, "samples": 7}, None, 7.0),
        ({"ratio": "NaN"}, None, None),
    ],
)
async def test_one_row_is_a_number_or_none(row: dict[str, Any], value: float | None, samples: float | None) -> None:
    reading = await read(row)
    assert (reading.value, reading.samples) == (value, samples)
    assert bool(reading.why) == (value is None)


async def test_more_than_one_number_is_refused() -> None:
    with pytest.raises(ProviderRejected, match=r"must select one number, and selects average.duration, max.duration"):
        await read({"average.duration": 1, "max.duration": 2})
    with pytest.raises(ProviderRejected, match="selects name, which is no single number"):
        await read({"name": "checkout"})
    with pytest.raises(ProviderRejected, match="no single number"):
        await read({"percentile.duration": {"50": 0.1, "95": 0.3}})
    with pytest.raises(ProviderRejected, match="gives 2 rows"):
        await read({"count": 1}, {"count": 2})


async def test_errors_come_with_the_status_200() -> None:
    error = {"message": "NRQL Syntax Error", "extensions": {"errorClass": "NRDB:1106924"}}
    with pytest.raises(ProviderRejected, match="refused the request: NRQL Syntax Error"):
        await read({"count": 1}, errors=[error])


async def test_a_part_of_an_answer_is_no_answer() -> None:
    error = {"message": "one shard did not answer", "extensions": {"errorClass": "SERVER_ERROR"}}
    with pytest.raises(ProviderUnavailable, match="one shard did not answer"):
        await read({"count": 0}, errors=[error], partial=True)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("TIMEOUT", ProviderTimeout),
        ("NRDB:TIMEOUT", ProviderTimeout),
        ("TOO_MANY_REQUESTS", ProviderUnavailable),
        ("ACCESS_DENIED", ProviderRejected),
        ("", ProviderRejected),
    ],
)
async def test_errors_are_told_apart(kind: str, expected: type[ProviderError]) -> None:
    with pytest.raises(expected):
        await read({"count": 1}, errors=[{"message": "m", "extensions": {"errorClass": kind}}])
    with pytest.raises(ProviderRejected):
        await read({"count": 1}, errors=["odd"])  # type: ignore[list-item] # so odd that its type is wrong


async def test_a_slow_query_is_waited_for() -> None:
    fake = FakeNewRelic(rows={"v1.2": [{"count": 4}]}, slow=3)
    async with lab(fake) as (source, _):
        assert (await source.read(QUERY, subject=about(), window=60.0)).value == 4.0
    assert fake.polls == 3


async def test_waiting_has_an_end() -> None:
    fake = FakeNewRelic(rows={"v1.2": [{"count": 4}]}, slow=1000)
    async with lab(fake, timeout=1.5) as (source, _):
        with pytest.raises(ProviderTimeout, match=r"(was not done with the query|did not answer) within"):
            await source.read(QUERY, subject=about(), window=60.0)
    assert 1 <= fake.polls <= 20, "it says itself when to ask again"


async def test_the_span_of_time_is_ours_in_milliseconds() -> None:
    fake = FakeNewRelic(rows={"v1.2": [{"count": 4}]})
    async with lab(fake) as (source, entrance):
        await source.read(QUERY, subject=about(), window=90.5, at=EXACT)
        [(path, headers, body)] = entrance.requests
    assert path == "/graphql"
    assert headers["Content-Type"] == "application/json"
    until = round(EXACT.timestamp() * 1000)
    assert json.loads(body)["variables"] == {
        "account": ACCOUNT,
        "nrql": "SELECT average(duration) FROM Transaction WHERE version = 'v1.2'"
        f"\nSINCE {until - 90_500} UNTIL {until}",
    }


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT count(*) FROM Transaction SINCE 1 day ago", "Leave SINCE out"),
        ("SELECT count(*) FROM Transaction timeseries", "Leave TIMESERIES out"),
        ("SELECT count(*) FROM Transaction COMPARE WITH 1 day ago", "Leave COMPARE WITH out"),
        ("SELECT count(*) FROM Transaction -- now", "no comment"),
        ("SELECT count(*) FROM Transaction /* now", "no comment"),
        ("SELECT count(*) FROM Transaction // now", "no comment"),
        ("SELECT count(*) FROM Transaction WHERE a = 'b", "quotes close"),
        ("SELECT count(*) FROM Transaction WHERE a = 'b\\' AND c = 'd'", "quotes close"),
        ("{ actor { user { name } } }", "is no NRQL"),
        ("", "is no NRQL"),
        ("SELECT count(*) FROM Transaction WHERE version = {version}", "in single quotes"),
        ("SELECT count(*) FROM `{version}`", "in single quotes"),
        ("SELECT count(*) FROM T WHERE v LIKE '{version}'", "LIKE and RLIKE would take it for a pattern"),
        ("SELECT count(*) FROM T WHERE v NOT RLIKE ('{version}')", "LIKE and RLIKE would take it for a pattern"),
    ],
)
async def test_what_could_mean_something_else_is_not_sent(query: str, why: str) -> None:
    async with lab(FakeNewRelic()) as (source, entrance):
        with pytest.raises(ProviderRejected, match=why):
            await source.read(query, subject=about(), window=60.0)
        assert not entrance.requests


async def test_words_in_quotes_are_not_taken_for_clauses() -> None:
    reading = await read(
        {"count": 1}, query="SELECT count(*) FROM Transaction WHERE name = 'since -- until' AND version = '{version}'"
    )
    assert reading.value == 1.0


async def test_a_name_with_other_characters_is_refused_in_words() -> None:
    async with lab(FakeNewRelic()) as (source, entrance):
        with pytest.raises(
            ProviderRejected, match=r"The version 'v1 \+ x' cannot stand in NRQL, which allows only letters"
        ):
            await source.read(QUERY, subject=about("v1 + x"), window=60.0)
        assert not entrance.requests


async def test_a_long_series_has_coarser_buckets() -> None:
    fake = FakeNewRelic(rows={"v1.2": [{"count": 4, "samples": 2}]})
    async with lab(fake) as (source, _):
        points = await source.series(
            QUERY, subject=about(), window=60.0, since=EXACT - timedelta(hours=2), until=EXACT, step=5.0
        )
    assert len(points) == 1441
    assert sum(point.value == 4.0 for point in points) > 1400
    [asked] = fake.asked
    assert int(asked["step"]) == 20


async def test_a_series_of_no_events_has_no_values() -> None:
    async with lab(FakeNewRelic(rows={"v1.2": [{"count": 0, "samples": 0}]})) as (source, _):
        points = await source.series(
            QUERY, subject=about(), window=60.0, since=EXACT - timedelta(minutes=1), until=EXACT, step=30.0
        )
    assert [point.value for point in points] == [None] * 3


def test_regions_have_their_addresses() -> None:
    known = {"account": 1, "user_key": "env:A"}
    assert NewRelicOptions(**known).endpoint == "https://api.newrelic.com/graphql"
    assert NewRelicOptions(**known, region="eu").endpoint == "https://api.eu.newrelic.com/graphql"


async def test_a_deployment_is_shown_once_when_it_begins_and_once_when_it_ends() -> None:
    fake = FakeNewRelic()
    async with lab(fake) as (source, _):
        known = {"subject": about(), "operation": OPERATION, "began": EXACT, "text": "Requested by ada"}
        for _ in range(2):
            await source.mark(**known, ended=None, succeeded=False)
        for _ in range(2):
            await source.mark(**known, ended=EXACT + timedelta(minutes=2), succeeded=True)
    began, ended = fake.events
    assert began == {
        "categoryAndTypeData": {
            "categoryFields": {"deployment": {"version": "v1.2"}},
            "kind": {"category": "Deployment", "type": "Basic"},
        },
        "entitySearch": {"query": "name = 'checkout'"},
        "timestamp": round(EXACT.timestamp() * 1000),
        "groupId": OPERATION,
        "shortDescription": "checkout v1.2: began",
        "description": "Requested by ada",
        "customAttributes": {
            "service": "checkout",
            "environment": "production",
            "digest": "sha256:" + "ab" * 32,
            "track": "canary",
            "phase": "began",
        },
    }
    assert (ended["customAttributes"]["phase"], ended["timestamp"] - began["timestamp"]) == ("succeeded", 120_000)


async def test_a_deployment_is_shown_even_if_it_cannot_be_told_whether_it_was() -> None:
    fake = FakeNewRelic()
    async with lab(fake, account=ACCOUNT + 1) as (source, _):
        await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=None, text="", succeeded=False)
    assert len(fake.events) == 1


async def test_an_event_that_is_not_taken_is_an_error() -> None:
    fake = FakeNewRelic(errors=[{"message": "entity not found", "extensions": {"errorClass": "BAD_USER_INPUT"}}])
    async with lab(fake) as (source, entrance):
        with pytest.raises(ProviderRejected, match="entity not found"):
            await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=None, text="", succeeded=False)
        entrance.answering(200, '{"data": {"changeTrackingCreateEvent": {"changeTrackingEvent": null}}}')
        with pytest.raises(ProviderError, match="did not say whether it took the deployment"):
            await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=None, text="", succeeded=False)


async def test_the_search_for_the_entity_cannot_be_changed_by_a_name() -> None:
    fake = FakeNewRelic()
    async with lab(fake, entity="name = '{service}-{environment}' AND type = 'APPLICATION'") as (source, _):
        await source.mark(subject=about(), operation=OPERATION, began=EXACT, ended=None, text="", succeeded=False)
    assert fake.events[0]["entitySearch"] == {"query": "name = 'checkout-production' AND type = 'APPLICATION'"}
    async with lab(fake, entity="name LIKE '{version}'") as (source, _):
        with pytest.raises(ProviderRejected, match="pattern"):
            await source.mark(subject=about(), operation="o2", began=EXACT, ended=None, text="", succeeded=False)
