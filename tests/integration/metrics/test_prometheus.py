"""Prometheus: a real server from Debian's package, and the answers that it gives only when something is wrong."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from integration.metrics.door import Door, door, serve
from integration.metrics.labs import about, built
from integration.metrics.real_prometheus import PASSWORD, USER, prometheus

from bot.domain.errors import ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bot.ports.metrics import MetricSource

pytestmark = pytest.mark.xdist_group("metrics")
ERRORS = 'sum(rate(http_requests_total{version="{version}",code=~"5.."}[{window}]))'
ALL = 'sum(rate(http_requests_total{version="{version}"}[{window}]))'
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as address:
        yield address


async def number(source: MetricSource, query: str, version: str = "v1.2", window: float = 300.0) -> float | None:
    return (await source.read(query, subject=about(version), window=window)).value


@asynccontextmanager
async def shut(**options: object) -> AsyncIterator[tuple[MetricSource, Door]]:
    """A source that asks a door with nothing behind it."""
    async with door(NOWHERE) as entrance:
        yield built("prometheus", address=entrance.address, timeout=2.0, **options), entrance


def vector(*values: str, **more: Any) -> str:
    result = [{"metric": {"n": str(n)}, "value": [1.5, value]} for n, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **more})


async def test_an_absent_numerator_is_no_data_until_the_query_says_zero(server: str) -> None:
    source = built("prometheus", address=server)
    assert await number(source, f"{ERRORS} / {ALL}", "v1.3") is None
    assert await number(source, f"({ERRORS} or vector(0)) / {ALL}", "v1.3") == 0.0


async def test_nothing_divided_by_nothing_is_no_data(server: str) -> None:
    source = built("prometheus", address=server)
    reading = await source.read(f"{ERRORS} / {ALL}", subject=about("v0.9"), window=300.0)
    assert reading.value is None
    assert "NaN" in reading.why
    quantile = 'histogram_quantile(0.95, sum by (le) (rate(wait_bucket{version="{version}"}[{window}])))'
    reading = await source.read(quantile, subject=about("v0.9"), window=300.0)
    assert reading.value is None
    assert "NaN" in reading.why


async def test_something_divided_by_nothing_is_no_data(server: str) -> None:
    source = built("prometheus", address=server)
    reading = await source.read(f"{ALL} / 0", subject=about(), window=300.0)
    assert reading.value is None
    assert "infinite" in reading.why


async def test_a_scalar_is_a_number_too(server: str) -> None:
    source = built("prometheus", address=server)
    assert await number(source, "scalar(sum(up_since)) * 2") == 14.0
    assert await number(source, "scalar(absent_metric)") is None, "scalar() of nothing is NaN"


async def test_several_series_are_not_one_number(server: str) -> None:
    source = built("prometheus", address=server)
    with pytest.raises(ProviderRejected, match="gives 2 series and must give one"):
        await number(source, 'http_requests_total{version="{version}"}')


@pytest.mark.parametrize(("query", "kind"), [('"text"', "string"), ('up_since{version="{version}"}[5m]', "matrix")])
async def test_what_is_no_number_is_refused(server: str, query: str, kind: str) -> None:
    with pytest.raises(ProviderRejected, match=f"no single number but a {kind}"):
        await number(built("prometheus", address=server), query)


async def test_a_bad_query_is_told_with_the_place(server: str) -> None:
    source = built("prometheus", address=server)
    place = r"line 1, position 20, near .*canary.*\)\) \+ 1': unexpected character"
    with pytest.raises(ProviderRejected, match=place) as caught:
        await number(source, 'sum(up{job="{track}")) + 1')
    assert not caught.value.retryable
    with pytest.raises(ProviderRejected, match=r"line 2, position 4, near '  \) \* 2': unexpected right"):
        await number(source, "1 +\n  ) * 2")
    with pytest.raises(ProviderRejected, match=r"line 1, position \d+, near 'sum\(up': unclosed left parenthesis"):
        await number(source, "sum(up")


async def test_what_cannot_be_carried_out_is_refused(server: str) -> None:
    with pytest.raises(ProviderRejected, match="cannot carry the query out: found duplicate series"):
        await number(built("prometheus", address=server), "http_requests_total / on(service) http_requests_total")


async def test_names_are_put_in_exactly_however_odd(server: str) -> None:
    source = built("prometheus", address=server)
    odd = 'we"ird\\one'
    assert await number(source, f"{ERRORS} / {ALL}", odd) == pytest.approx(0.25, rel=0.02)
    single = "sum(increase(http_requests_total{version='{version}'}[{window}]))"
    assert await number(source, single, odd) == pytest.approx(240, rel=0.03)
    pattern = 'sum(increase(http_requests_total{version=~"{version}"}[{window}]))'
    assert await number(source, pattern, odd) == pytest.approx(240, rel=0.03)


async def test_a_name_is_no_pattern(server: str) -> None:
    source = built("prometheus", address=server)
    pattern = 'count(http_requests_total{version=~"{version}"})'
    assert await number(source, pattern, "v1.2") == 2.0, "v1x2 is another version"
    assert await number(source, pattern, "v1.*") is None
    assert await number(source, pattern, "v1.2|v1x2") is None
    other = 'count(http_requests_total{version!~"{version}"})'
    assert await number(source, other, ".*") == 9.0
    assert await number(source, 'count(http_requests_total{version=~"({version}|v1x2)"})', "v1.2") == 4.0


@pytest.mark.parametrize(
    "query",
    [
        "{version}",
        "up{version={version}}",
        "up{version=`{version}`}",
        'label_replace(up, "version", "{version}", "x", ".*")',
        'label_replace(up, "v", "$1", "version", "{version}")',
        'count_values("{version}", up)',
        'up{version="x"} # {version}',
        'up # "\n{version}',
    ],
)
async def test_a_name_stands_in_label_matchers_only(query: str) -> None:
    async with shut() as (source, entrance):
        with pytest.raises(ProviderRejected, match=r"\{version\} at position \d+ of the query must stand"):
            await number(source, query)
        assert not entrance.requests


async def test_quotes_in_comments_and_texts_do_not_confuse(server: str) -> None:
    source = built("prometheus", address=server)
    query = 'sum(up_since{version!="it\'s", version!=\'say "no\', version!="\\"", version="{version}"}) # don\'t'
    assert await number(source, query) == 7.0
    query = '1 # don\'t\n + sum(up_since{version="{version}"})'
    assert await number(source, query) == 8.0


async def test_braces_that_are_no_placeholder_stay(server: str) -> None:
    source = built("prometheus", address=server)
    query = 'count({__name__=~"http_requests_total|{x}", version="{version}"})'
    assert await number(source, query) == 2.0


@pytest.mark.parametrize(("window", "said"), [(300.0, "300s"), (1.5, "1500ms"), (0.0004, "1ms"), (86_400.0, "86400s")])
async def test_the_window_is_written_as_promql_has_it(window: float, said: str) -> None:
    async with shut() as (source, entrance):
        entrance.answering(200, vector("1"))
        await number(source, ALL, window=window)
        [(path, headers, body)] = entrance.requests
        form = parse_qs(body.decode())
        assert path == "/api/v1/query"
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert f"[{said}]" in form["query"][0]
        assert form["timeout"] == ["2s"]
        assert float(form["time"][0]) == pytest.approx(datetime.now(UTC).timestamp(), abs=10)


async def test_a_series_tells_gaps_as_gaps(server: str) -> None:
    source = built("prometheus", address=server)
    until = datetime.now(UTC)
    since = until - timedelta(seconds=1200)
    query = 'max_over_time(up_since{version="{version}"}[{window}])'
    points = await source.series(query, subject=about(), window=30.0, since=since, until=until, step=60.0)
    assert [point.at for point in points] == [since + timedelta(seconds=60 * n) for n in range(21)]
    values = [point.value for point in points]
    assert values[:4] == [7.0] * 4
    assert values[7:13] == [None] * 6, "nothing was measured then"
    assert values[-3:] == [7.0] * 3


async def test_nan_in_a_series_is_a_gap(server: str) -> None:
    until = datetime.now(UTC)
    points = await built("prometheus", address=server).series(
        f"{ERRORS} / {ALL}",
        subject=about("v0.9"),
        window=60.0,
        since=until - timedelta(seconds=60),
        until=until,
        step=20.0,
    )
    assert [point.value for point in points] == [None] * 4


async def test_basic_authentication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(PASSWORD + "\n")
    with prometheus(tmp_path / "prometheus", auth=True) as address:
        known = {"address": address, "username": USER, "password": f"file:{tmp_path / 'secret'}"}
        assert await number(built("prometheus", **known), "vector(1)") == 1.0
        with pytest.raises(ProviderRejected, match=r"does not accept our credentials \(401\)"):
            await number(built("prometheus", address=address), "vector(1)")
        (tmp_path / "secret").write_text("another")
        with pytest.raises(ProviderRejected, match="does not accept our credentials"):
            await number(built("prometheus", **known), "vector(1)")


async def test_the_token_and_the_headers_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "t-31415")
    async with shut(bearer="env:LAB_TOKEN", headers={"X-Scope-OrgID": "team-a"}) as (source, entrance):
        entrance.answering(200, vector("1"))
        assert await number(source, "vector(1)") == 1.0
        [(_, headers, _)] = entrance.requests
        assert headers["Authorization"] == "Bearer t-31415"
        assert headers["X-Scope-OrgID"] == "team-a"


async def test_an_answer_that_the_server_warns_about_is_not_trusted() -> None:
    async with shut() as (source, entrance):
        entrance.answering(200, vector("0", warnings=["store 10.0.0.7: no answer", "partial response"]))
        reading = await source.read("vector(0)", subject=about(), window=60.0)
        assert reading.value is None
        assert "store 10.0.0.7: no answer; partial response" in reading.why
        entrance.answering(200, vector(warnings=["partial response"]))
        assert "partial response" in (await source.read("vector(0)", subject=about(), window=60.0)).why
    async with shut(accept_warnings=True) as (source, entrance):
        entrance.answering(200, vector("0", warnings=["partial response"]))
        reading = await source.read("vector(0)", subject=about(), window=60.0)
        assert (reading.value, reading.why) == (0.0, "partial response")


async def test_success_needs_the_word_and_the_status() -> None:
    async with shut() as (source, entrance):
        entrance.answering(200, json.dumps({"status": "error", "errorType": "internal", "error": "disk"}))
        with pytest.raises(ProviderError, match="disk"):
            await number(source, "vector(0)")
        entrance.answering(500, vector("0"))
        with pytest.raises(ProviderUnavailable):
            await number(source, "vector(0)")


async def test_what_the_server_gives_up_is_a_timeout() -> None:
    async with shut() as (source, entrance):
        said = {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}
        entrance.answering(503, json.dumps(said))
        with pytest.raises(ProviderTimeout, match="gave the query up: query timed out"):
            await number(source, "vector(0)")


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0", 0.0), ("junk", None), ("", None), ("99999", 3600.0)])
async def test_asking_too_often_says_when_to_come_back(header: str, seconds: float | None) -> None:
    async with shut() as (source, entrance):
        entrance.answering(429, "slow down", Retry_After=header)
        with pytest.raises(ProviderUnavailable) as caught:
            await number(source, "vector(0)")
        assert caught.value.retry_after == seconds


async def test_a_huge_answer_is_not_taken_in() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 1024 * 1024)

    async with shut() as (source, entrance):
        entrance.instead = flood
        with pytest.raises(ProviderError, match="more than 16 MiB"):
            await number(source, "vector(0)")


@pytest.mark.long
async def test_a_service_that_is_scraped_is_seen(tmp_path: Path) -> None:
    served = 0

    async def metrics(_: web.Request) -> web.Response:
        nonlocal served
        served += 10
        lines = [
            "# TYPE http_requests_total counter",
            f'http_requests_total{{version="v2",code="200"}} {served * 9}',
            f'http_requests_total{{version="v2",code="500"}} {served}',
        ]
        return web.Response(text="\n".join(lines) + "\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with serve(app) as service:
        folder = tmp_path / "prometheus"
        server = await asyncio.to_thread(_entered, folder, service.removeprefix("http://"))
        try:
            source = built("prometheus", address=server[1])
            async with asyncio.timeout(30):
                while (value := await number(source, f"{ERRORS} / {ALL}", "v2", window=5.0)) is None:
                    await asyncio.sleep(0.1)
            assert value == pytest.approx(0.1, rel=0.01)
            assert await number(source, f"{ERRORS} / {ALL}", "v3", window=5.0) is None
        finally:
            await asyncio.to_thread(server[0].__exit__, None, None, None)


def _entered(folder: Path, scrape: str) -> tuple[Any, str]:
    context = prometheus(folder, scrape=scrape, past=False)
    return context, context.__enter__()
