"""What every metric source must keep, whatever is behind it. A new source is one more entry in `LABS`."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from integration.metrics.labs import Lab, about, datadog_lab, newrelic_lab, probe_lab, prometheus_lab
from integration.metrics.real_prometheus import prometheus
from wire import serving

from bot.domain.errors import ConfigurationError, ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable
from bot.domain.metric import Track
from integrations.http_probe.source import HttpProbe
from integrations.registry import METRICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.ports.metrics import MetricSource

pytestmark = pytest.mark.xdist_group("metrics")

LABS = {"datadog": datadog_lab, "http_probe": probe_lab, "newrelic": newrelic_lab}
WINDOW = 300.0
HOSTILE = [
    'v9"} or http_requests_total{version="v1.2',
    "v9' OR version = 'v1.2",
    "v9,version:v1.2",
    "v9} by {version}",
    ".*",
    "*",
    "v1?2",
    "v[1].2",
    "v9\\",
    "v9\\' OR version = 'v1.2",
    "v9&version=v1.2",
    "v9#",
    "../../admin",
    "//elsewhere.example/",
    "v9\r\nX-Admin: yes",
    "v9\nSINCE 1 day ago",
    "{version}",
    "{digest}",
    "${jndi:x}",
    "%2e%2e%2f",
    "v1.2\x00",
    "v1.2\u2028",
    "",
    "v" * 600,
]


ELSE = [
    "",
    "<html>hello</html>",
    "[]",
    "{}",
    "null",
    "[" * 5000,
    '{"data": null}',
    '{"status": "ok"}',
    '{"status": "ok", "series": [5]}',
    '{"status": "ok", "series": [{"pointlist": [[1]]}]}',
    '{"status": "success"}',
    '{"status": "success", "data": {"resultType": "vector", "result": [5]}}',
    '{"status": "success", "data": {"resultType": "scalar", "result": [1, "one"]}}',
    '{"status": "error", "errorType": 5}',
    '{"data": {"actor": {"account": {"nrql": {"results": [5]}}}}}',
    '{"data": {"actor": {"account": {"nrql": {"results": null, "queryProgress": null}}}}}',
    '{"errors": "none"}',
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as address:
        yield address


@pytest.fixture(params=[*sorted(LABS), "prometheus"])
async def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    if request.param == "prometheus":
        async with prometheus_lab(monkeypatch, request.getfixturevalue("server")) as found:
            yield found
    else:
        async with LABS[request.param](monkeypatch) as found:
            yield found


async def ask(lab: Lab, version: str = "v1.2", *, query: str = "", **more: Any) -> Any:
    return await lab.source.read(query or lab.query, subject=about(version), window=WINDOW, **more)


def changed(source: Any, **options: object) -> MetricSource:
    """A source like ``source`` with other options."""
    return type(source)(source._options.model_copy(update=options))


def test_every_source_is_held_to_this() -> None:
    # The counters of the local proxy are named and not queried; they are held to the rest with the platform.
    assert set(METRICS.names()) - {"local"} == {*LABS, "prometheus"}


async def test_a_number(lab: Lab) -> None:
    before = datetime.now(UTC)
    reading = await ask(lab)
    assert reading.value is not None, reading.why
    assert lab.is_right(reading.value)
    assert reading.number == reading.value
    assert before - timedelta(seconds=1) <= reading.at <= datetime.now(UTC)
    assert reading.at.tzinfo is not None


async def test_nothing_is_no_data_and_not_zero(lab: Lab) -> None:
    reading = await ask(lab, lab.empty)
    assert (reading.value, reading.number) == (None, None)
    assert reading.why


async def test_what_is_no_number_is_no_data(lab: Lab) -> None:
    reading = await ask(lab, lab.nan)
    assert reading.value is None
    assert reading.why


async def test_the_past_is_asked_about_as_it_was_or_not_told_at_all(lab: Lab) -> None:
    then = datetime.now(UTC) - timedelta(minutes=10)
    reading = await ask(lab, at=then)
    assert reading.at == then
    if lab.keeps_past:
        assert reading.value is not None
        assert lab.is_right(reading.value)
    else:
        assert reading.value is None
        assert "past" in reading.why


async def test_a_series_has_a_point_for_each_step(lab: Lab) -> None:
    until = datetime.now(UTC)
    since = until - timedelta(minutes=10)
    points = await lab.source.series(lab.query, subject=about(), window=60.0, since=since, until=until, step=30.0)
    assert [point.at for point in points] == [since + timedelta(seconds=30 * n) for n in range(21)]
    values = [point.value for point in points if point.value is not None]
    if lab.keeps_past:
        # The freshest buckets may not be whole yet.
        assert len(values) >= 19
        assert all(map(lab.is_right, values))
    else:
        assert not values


async def test_a_series_of_nothing_has_points_without_values(lab: Lab) -> None:
    until = datetime.now(UTC)
    points = await lab.source.series(
        lab.query, subject=about(lab.empty), window=60.0, since=until - timedelta(minutes=1), until=until, step=10.0
    )
    assert [point.value for point in points] == [None] * 7


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), 0.001])
async def test_a_series_that_nobody_could_look_at_is_refused(lab: Lab, step: float) -> None:
    until = datetime.now(UTC)
    with pytest.raises(ProviderRejected, match="series"):
        await lab.source.series(
            lab.query, subject=about(), window=60.0, since=until - timedelta(hours=1), until=until, step=step
        )
    assert not lab.door.requests


async def test_a_bad_query_is_refused_for_good(lab: Lab) -> None:
    with pytest.raises(ProviderRejected) as caught:
        await ask(lab, query=lab.bad)
    assert not caught.value.retryable
    assert caught.value.provider in METRICS.names()


async def test_a_value_where_it_could_change_the_query_is_refused_before_it_is_sent(lab: Lab) -> None:
    with pytest.raises(ProviderRejected):
        await ask(lab, query=lab.misplaced)
    assert not lab.door.requests


async def test_no_version_can_ask_about_another(lab: Lab) -> None:
    for version in HOSTILE:
        reading = None
        with suppress(ProviderRejected):
            reading = await ask(lab, version)
        assert reading is None or reading.value is None, f"{version!r} was answered with the number of another version"


@pytest.mark.parametrize("version", ["", "v" * 600, "v1\n2", "v1\x00", "v1\u2028"])
async def test_what_is_no_name_is_not_sent(lab: Lab, version: str) -> None:
    with pytest.raises(ProviderRejected, match="version of this release cannot be asked about"):
        await ask(lab, version)
    assert not lab.door.requests


async def test_an_error_of_the_server_may_be_tried_again(lab: Lab) -> None:
    lab.door.answering(503, "upstream connect error")
    if isinstance(lab.source, HttpProbe):
        reading = await ask(lab)
        assert (reading.value, reading.samples) == (None, 0), "an error is quick, and no latency"
        return
    with pytest.raises(ProviderUnavailable) as caught:
        await ask(lab)
    assert caught.value.retryable


async def test_nobody_there_may_be_tried_again(lab: Lab) -> None:
    lab.door.instead = lab.door.shut
    with pytest.raises(ProviderUnavailable):
        await ask(lab)


async def test_an_answer_of_somebody_else_is_an_error(lab: Lab) -> None:
    for text in ELSE:
        lab.door.answering(200, text, Content_Type="application/json")
        if isinstance(lab.source, HttpProbe):
            assert (await ask(lab)).value is not None, "a probe does not read what it is answered"
            continue
        with pytest.raises(ProviderError):
            pytest.fail(f"{text[:80]} was taken for {await ask(lab)}")


@pytest.mark.parametrize("manner", ["silent", "dripping"])
async def test_the_deadline_holds(lab: Lab, manner: str) -> None:
    lab.door.instead = getattr(lab.door, manner)
    began = asyncio.get_running_loop().time()
    hurried = changed(lab.source, timeout=0.2)
    with pytest.raises(ProviderTimeout) as caught:
        await hurried.read(lab.query, subject=about(), window=WINDOW)
    assert asyncio.get_running_loop().time() - began < 3
    assert caught.value.retryable


async def test_a_redirect_is_not_followed(lab: Lab) -> None:
    followed: list[Any] = []

    async def elsewhere(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        followed.append(await reader.readline())

    async with serving(elsewhere) as port:
        lab.door.answering(307, "", Location=f"http://127.0.0.1:{port}/api/v1/query")
        if isinstance(lab.source, HttpProbe):
            assert (await ask(lab)).value is not None
        else:
            with pytest.raises(ProviderRejected):
                await ask(lab)
    assert not followed


async def test_cancelling_ends_the_call_at_once(lab: Lab) -> None:
    lab.door.instead = lab.door.silent
    tasks = asyncio.all_tasks()
    asking = asyncio.create_task(ask(lab))
    async with asyncio.timeout(5):
        await lab.door.until_waiting(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await lab.door.until_waiting(0)
    assert {task for task in asyncio.all_tasks() - tasks if "source" in repr(task)} == set()


async def test_many_questions_at_once(lab: Lab) -> None:
    readings = await asyncio.gather(*(ask(lab, track) for track in ["v1.2", "v9.9"] * 10))
    assert [reading.value is not None for reading in readings] == [True, False] * 10


async def test_secrets_are_told_to_nobody(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(lab.source), str(vars(lab.source))]
    await ask(lab)
    hurried = changed(lab.source, timeout=0.2)
    for manner in (400, 401, 403, 404, 429, 500, lab.door.shut, lab.door.silent):
        if isinstance(manner, int):
            lab.door.answering(manner, "no")
        else:
            lab.door.instead = manner
        asking = hurried.read(lab.query, subject=about(), window=WINDOW)
        [error] = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(error, ProviderError):
            said += [error.message, repr(error), *traceback.format_exception(error)]
            assert error.__cause__ is None
            assert error.__context__ is None, "what the client raised knows the request"
    said += [record.getMessage() for record in caplog.records]
    told = "\n".join(said)
    for secret in lab.secrets.values():
        assert any(secret in str(headers) for _, headers, _ in lab.door.requests), "it was never sent"
        assert secret not in told


async def test_secrets_are_read_when_they_are_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in lab.secrets:
        monkeypatch.delenv(name)
        with pytest.raises(ConfigurationError, match=rf"^The secret env:{name} is not set\.$"):
            await ask(lab)
        monkeypatch.setenv(name, "other-secret-4711")
        lab.door.requests.clear()
        lab.door.answering(401)
        with pytest.raises(ProviderRejected, match="credentials"):
            await ask(lab)
        assert any("other-secret-4711" in str(headers) for _, headers, _ in lab.door.requests)
        monkeypatch.setenv(name, lab.secrets[name])
        lab.door.instead = None
    assert (await ask(lab)).value is not None


async def test_where_nothing_listens(lab: Lab) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ProviderUnavailable) as caught:
        await changed(lab.source, address=address).read(lab.query, subject=about(track=Track.STABLE), window=WINDOW)
    assert caught.value.retryable
