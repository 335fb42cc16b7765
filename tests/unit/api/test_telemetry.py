"""Each deployment is counted once, whatever is repeated, on however many replicas; and what is shown never drifts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from measured import MINUTE, Replica
from unit.engine.engine_world import ADA, CHECKOUT, NOON, PRODUCTION, STAGING, WEB, open_world, release

from bot.api.metrics import PHASES, STATUSES, Metrics
from bot.domain.actor import BOT
from bot.domain.catalog import Environment, ProviderRef, Service
from bot.domain.deployment import Request, Resolution
from bot.domain.errors import InvalidTransition, StoreError
from bot.domain.history import Event
from bot.domain.ids import EnvironmentName, ServiceName, operation_id
from bot.domain.lifecycle import Phase
from bot.domain.rollout import Handle
from bot.ports.telemetry import Kind, Standing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from unit.engine.engine_world import World

    from bot.domain.deployment import Deployment

P = Phase
PLACE = {"service": "checkout", "environment": "staging"}
SUCCEEDED = {**PLACE, "strategy": "rolling", "status": "succeeded"}
RUNS = (P.QUEUED, P.DEPLOYING, P.VERIFYING)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_a_whole_life_is_measured_from_its_timeline(world: World) -> None:
    one = Replica(world)
    made = await world.deployed()
    await one.takes(made, P.AWAITING_APPROVAL, *RUNS, P.SUCCEEDED)
    assert one.get("deployments_total", **SUCCEEDED) == 1
    assert one.sum("deployments_total") == 1
    for name, labels, seconds in (
        ("deployment_approval_wait_seconds", {"environment": "staging"}, 60),
        ("deployment_queue_wait_seconds", {"environment": "staging"}, 60),
        ("deployment_lock_hold_seconds", {"environment": "staging"}, 120),
        ("deployment_duration_seconds", PLACE, 120),
    ):
        assert one.get(f"{name}_sum", **labels) == seconds, name
        assert one.get(f"{name}_count", **labels) == 1, name
    assert one.get("deployment_duration_seconds_bucket", **PLACE, le="60.0") == 0
    assert one.get("deployment_duration_seconds_bucket", **PLACE, le="120.0") == 1
    assert one.get("deployment_changes_total", **PLACE, outcome="succeeded") == 1


async def test_what_ends_before_its_turn_has_no_duration_and_is_no_failed_change(world: World) -> None:
    one = Replica(world)
    await one.takes(await world.deployed(), P.AWAITING_APPROVAL, P.REJECTED)
    await one.takes(await world.deployed(), P.ERRORED)
    assert one.sum("deployments_total", status="rejected") == 1
    assert one.sum("deployments_total", status="errored") == 1
    assert one.sum("deployment_duration_seconds_count") == 0
    assert one.sum("deployment_changes_total") == 0
    assert one.get("deployment_approval_wait_seconds_sum", environment="staging") == 60


async def test_a_lock_that_is_given_back_and_taken_anew_is_held_twice(world: World) -> None:
    one = Replica(world)
    made = await one.takes(await world.deployed(), P.QUEUED, P.DEPLOYING, P.HELD)
    for phase in (*RUNS, P.NEEDS_ATTENTION, P.FAILED):
        world.time += MINUTE
        await one.ledger.advance(made.id, phase, actor=BOT, key=f"{phase} again")
    assert one.get("deployment_lock_hold_seconds_count", environment="staging") == 2
    assert one.get("deployment_lock_hold_seconds_sum", environment="staging") == 60 + 180
    assert one.get("deployment_duration_seconds_sum", **PLACE) == 180, "only of the change that was made"
    assert one.get("deployment_changes_total", **PLACE, outcome="failed") == 1


async def test_a_step_that_runs_again_counts_nothing_here_there_or_after_a_restart(world: World) -> None:
    one, other = Replica(world), Replica(world)
    made = await one.takes(await world.deployed(), *RUNS, P.SUCCEEDED)
    restarted = Replica(world)
    for replica in (one, other, restarted):
        again = await replica.takes(made, *RUNS, P.SUCCEEDED)
        assert again.phase is P.SUCCEEDED
        await replica.ledger.amend(made.id, lambda found: found.touch())
        replica.ledger.announce(again)
    assert one.sum("deployments_total") == 1
    for replica in (other, restarted):
        assert replica.sum("deployments_total") == 0
        assert replica.sum("deployment_queue_wait_seconds_count") == 0
        assert replica.sum("deployment_lock_hold_seconds_count") == 0
        assert replica.sum("deployment_changes_total") == 0


async def test_replicas_that_race_for_an_end_count_it_once_between_them(world: World) -> None:
    replicas = [Replica(world) for _ in range(4)]
    running = [await world.deployed(*RUNS) for _ in range(12)]
    started = world.time

    async def ends(replica: Replica, number: int, deployment: Deployment, phase: P) -> None:
        # Clocks of replicas never agree to the microsecond.
        at = started + (number + 1) * MINUTE
        with contextlib.suppress(InvalidTransition):
            await replica.ledger.advance(deployment.id, phase, actor=BOT, key=f"end {phase}", at=at)

    await asyncio.gather(
        *(
            ends(replica, number, deployment, phase)
            for deployment in running
            for number, replica in enumerate(replicas)
            for phase in (P.SUCCEEDED, P.ABORTED)
        )
    )
    assert sum(replica.sum("deployments_total") for replica in replicas) == len(running)
    for status in (P.SUCCEEDED, P.ABORTED):
        ended = [one for one in running if (await world.store.deployments.get(one.id)).phase is status]
        assert sum(replica.sum("deployments_total", status=status.value) for replica in replicas) == len(ended)


async def test_a_change_whose_answer_was_lost_is_counted_and_one_that_somebody_else_made_is_not(world: World) -> None:
    """The store reads what is there when a connection breaks as it commits: what it finds may have gone on since."""

    class Breaks:
        async def update(self, deployment_id: Any, change: Any, **more: Any) -> Deployment:
            await world.store.deployments.update(deployment_id, change, **more)
            if more.get("key") == P.DEPLOYING:
                await other.takes(made, P.VERIFYING)
            return await world.store.deployments.get(deployment_id)

    class Overtaken:
        async def update(self, deployment_id: Any, change: Any, **_: Any) -> Deployment:
            change(await world.store.deployments.get(deployment_id))  # a try that came too late
            return await other.takes(made, P.SUCCEEDED)

    other, one, late = Replica(world), Replica(world, Breaks()), Replica(world, Overtaken())
    made = await world.deployed()
    await one.takes(made, P.QUEUED, P.DEPLOYING)
    assert one.get("deployment_queue_wait_seconds_count", environment="staging") == 1
    world.time += MINUTE
    await late.ledger.advance(made.id, P.SUCCEEDED, actor=BOT, key="late")
    assert late.sum("deployments_total") == 0
    assert other.sum("deployments_total") == 1


async def test_what_is_taken_back_ends_once_and_is_a_change_that_was_rolled_back(world: World) -> None:
    one = Replica(world)
    bad = await one.takes(await world.deployed(), *RUNS, P.SUCCEEDED, P.ROLLING_BACK)
    await one.ledger.advance(bad.id, P.SUCCEEDED, actor=BOT, key="given back")
    assert one.sum("deployments_total") == 1
    assert one.get("deployment_changes_total", **PLACE, outcome="succeeded") == 1
    await one.ledger.advance(bad.id, P.ROLLING_BACK, actor=BOT, key="asked back again")
    await one.takes(await world.deployed(rollback_of=bad.id), *RUNS, P.SUCCEEDED)
    await one.takes(bad, P.ROLLED_BACK)
    assert one.get("deployments_total", **SUCCEEDED) == 2, "a rollback is a deployment too"
    assert one.get("deployment_changes_total", **PLACE, outcome="succeeded") == 1, "but brings nothing new"
    assert one.get("deployment_changes_total", **PLACE, outcome="rolled_back") == 1


async def test_the_reaction_is_from_the_persons_word_to_the_first_change(world: World) -> None:
    one = Replica(world)

    async def changes(deployment: Deployment, step: str, attempt: int) -> None:
        handle = Handle(operation=operation_id(deployment.id, step, attempt), generation=f"{step} {attempt}")
        for _ in range(2):  # the step runs again after a crash
            await one.ledger.amend(deployment.id, lambda found: found.evolve(handle=handle, attempt=attempt))

    bad = await one.takes(await world.deployed(), *RUNS, P.SUCCEEDED)
    back = await world.deployed(rollback_of=bad.id, begin=world.time)
    await one.takes(back, P.QUEUED, P.DEPLOYING)
    await changes(back, "apply", 1)
    reaction = {"environment": "staging"}
    assert one.get("rollback_reaction_seconds_count", **reaction) == 1
    assert one.get("rollback_reaction_seconds_sum", **reaction) == 120
    await one.takes(back, P.NEEDS_ATTENTION)
    await one.ledger.ask(back.id, Request(actor=ADA, at=world.time, resolution=Resolution.RETRY))
    await one.ledger.advance(
        back.id, P.DEPLOYING, actor=ADA, key="retry", first=lambda found: replace(found, attempt=2, handle=None)
    )
    await changes(back, "apply", 2)
    assert one.get("rollback_reaction_seconds_count", **reaction) == 1, "a retry is no reaction"

    stopped = await one.takes(await world.deployed(begin=world.time), P.QUEUED, P.DEPLOYING)
    await changes(stopped, "apply", 1)
    await one.ledger.ask(stopped.id, Request(actor=ADA, at=world.time))
    world.time += MINUTE
    await changes(stopped, "restore", 1)
    assert one.get("rollback_reaction_seconds_count", **reaction) == 2
    assert one.get("rollback_reaction_seconds_sum", **reaction) == 180


async def test_every_series_of_the_catalog_is_there_at_zero_and_follows_it(world: World) -> None:
    one = Replica(world)
    await one.telemetry.look()
    for service in (CHECKOUT, WEB):
        for environment in (STAGING, PRODUCTION):
            place = {"service": service, "environment": environment}
            for status in STATUSES:
                assert one.get("deployments_total", **place, strategy="rolling", status=status) == 0
            assert one.get("deployment_duration_seconds_count", **place) == 0
    await one.takes(await world.deployed(), *RUNS, P.SUCCEEDED)

    canada, ship = EnvironmentName("canada"), ServiceName("ship")
    there = ProviderRef(kind="local")
    world.set(
        revision="c2",
        environments={canada: Environment(name=canada)},
        services={ship: Service(name=ship, targets={canada: there}, images=there)},
    )
    await one.telemetry.look()
    new = {"service": "ship", "environment": "canada"}
    assert one.get("deployments_total", **new, strategy="rolling", status="failed") == 0
    assert one.get("active_deployments", environment="canada") == 0
    assert one.get("deployments_total", **SUCCEEDED) == 1, "what has counted stays"
    assert (
        one.get("deployments_total", service="web", environment="staging", strategy="rolling", status="failed") is None
    )
    assert one.get("deployment_duration_seconds_count", service="web", environment="staging") is None
    assert one.get("deployment_queue_wait_seconds_count", environment="production") is None
    assert one.get("active_deployments", environment="production") is None


async def test_a_strategy_that_is_not_in_the_catalog_counts_from_zero_once_it_is_asked_for(world: World) -> None:
    one = Replica(world)
    template = await world.deployed()
    made = replace(template, id=f"{template.id}x", origin="another", number=0, strategy="canary")
    event = Event(deployment=made.id, key="requested", kind="requested", actor=ADA, at=world.time, after=P.REQUESTED)
    await one.ledger.deployments.add(made, event=event)
    canary = {**PLACE, "strategy": "canary"}
    assert [one.get("deployments_total", **canary, status=status) for status in STATUSES] == [0] * len(STATUSES)
    await one.takes(made, P.ABORTED)
    assert one.get("deployments_total", **canary, status="aborted") == 1


async def test_what_is_active_is_read_and_never_drifts(world: World) -> None:
    one, other = Replica(world), Replica(world)
    await one.telemetry.look()
    assert one.get("active_deployments", environment="staging") == 0
    waits = await world.deployed(P.QUEUED)
    await other.takes(await world.deployed(environment=PRODUCTION), *RUNS, P.NEEDS_ATTENTION)
    world.time = waits.since + 10 * MINUTE
    restarted = Replica(world)
    for replica in (one, other, restarted):
        await replica.telemetry.look()
        assert replica.get("active_deployments", environment="staging") == 1
        assert replica.get("active_deployments", environment="production") == 1
        assert replica.get("deployments_in_phase", environment="production", phase="needs_attention") == 1
        assert replica.get("deployments_in_phase_oldest_seconds", environment="staging", phase="queued") == 600
        assert replica.sum("deployments_in_phase") == 2
    await other.takes(waits, P.ABORTED)
    await one.telemetry.look()
    assert one.get("active_deployments", environment="staging") == 0
    assert one.get("deployments_in_phase_oldest_seconds", environment="staging", phase="queued") == 0
    assert {labels["phase"] for labels in labels_of(one, "deployments_in_phase")} == set(PHASES)


async def test_slack_lags_as_long_as_the_oldest_change_is_not_told(world: World) -> None:
    one = Replica(world)
    first, second = await world.deployed(), await world.deployed()
    world.time = datetime.now(UTC) + 5 * MINUTE  # since when something is untold is by the store's clock
    await one.telemetry.look()
    assert 290 < (one.get("slack_publisher_lag_seconds") or 0) <= 301
    for told in (first, second):
        assert one.get("slack_publisher_lag_seconds") != 0
        await world.store.messages.told(told.id, told.view)
        await one.telemetry.look()
    assert one.get("slack_publisher_lag_seconds") == 0


async def test_replicas_are_those_whose_heart_beats(world: World) -> None:
    one = Replica(world)
    for name in ("executor:one", "executor:two", "publisher"):
        await world.store.leases.hold(name, holder="x", at=world.time, ttl=MINUTE)
    await one.telemetry.look()
    assert one.get("replicas_alive") == 2
    world.time += 2 * MINUTE
    await one.telemetry.look()
    assert one.get("replicas_alive") == 0
    assert one.get("database_read_timestamp_seconds") == world.time.timestamp()


@pytest.mark.parametrize("trouble", [StoreError("The database does not answer."), None], ids=["fails", "hangs"])
async def test_without_the_database_what_was_seen_last_is_shown(
    world: World, trouble: StoreError | None, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        async def standing(self, **_: Any) -> Any:
            if trouble:
                raise trouble
            await asyncio.Event().wait()

    one = Replica(world)
    await world.deployed(P.QUEUED)
    await one.telemetry.look()
    read = one.get("database_read_timestamp_seconds")
    present, patience = one.telemetry.overview, one.telemetry.patience
    one.telemetry.overview, one.telemetry.patience = Away(), 0.05
    world.time += MINUTE
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await one.telemetry.look()
    assert len(caplog.records) == 1, "told once, not at every scrape"
    assert one.get("active_deployments", environment="staging") == 1
    assert one.get("database_read_timestamp_seconds") == read
    one.telemetry.overview, one.telemetry.patience = present, patience
    await one.telemetry.look()
    assert one.get("database_read_timestamp_seconds") == world.time.timestamp()


async def test_however_many_ask_at_once_the_database_is_asked_once(world: World) -> None:
    class Counted:
        asked = 0

        async def standing(self, **about: Any) -> Any:
            self.asked += 1
            return await real.standing(**about)

    one, counted = Replica(world), Counted()
    real, one.telemetry.overview, one.telemetry.fresh = one.telemetry.overview, counted, 60.0
    await asyncio.gather(*(one.telemetry.look() for _ in range(50)))
    assert counted.asked == 1


async def test_a_deployment_comes_to_no_harm_when_counting_breaks(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, _: str) -> Any:
            raise ZeroDivisionError

    one = Replica(world)
    one.telemetry.instruments = Broken()  # type: ignore[assignment]  # whatever a vendor's client may do
    made = await one.takes(await world.deployed(), *RUNS, P.SUCCEEDED)
    assert made.phase is P.SUCCEEDED
    assert "could not be measured" in caplog.text


async def test_labels_are_of_the_catalog_and_the_code_only(world: World) -> None:
    one = Replica(world)
    await one.telemetry.look()
    await one.takes(await world.deployed(what=release("v9.9.9-secret")), *RUNS, P.SUCCEEDED)
    bounded = {
        "service": {"checkout", "web"},
        "environment": {"staging", "production"},
        "strategy": {"rolling"},
        "status": set(STATUSES),
        "phase": set(PHASES),
        "outcome": {"succeeded", "failed", "rolled_back"},
    }
    for family in one.metrics.registry.collect():
        for sample in family.samples:
            if family.name == "python_info":
                continue
            for label, value in sample.labels.items():
                assert label == "le" or value in bounded[label], sample


def test_there_are_as_many_series_as_operators_are_told() -> None:
    metrics = Metrics()
    places = [Kind(ServiceName(f"s{n}"), EnvironmentName(f"e{e}"), "rolling") for n in range(500) for e in range(5)]
    metrics.know(places, only=True)
    metrics.stands(Standing(at=NOON, untold_since=None, replicas=1))
    ours = [
        sample
        for family in metrics.registry.collect()
        if not family.name.startswith(("process_", "python_"))
        for sample in family.samples
    ]
    of_the_bot = [sample for sample in ours if "environment" not in sample.labels]
    assert len(ours) - len(of_the_bot) == 2500 * (17 + 7) + 5 * 74
    assert len(of_the_bot) == 3 + 13


def labels_of(replica: Replica, name: str) -> list[dict[str, str]]:
    return [s.labels for family in replica.metrics.registry.collect() for s in family.samples if s.name == name]
