"""What Prometheus reads from a bot that runs."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from bot.api.metrics import STATUSES

if TYPE_CHECKING:
    from house import House

pytestmark = pytest.mark.xdist_group("api")

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""The ``Accept`` header of Prometheus 3."""
PLACE = {"service": "checkout", "environment": "staging"}
SUCCEEDED = {**PLACE, "strategy": "rolling", "status": "succeeded"}


async def test_a_deployment_is_counted_from_zero_to_its_end(house: House) -> None:
    await house.begin()
    before = await house.scrape()
    for environment in ("staging", "production"):
        place = {"service": "checkout", "environment": environment}
        for status in STATUSES:
            assert before.get("deployments_total", **place, strategy="rolling", status=status) == 0
        assert before.get("deployment_duration_seconds_count", **place) == 0
        assert before.get("active_deployments", environment=environment) == 0

    receipt = await house.server.hands.command("ada", "/deploy", "checkout v1.1 staging", channel="deployments")
    assert receipt.acked
    after = await house.until(lambda now: now.get("deployments_total", **SUCCEEDED))
    assert after.sum("deployments_total") == 1
    assert after.get("deployment_duration_seconds_count", **PLACE) == 1
    assert 0 < (after.get("deployment_duration_seconds_sum", **PLACE) or 0) < 30
    assert after.get("deployment_queue_wait_seconds_count", environment="staging") == 1
    assert after.get("deployment_lock_hold_seconds_count", environment="staging") == 1
    assert after.get("deployment_changes_total", **PLACE, outcome="succeeded") == 1
    rested = await house.until(lambda now: now.get("slack_publisher_lag_seconds") == 0 and now.get("replicas_alive"))
    assert rested.get("replicas_alive") == 1
    assert rested.sum("active_deployments") == 0

    await house.end()
    await house.begin()
    anew = await house.scrape()
    assert anew.get("deployments_total", **SUCCEEDED) == 0
    assert anew.sum("deployments_total") == 0

    # A service that comes with a reload is there at zero, and what has gone is gone.
    text = house.config.read_text()
    house.config.write_text(text.replace("  checkout:\n", "  payments:\n").replace("production: {}", "canada: {}"))
    wanted = {"service": "payments", "environment": "canada", "strategy": "rolling", "status": "failed"}
    numbers = await house.until(lambda now: now.get("deployments_total", **wanted) == 0)
    assert numbers.get("active_deployments", environment="canada") == 0
    assert numbers.get("active_deployments", environment="production") is None
    assert not [labels for _, labels in numbers.values if ("service", "checkout") in labels]


async def test_it_speaks_openmetrics_to_prometheus_and_text_to_everybody_else(house: House) -> None:
    await house.begin()
    plain = await house.get("/metrics", Accept="*/*", **{"Accept-Encoding": "identity"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in plain.headers
    asked = await house.get("/metrics", Accept=PROMETHEUS, **{"Accept-Encoding": "gzip"})
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.text.endswith("# EOF\n")
    names = {family.name for family in open_metrics(asked.text)}
    assert {"deployments", "deployment_duration_seconds", "active_deployments"} <= names
    odd = await house.get("/metrics", Accept="application/openmetrics-text;q=x;version=…,,;=;")
    assert odd.headers["content-type"].startswith("text/plain")

    # Without TCP_NODELAY a second question on one connection waits 40 ms for its answer.
    took = []
    for _ in range(20):
        began = time.monotonic()
        await house.get("/healthz")
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < 0.03


async def test_a_token_is_asked_for_if_there_is_one_and_health_never_asks(house: House) -> None:
    await house.begin(metrics_token="0123456789abcdef")
    for authorization in ("", "Bearer 0123456789abcdeg", "Basic 0123456789abcdef", "Bearer", "Bearer 0123456789ábcdef"):
        refused = await house.get("/metrics", Authorization=authorization)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "deployments_total" not in refused.text
    granted = await house.get("/metrics", Authorization="bearer 0123456789abcdef")
    assert "deployments_total{" in granted.text
    assert (await house.get("/readyz")).status_code == 200


async def test_health_is_answered_while_many_read_the_metrics_of_a_large_catalog(house: House) -> None:
    environments = ", ".join(f"e{number}: {{}}" for number in range(5))
    services = "".join(
        f"  s{number}: {{ target: {{ type: local, root: platform }}, images: {{ type: local, folder: artifacts }} }}\n"
        for number in range(500)
    )
    begin, rest = house.config.read_text().split("services:\n")
    begin = begin.replace("environments: { staging: {}, production: {} }", f"environments: {{ {environments} }}")
    house.config.write_text(f"{begin}services:\n{services}{rest[rest.index('roles:') :]}")
    await house.begin()
    scrapes = [asyncio.create_task(house.raw("/metrics", Accept=PROMETHEUS)) for _ in range(20)]
    while not all(scrape.done() for scrape in scrapes):
        began = time.monotonic()
        assert (await house.get("/readyz")).status_code == 200
        assert time.monotonic() - began < 1.0  # what a probe gives it; alone it takes a few milliseconds
    answers = {scrape.result() for scrape in scrapes}
    assert len(answers) == 1, "twenty that ask at once are answered by one rendering"
    series = [line for line in gzip.decompress(answers.pop()).splitlines() if not line.startswith(b"#")]
    assert 60_000 < len(series) < 62_000
