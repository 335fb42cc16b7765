"""Every metric source beside what it asks, arranged alike: the same questions, each in the source's own language."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from integration.metrics.door import Door, door, serve
from integration.metrics.fake_datadog import API_KEY, APP_KEY, FakeDatadog
from integration.metrics.fake_newrelic import ACCOUNT, USER_KEY, FakeNewRelic

from bot.domain.catalog import ProviderRef
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.metric import Subject, Track
from integrations import registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.ports.metrics import MetricSource

BEARER = "prom-token-31415926535"
TIMEOUT = 3.0


def about(version: str = "v1.2", *, track: Track = Track.CANARY) -> Subject:
    """A release whose numbers are asked for."""
    return Subject(
        service=ServiceName("checkout"),
        environment=EnvironmentName("production"),
        version=version,
        digest="sha256:" + "ab" * 32,
        track=track,
    )


@dataclass
class Lab:
    """A source, and questions to it about ``v1.2``, of which there are numbers, and other versions."""

    source: MetricSource
    door: Door
    query: str
    """Gives a number for v1.2 only; takes the version as a placeholder."""
    is_right: Callable[[float], bool]
    empty: str = "v9.9"
    """A version of which there is nothing."""
    nan: str = "v0.9"
    """A version whose number is none: NaN, or what comes closest in the source."""
    bad: str = ""
    """A query that the source cannot read."""
    misplaced: str = ""
    """A query with a placeholder where a value could change it."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Environment variable -> the secret in it."""
    keeps_past: bool = True


def built(kind: str, **options: object) -> MetricSource:
    """A source as the catalog would make it."""
    return registry.build_metrics(ProviderRef(kind=kind, options=options))


@asynccontextmanager
async def prometheus_lab(patch: pytest.MonkeyPatch, address: str) -> AsyncIterator[Lab]:
    patch.setenv("LAB_BEARER", BEARER)
    errors = 'http_requests_total{service="{service}",version="{version}",code=~"5.."}[{window}]'
    every = 'http_requests_total{service="{service}",version="{version}"}[{window}]'
    async with door(address) as entrance:
        yield Lab(
            source=built("prometheus", address=entrance.address, bearer="env:LAB_BEARER", timeout=TIMEOUT),
            door=entrance,
            query=f"sum(rate({errors})) / sum(rate({every}))",
            is_right=lambda value: value == pytest.approx(0.05, rel=0.02),
            bad='sum(rate(http_requests_total{version="{version}"}[5m])',
            misplaced="{version}",
            secrets={"LAB_BEARER": BEARER},
        )


@asynccontextmanager
async def datadog_lab(patch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    patch.setenv("LAB_API_KEY", API_KEY)
    patch.setenv("LAB_APP_KEY", APP_KEY)
    fake = FakeDatadog(
        values={("requests.errors", "v1.2"): [2.0, None, 4.0], ("requests.errors", "v0.9"): [float("nan")]}
    )
    async with serve(fake.app()) as address, door(address) as entrance:
        yield Lab(
            source=built(
                "datadog",
                address=entrance.address,
                api_key="env:LAB_API_KEY",
                app_key="env:LAB_APP_KEY",
                timeout=TIMEOUT,
            ),
            door=entrance,
            query="avg:requests.errors{service:{service},env:{environment},version:{version}}",
            is_right=lambda value: 2 <= value <= 4,
            bad="avg:requests.errors{version:{version}, }",
            misplaced="avg:requests.{version}{*}",
            secrets={"LAB_API_KEY": API_KEY, "LAB_APP_KEY": APP_KEY},
        )


@asynccontextmanager
async def newrelic_lab(patch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    patch.setenv("LAB_USER_KEY", USER_KEY)
    fake = FakeNewRelic(rows={"v1.2": [{"errors": 3.2, "samples": 120}], "v0.9": [{"errors": None, "samples": 4}]})
    async with serve(fake.app()) as address, door(address) as entrance:
        yield Lab(
            source=built(
                "newrelic", address=entrance.address, account=ACCOUNT, user_key="env:LAB_USER_KEY", timeout=TIMEOUT
            ),
            door=entrance,
            query="SELECT percentage(count(*), WHERE error IS true) AS errors, count(*) AS samples FROM Transaction "
            "WHERE appName = '{service}' AND version = '{version}'",
            is_right=lambda value: value == 3.2,
            bad="SELECT count(*) FORM Transaction WHERE version = '{version}'",
            misplaced="SELECT count(*) FROM Transaction WHERE version LIKE '{version}%'",
            secrets={"LAB_USER_KEY": USER_KEY},
        )


@asynccontextmanager
async def probe_lab(patch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    async def health(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.query.get("version") == "v1.2" else 500)

    app = web.Application()
    app.router.add_get("/health", health)
    async with serve(app) as address, door(address) as entrance:
        yield Lab(
            source=built("http_probe", address=entrance.address, probes=3, pause=0, timeout=TIMEOUT / 3),
            door=entrance,
            query="/health?version={version}",
            is_right=lambda value: 0 < value < TIMEOUT / 3,
            bad="http://elsewhere.example/health",
            misplaced="{version}/health",
            keeps_past=False,
        )
