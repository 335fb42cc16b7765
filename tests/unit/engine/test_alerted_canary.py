"""A canary that an alert comes upon: it stays where it is until a person says something else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from canary_world import CHECKOUT, PRODUCTION, story

from bot.domain.actor import BOT
from bot.domain.alert import Alert, AlertSource, AlertStatus
from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from canary_world import Canaries

    from bot.domain.deployment import Deployment


def at_twenty(row: Deployment) -> bool:
    return row.progression is not None and row.progression.position.weight == 20


def held(row: Deployment) -> bool:
    position = row.progression.position if row.progression else None
    return row.phase is Phase.PAUSED and position is not None and position.held is not None


async def told(w: Canaries, alert: Alert) -> None:
    await w.engine.alerting.take([alert])
    await w.engine.alerting.work_off()


async def raised(w: Canaries) -> Alert:
    """An alert that begins now."""
    now = w.now()
    alert = Alert(
        source=AlertSource.ALERTMANAGER,
        fingerprint="f1",
        status=AlertStatus.FIRING,
        name="Slow",
        service=CHECKOUT,
        environment=PRODUCTION,
        starts_at=now,
        received_at=now,
    )
    await told(w, alert)
    return alert


@story()
async def test_it_waits_for_a_person_and_goes_on_at_their_word(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, at_twenty)
    alert = await raised(w)
    there = await w.when(one, held)
    assert there.progression is not None
    assert there.progression.position.held is not None
    assert there.progression.position.held.by == BOT
    # Long after its bake it is where it was, and that the alert is over changes nothing.
    await asyncio.sleep(25)
    await told(w, replace(alert, status=AlertStatus.RESOLVED, received_at=w.now()))
    await asyncio.sleep(10)
    assert held(await w.row(one))
    assert w.site.whats() == ["20 %"]
    [kept] = await w.store.alerts.of(one.id)
    assert kept.ended_at is not None
    assert kept.ended_at - kept.starts_at >= timedelta(seconds=25)

    await w.say("resume", one, step=0)
    await w.asked(one)
    await w.say("promote", one, step=1, to=100)
    done = await w.ended(one)
    assert done.phase is Phase.SUCCEEDED
    assert done.countdown is None
    assert "deployment.alert" in await w.events(one)


@story()
async def test_a_person_takes_it_back(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, at_twenty)
    await raised(w)
    await w.when(one, held)
    await w.abort(one)
    done = await w.ended(one)
    assert done.phase is Phase.ABORTED
    assert w.site.whats() == ["20 %", "take back"]


@story()
async def test_checks_that_fail_count_down_as_if_there_were_no_alert(w: Canaries) -> None:
    one = await w.deploy()
    await w.when(one, at_twenty)
    await raised(w)
    await w.when(one, held)
    w.numbers.shares["v2"] = 0.3
    counted = await w.counting(one)
    assert counted.countdown is not None
    assert counted.countdown.deadline - counted.countdown.began == timedelta(seconds=10)
    assert (await w.ended(one)).phase is Phase.FAILED
