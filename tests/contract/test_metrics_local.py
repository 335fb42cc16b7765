"""The counters of the local proxies, held to what every metric source must keep: the same suite, with a lab of its own.

What is behind the door is the agent's real API over a past of a quarter of an hour that was counted by another clock.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from contract.test_metrics import (
    test_a_bad_query_is_refused_for_good,
    test_a_number,
    test_a_redirect_is_not_followed,
    test_a_series_has_a_point_for_each_step,
    test_a_series_of_nothing_has_points_without_values,
    test_a_series_that_nobody_could_look_at_is_refused,
    test_a_value_where_it_could_change_the_query_is_refused_before_it_is_sent,
    test_an_answer_of_somebody_else_is_an_error,
    test_an_error_of_the_server_may_be_tried_again,
    test_cancelling_ends_the_call_at_once,
    test_many_questions_at_once,
    test_no_version_can_ask_about_another,
    test_nobody_there_may_be_tried_again,
    test_nothing_is_no_data_and_not_zero,
    test_secrets_are_told_to_nobody,
    test_the_deadline_holds,
    test_the_past_is_asked_about_as_it_was_or_not_told_at_all,
    test_what_is_no_number_is_no_data,
)
from integration.metrics.door import door, serve
from integration.metrics.labs import Lab, about, built

from integrations.local.agent.api import Api
from integrations.local.agent.faults import Faults
from integrations.local.agent.places import Places
from integrations.local.agent.recent import KEPT, Recent
from integrations.local.artifacts import Artifacts
from integrations.local.files import Root
from integrations.local.identity import born
from integrations.local.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = [
    "test_a_bad_query_is_refused_for_good",
    "test_a_number",
    "test_a_redirect_is_not_followed",
    "test_a_series_has_a_point_for_each_step",
    "test_a_series_of_nothing_has_points_without_values",
    "test_a_series_that_nobody_could_look_at_is_refused",
    "test_a_value_where_it_could_change_the_query_is_refused_before_it_is_sent",
    "test_an_answer_of_somebody_else_is_an_error",
    "test_an_error_of_the_server_may_be_tried_again",
    "test_cancelling_ends_the_call_at_once",
    "test_many_questions_at_once",
    "test_no_version_can_ask_about_another",
    "test_nobody_there_may_be_tried_again",
    "test_nothing_is_no_data_and_not_zero",
    "test_secrets_are_told_to_nobody",
    "test_the_deadline_holds",
    "test_the_past_is_asked_about_as_it_was_or_not_told_at_all",
    "test_what_is_no_number_is_no_data",
]

pytestmark = [pytest.mark.xdist_group("metrics"), pytest.mark.long]

TOKEN = "local-token-27182818284"


def past() -> Recent:
    """A request a second for a quarter of an hour, of which every twentieth fails; and one of another, long ago."""
    now = time.time()
    clock = [now - KEPT]
    recent = Recent(lambda: clock[0])
    digest = about().digest
    recent.count((digest, "v0.9"), seconds=0.004, error=False)
    for second in range(KEPT):
        clock[0] = now - KEPT + 1 + second
        recent.count((digest, "v1.2"), seconds=0.004, error=second % 20 == 0)
    return recent


async def stop() -> None:
    raise AssertionError("nobody asked to stop")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    root = Root(tmp_path)
    async with aiohttp.ClientSession() as session:
        places = Places(root=root, session=session, epoch="e")
        subject = about()
        place = await places.open(subject.service, subject.environment)
        place.proxy.recent = past()
        api = Api(token=TOKEN, places=places, artifacts=Artifacts(), faults=Faults(allowed=False), stop=stop)
        async with serve(api.application()) as address, door(address) as entrance:
            root.token.write_text(TOKEN)
            known = {"url": entrance.address, "pid": os.getpid(), "born": born(os.getpid()), "protocol": PROTOCOL}
            root.address.write_text(json.dumps(known))
            yield Lab(
                source=built("local", root=tmp_path),
                door=entrance,
                query="error_share",
                is_right=lambda value: value == pytest.approx(0.05, abs=0.02),
                bad="error_shares",
                misplaced="{version}",
                secrets={"the agent's token": TOKEN},
            )
        await places.close(stop=False)
