"""What Prometheus reads from a bot that runs."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import TYPE_CHECKING

import pytest
from house import Numbers
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from bot.api.metrics import STATUSES

if TYPE_CHECKING:
    from house import House

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.long]

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""The ``Accept`` header of Prometheus 3."""
PLACE = {"service": "checkout", "environment": "staging"}
SUCCEEDED = {**PLACE, "strategy": "rolling", "status": "succeeded"}
TOKEN = "0123456789abcdef"


async def test_a_deployment_is_counted_from_zero_to_its_end_and_a_reload_is_followed(house: House) -> None:
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
    await house.until(lambda now: now.get("active_deployments", environment="staging") == 1)
    after = await house.until(lambda now: now.get("deployments_total", **SUCCEEDED))
    assert after.sum("deployments_total") == 1
    assert after.get("deployment_duration_seconds_count", **PLACE) == 1
    assert 0 < (after.get("deployment_duration_seconds_sum", **PLACE) or 0) < 30
    assert after.get("deployment_queue_wait_seconds_count", environment="staging") == 1
    assert after.get("deployment_lock_hold_seconds_count", environment="staging") == 1
    assert after.get("deployment_changes_total", **PLACE, outcome="succeeded") == 1
    rested = await house.until(lambda now: now.get("slack_publisher_lag_seconds") == 0 and now.get("replicas_alive"))
    assert rested.sum("active_deployments") == 0
    assert rested.sum("deployments_total") == 1
    assert rested.get("replicas_alive") == 1
    assert (rested.get("event_loop_lag_seconds_count") or 0) > 0

    # A service that comes with a reload is there at zero; of what went, only what has counted something stays.
    text = house.config.read_text()
    new = text.replace("  checkout:\n", "  payments:\n").replace("production: {}", "canada: {}")
    house.config.write_text(new)
    wanted = {"service": "payments", "environment": "canada", "strategy": "rolling", "status": "failed"}
    numbers = await house.until(lambda now: now.get("deployments_total", **wanted) == 0)
    assert numbers.get("active_deployments", environment="canada") == 0
    assert numbers.get("active_deployments", environment="production") is None
    assert numbers.get("deployments_total", **SUCCEEDED) == 1
    assert not [labels for _, labels in numbers.values if ("environment", "production") in labels]


async def test_it_is_read_by_whom_it_may_in_the_format_that_they_ask_for(house: House) -> None:
    large(house)
    await house.begin(metrics_token=TOKEN)
    for authorization in ("", f"Bearer {TOKEN[:-1]}g", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}é"):
        refused = await house.get("/metrics", Authorization=authorization)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "deployments_total" not in refused.text

    # However many read, whoever asks for health is answered meanwhile.
    granted = {"Authorization": f"bearer {TOKEN}"}
    scrapes = [asyncio.create_task(house.raw("/metrics", Accept=PROMETHEUS, **granted)) for _ in range(20)]
    while not all(scrape.done() for scrape in scrapes):
        began = time.monotonic()
        assert (await house.get("/readyz")).status_code == 200
        assert time.monotonic() - began < 15.0  # what a probe gives it; alone it takes a few milliseconds
    answers = {scrape.result() for scrape in scrapes}
    assert len(answers) == 1, "twenty that ask at once are answered by one rendering"
    series = [line for line in gzip.decompress(answers.pop()).splitlines() if not line.startswith(b"#")]
    assert len(series) > 400 * 24

    plain = await house.get("/metrics", Accept="*/*", **{"Accept-Encoding": "identity"}, **granted)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in plain.headers
    assert (
        Numbers.of("".join(line for line in plain.text.splitlines(True) if "e4" in line)).sum("deployments_total") == 0
    )
    asked = await house.get("/metrics", Accept=PROMETHEUS, **{"Accept-Encoding": "gzip"}, **granted)
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.text.endswith("# EOF\n")
    odd = await house.get("/metrics", Accept="application/openmetrics-text;q=x;version=…,,;=;", **granted)
    assert odd.headers["content-type"].startswith("text/plain")

    # Without TCP_NODELAY a second question on one connection waits 40 ms for its answer.
    took = []
    for _ in range(20):
        began = time.monotonic()
        await house.get("/healthz")
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < 0.03

    # Small enough to be parsed strictly.
    lines = asked.text.splitlines(True)
    few = [line for line in lines if line.startswith("#") or 'service="' not in line or '"s7"' in line]
    names = {family.name for family in open_metrics("".join(few))}
    assert {"deployments", "deployment_duration_seconds", "active_deployments"} <= names


def large(house: House) -> None:
    """Five environments and eighty services in each."""
    environments = ", ".join(f"e{number}: {{}}" for number in range(5))
    services = "".join(
        f"  s{number}: {{ target: {{ type: local, root: platform }}, images: {{ type: local, folder: artifacts }} }}\n"
        for number in range(80)
    )
    begin, rest = house.config.read_text().split("services:\n")
    begin = begin.replace("environments: { staging: {}, production: {} }", f"environments: {{ {environments} }}")
    house.config.write_text(f"{begin}services:\n{services}{rest[rest.index('roles:') :]}")
