"""Which deployment an alert belongs to, what it does there, and that nothing that was taken is lost or done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from engine_world import (
    ADA,
    CHECKOUT,
    HOUR,
    MINUTE,
    NOON,
    PRODUCTION,
    STAGING,
    WEB,
    World,
    open_world,
)

from bot.domain.actor import BOT
from bot.domain.alert import AFTERWARDS, Alert, AlertOutcome, AlertSource, AlertStatus
from bot.domain.analysis.check import Check, Kind
from bot.domain.deployment import Request
from bot.domain.errors import StoreError
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression
from bot.domain.strategy.kinds import Canary, Rolling, Step
from bot.domain.strategy.position import Held, Position
from bot.engine.alerts import Alerting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.deployment import Deployment

P = Phase
SUCCEEDS = (P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)
CHECK = Check(name="errors", source="proxy", query="error_share", kind=Kind.SHARE, limit=0.02, interval=2, window=6)
O = AlertOutcome  # noqa: E741 - reads like P for phases


@dataclass
class Seen:
    """What was counted."""

    found: Counter[str] = field(default_factory=Counter)

    def counted(self, source: AlertSource, outcome: AlertOutcome, number: int = 1) -> None:
        self.found[f"{source}:{outcome}"] += number


@dataclass
class Desk:
    """The use case over a real store."""

    world: World
    alerting: Alerting
    seen: Seen

    async def told(self, *alerts: Alert) -> Counter[str]:
        """What they came to, counted, once they were worked off."""
        self.seen.found.clear()
        await self.alerting.take(alerts)
        await self.alerting.work_off()
        return Counter({name.partition(":")[2]: number for name, number in self.seen.found.items()})

    async def of(self, deployment: Deployment) -> list[str]:
        return [one.name for one in await self.world.store.alerts.of(deployment.id)]

    async def events(self, deployment: Deployment) -> list[str]:
        return [one.note for one in await self.world.store.deployments.events(deployment.id) if one.kind == "alert"]

    async def under_way_in_steps(self, phase: Phase = P.DEPLOYING, **position: Any) -> Deployment:
        """A canary at its second step."""
        service = replace(self.world.catalog.services[CHECKOUT], strategy="canary", checks=(CHECK,), bake=30.0)
        strategies = {
            "rolling": Rolling(),
            "canary": Canary(steps=(Step(weight=20, bake=10), Step(weight=50, bake=10))),
        }
        self.world.set(services={**self.world.catalog.services, CHECKOUT: service}, strategies=strategies)
        path = (P.QUEUED, P.DEPLOYING) if phase is P.DEPLOYING else (P.QUEUED, P.DEPLOYING, phase)
        made = await self.world.deployed(*path, begin=NOON)
        where = Position(**{"step": 1, "weight": 50, "since": NOON, "approved": 50, **position})
        return await self.world.ledger.amend(
            made.id, lambda found: replace(found.touch(), strategy="canary", progression=Progression(position=where))
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_world(tmp_path) as world:
        seen = Seen()
        alerting = Alerting(
            ledger=world.ledger,
            deployments=world.store.deployments,
            catalogs=world,
            kept=world.store.alerts,
            counts=seen,
            look_every=0.05,
        )
        yield Desk(world, alerting, seen)


def alert(minutes: float = 3.0, name: str = "HighErrorRate", **changes: Any) -> Alert:
    """One that began so many minutes after noon."""
    at = NOON + minutes * MINUTE
    made = Alert(
        source=AlertSource.ALERTMANAGER,
        fingerprint=f"f-{name}",
        status=AlertStatus.FIRING,
        name=name,
        service=CHECKOUT,
        environment=STAGING,
        starts_at=at,
        received_at=at,
    )
    return replace(made, **changes)


async def test_it_belongs_to_what_began_before_it_and_is_told_there_once(desk: Desk) -> None:
    deployment = await desk.world.deployed(*SUCCEEDS, begin=NOON)
    before = await desk.world.store.deployments.get(deployment.id)
    assert await desk.told(alert()) == {O.ATTACHED: 1}
    after = await desk.world.store.deployments.get(deployment.id)
    assert (after.view, after.version, after.phase) == (before.view + 1, before.version, P.SUCCEEDED)
    assert await desk.of(deployment) == ["HighErrorRate"]
    assert await desk.events(deployment) == ["HighErrorRate since 12:03:00 UTC (alertmanager f-HighErrorRate)"]
    assert (await desk.world.store.audit.verify()).ok

    assert await desk.told(alert(), alert()) == {O.DUPLICATE: 2}
    assert await desk.told(alert(4, name="Slow")) == {O.ATTACHED: 1}
    assert await desk.of(deployment) == ["HighErrorRate", "Slow"]
    assert len(await desk.events(deployment)) == 2


@pytest.mark.parametrize(
    ("phases", "minutes", "outcome"),
    [
        # Requested at noon; queued, deploying, verifying and succeeded one minute apart.
        (SUCCEEDS, 2.0, O.ATTACHED),
        (SUCCEEDS, 1.99, O.BEFORE),
        (SUCCEEDS, 4 + AFTERWARDS / MINUTE, O.ATTACHED),
        (SUCCEEDS, 4.01 + AFTERWARDS / MINUTE, O.AFTER),
        ((P.QUEUED, P.DEPLOYING), 500.0, O.ATTACHED),
        ((P.QUEUED, P.DEPLOYING, P.NEEDS_ATTENTION), 5.0, O.ATTACHED),
        ((P.QUEUED, P.DEPLOYING, P.FAILED), 2.5, O.AFTER),
        ((P.QUEUED, P.DEPLOYING, P.ABORTED), 2.5, O.AFTER),
        ((*SUCCEEDS, P.ROLLING_BACK), 5.0, O.ATTACHED),
        ((*SUCCEEDS, P.ROLLING_BACK, P.ROLLED_BACK), 5.0, O.AFTER),
        ((P.QUEUED,), 2.0, O.NO_DEPLOYMENT),
        ((), 2.0, O.NO_DEPLOYMENT),
        # Turned away at the last moment with nothing changed; it counts from its second turn.
        ((P.QUEUED, P.DEPLOYING, P.HELD), 2.5, O.NO_DEPLOYMENT),
        ((P.QUEUED, P.DEPLOYING, P.HELD, P.QUEUED, P.DEPLOYING), 4.5, O.BEFORE),
        ((P.QUEUED, P.DEPLOYING, P.HELD, P.QUEUED, P.DEPLOYING), 5.5, O.ATTACHED),
        ((P.QUEUED, P.DEPLOYING, P.PAUSED, P.DEPLOYING), 2.5, O.ATTACHED),
    ],
)
async def test_only_what_began_after_it_and_in_its_time(
    desk: Desk, phases: tuple[Phase, ...], minutes: float, outcome: AlertOutcome
) -> None:
    deployment = await desk.world.deployed(*phases, begin=NOON)
    assert await desk.told(alert(minutes)) == {outcome: 1}
    assert await desk.of(deployment) == (["HighErrorRate"] if outcome is O.ATTACHED else [])
    assert len(await desk.events(deployment)) == (outcome is O.ATTACHED)


async def test_a_bake_is_its_time(desk: Desk) -> None:
    service = replace(desk.world.catalog.services[CHECKOUT], checks=(CHECK,), bake=120.0)
    desk.world.set(services={**desk.world.catalog.services, CHECKOUT: service})
    await desk.world.deployed(*SUCCEEDS, begin=NOON)
    assert await desk.told(alert(6.0), alert(6.01, name="Late")) == {O.ATTACHED: 1, O.AFTER: 1}


async def test_it_is_the_newest_that_has_begun(desk: Desk) -> None:
    first = await desk.world.deployed(*SUCCEEDS, begin=NOON)
    waits = await desk.world.deployed(P.QUEUED, begin=NOON + 5 * MINUTE)
    assert await desk.told(alert(8)) == {O.ATTACHED: 1}
    assert (await desk.of(first), await desk.of(waits)) == (["HighErrorRate"], [])
    for phase in (P.DEPLOYING, P.VERIFYING):
        await desk.world.ledger.advance(waits.id, phase, actor=BOT, key=phase, at=NOON + 10 * MINUTE)
    assert await desk.told(alert(9, name="Older"), alert(11, name="Newer")) == {O.BEFORE: 1, O.ATTACHED: 1}
    assert await desk.of(waits) == ["Newer"]


async def test_other_places_and_other_times_are_ignored_and_counted(desk: Desk) -> None:
    deployment = await desk.world.deployed(*SUCCEEDS, begin=NOON)
    elsewhere = [
        alert(service=ServiceName("nobody")),
        alert(environment=EnvironmentName("")),
        alert(service=ServiceName(STAGING), environment=EnvironmentName(CHECKOUT)),
    ]
    assert await desk.told(*elsewhere) == {O.ELSEWHERE: 3}
    assert await desk.told(alert(name="Web", service=WEB), alert(environment=PRODUCTION)) == {O.NO_DEPLOYMENT: 2}
    assert await desk.told(alert(9, received_at=NOON)) == {O.FUTURE: 1}
    assert await desk.told(alert(9, name="AClockAhead", received_at=NOON + 5 * MINUTE)) == {O.ATTACHED: 1}
    assert await desk.of(deployment) == ["AClockAhead"]


async def test_it_holds_a_rollout_in_steps_and_that_it_is_over_lets_nothing_go_on(desk: Desk) -> None:
    deployment = await desk.under_way_in_steps()
    assert await desk.told(alert(3)) == {O.ATTACHED: 1}
    held = await desk.world.store.deployments.get(deployment.id)
    assert held.progression is not None
    assert held.progression.position.held == Held(
        at=NOON, by=BOT, why="Deployment Architect holds it: alert HighErrorRate"
    )
    assert held.progression.why == "Deployment Architect holds it: alert HighErrorRate"
    assert held.version == deployment.version + 1
    assert held.countdown is None, "an alert alone counts nothing down"

    over = alert(3, status=AlertStatus.RESOLVED, received_at=NOON + 8 * MINUTE)
    assert await desk.told(over) == {O.RESOLVED: 1}
    assert await desk.told(over) == {O.DUPLICATE: 1}
    after = await desk.world.store.deployments.get(deployment.id)
    assert after.progression == held.progression
    assert after.view == held.view + 1
    [kept] = await desk.world.store.alerts.of(deployment.id)
    assert kept.ended_at == NOON + 8 * MINUTE
    assert await desk.told(alert(3, name="Unheard", status=AlertStatus.RESOLVED)) == {O.NO_DEPLOYMENT: 1}


@pytest.mark.parametrize("how", ["held by Ada", "abort asked", "promoted", "verifying"])
async def test_it_holds_nothing_that_cannot_be_held(desk: Desk, how: str) -> None:
    held = Held(at=NOON, by=ADA, why="Ada holds it.")
    position = {"held by Ada": {"held": held}, "promoted": {"promoted": True}}.get(how, {})
    deployment = await desk.under_way_in_steps(P.VERIFYING if how == "verifying" else P.DEPLOYING, **position)
    if how == "abort asked":
        deployment = await desk.world.ledger.ask(deployment.id, Request(actor=ADA, at=NOON))
    assert await desk.told(alert(4)) == {O.ATTACHED: 1}
    after = await desk.world.store.deployments.get(deployment.id)
    assert after.progression == deployment.progression
    assert (after.version, after.view) == (deployment.version, deployment.view + 1)
    assert len(await desk.events(deployment)) == 1


async def test_what_was_taken_is_told_although_the_process_died_or_two_replicas_are_at_it(desk: Desk) -> None:
    deployment = await desk.under_way_in_steps()
    await desk.alerting.take([alert(3)])
    # Died after the deployment was told and before that was on record.
    settle = desk.world.store.alerts.settle
    object.__setattr__(desk.alerting, "kept", _Dying(desk.world.store.alerts))
    with pytest.raises(StoreError, match="died"):
        await desk.alerting.work_off()
    once = await desk.world.store.deployments.get(deployment.id)
    survivors = [replace(desk.alerting, kept=desk.world.store.alerts) for _ in range(3)]
    await asyncio.gather(*(one.work_off() for one in survivors))
    assert desk.seen.found == {"alertmanager:attached": 1}
    assert await desk.world.store.deployments.get(deployment.id) == once
    assert len(await desk.events(deployment)) == 1
    assert not await settle(alert(3).key, O.AFTER, at=NOON)


async def test_it_works_off_by_itself_and_forgets_what_concerned_nothing(desk: Desk) -> None:
    deployment = await desk.world.deployed(*SUCCEEDS, begin=NOON)
    running = asyncio.create_task(desk.alerting.run())
    try:
        await desk.alerting.take([alert(1, name="Before"), alert(3)])
        async with asyncio.timeout(10):
            while sum(desk.seen.found.values()) < 2:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert desk.seen.found == {"alertmanager:attached": 1, "alertmanager:before": 1}
    assert await desk.told(alert(1, name="Before")) == {O.DUPLICATE: 1}
    desk.world.time = NOON + timedelta(days=8)
    assert await desk.told() == {}
    assert await desk.told(alert(1, name="Before"), alert(3)) == {O.DUPLICATE: 1, O.BEFORE: 1}
    assert await desk.of(deployment) == ["HighErrorRate"]


async def test_datadog_tells_of_an_end_without_its_beginning(desk: Desk) -> None:
    deployment = await desk.world.deployed(*SUCCEEDS, begin=NOON)
    begins = alert(3, source=AlertSource.DATADOG, fingerprint="c1")
    assert await desk.told(begins) == {O.ATTACHED: 1}
    ends = replace(begins, status=AlertStatus.RESOLVED, starts_at=NOON + HOUR, received_at=NOON + HOUR)
    assert await desk.told(replace(ends, fingerprint="c2"), ends) == {O.NO_DEPLOYMENT: 1, O.RESOLVED: 1}
    [kept] = await desk.world.store.alerts.of(deployment.id)
    assert kept.ended_at == NOON + HOUR


class _Dying:
    """The store of a process that dies just before it records what became of an alert."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    async def settle(self, *_: Any, **__: Any) -> bool:
        raise StoreError("It died.")
