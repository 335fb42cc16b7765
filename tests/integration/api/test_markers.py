"""A bot that runs tells Datadog of a deployment, by Datadog's own client, also when Datadog is away at first."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import pytest
from integration.metrics.door import door, serve
from integration.metrics.fake_datadog import API_KEY, APP_KEY, FakeDatadog

if TYPE_CHECKING:
    from house import House

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.long]

SOURCE = """\
metrics:
  vendor: {{ type: datadog, address: "{address}", api_key: "env:LAB_API_KEY", app_key: "env:LAB_APP_KEY", timeout: 5 }}
checks:
  errors:
    source: vendor
    query: "avg:errors{{{{service:{{service}},version:{{version}}}}}}"
    kind: share
    limit: 2%
    interval: 2s
    window: 60s
services:
"""


async def test_a_deployment_is_shown_once_when_it_begins_and_once_when_it_has_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", API_KEY)
    monkeypatch.setenv("LAB_APP_KEY", APP_KEY)
    fake = FakeDatadog()
    async with serve(fake.app()) as address, door(address) as entrance:
        text = house.config.read_text().replace("services:\n", SOURCE.format(address=entrance.address), 1)
        text = text.replace("  checkout:\n", "  checkout:\n    checks: [errors]\n", 1)
        house.config.write_text(text.replace("{{", "{").replace("}}", "}"))
        await house.begin()
        entrance.answering(503)
        receipt = await house.server.hands.command("ada", "/deploy", "checkout v1.1 staging", channel="deployments")
        assert receipt.acked, receipt.error
        await house.until(
            lambda now: now.get(
                "deployments_total", service="checkout", environment="staging", strategy="rolling", status="succeeded"
            )
        )
        assert fake.events == [], "it has succeeded although Datadog is away"
        entrance.instead = None
        deadline = time.monotonic() + 30
        while len(fake.events) < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
    assert [re.sub(".*: ", "", one["title"]) for one in fake.events] == ["began", "succeeded"]
    [operation] = {one["aggregation_key"] for one in fake.events}
    assert operation.startswith("d")
    assert fake.events[1]["text"] == "#1 checkout v1.1 to staging, asked for by ada: succeeded"
    assert len(fake.deployments) == 1
