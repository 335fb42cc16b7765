"""The life of a deployment, walked at random."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment, Request, Resolution
from bot.domain.errors import InvalidTransition, SomebodyWasFaster
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName, new_deployment_id, operation_id
from bot.domain.lifecycle import ACTIVE, FINAL, TRANSITIONS, WAITING, Phase
from bot.domain.release import Artifact, Release

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ADA = Actor(workspace="T", id="U0ADA", name="Ada")
GRACE = Actor(workspace="T", id="U0GRACE", name="Grace")


def deployment() -> Deployment:
    return Deployment(
        id=DeploymentId("d000000000abcde"),
        number=7,
        service=ServiceName("checkout"),
        environment=EnvironmentName("staging"),
        scope=LockScope("checkout@staging"),
        release=Release(
            service=ServiceName("checkout"), version="v1.2", artifact=Artifact(digest="sha256:aa", location="x")
        ),
        requester=ADA,
        channel="C1",
        catalog_revision="r",
        origin="o",
        timeline=(Moment(phase=Phase.REQUESTED, at=NOW, actor=ADA),),
    )


def at(*phases: Phase) -> Deployment:
    found = deployment()
    for phase in phases:
        found = found.advance(phase, actor=BOT, at=NOW)
    return found


def test_every_phase_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert {phase for targets in TRANSITIONS.values() for phase in targets} | {Phase.REQUESTED} == set(Phase)


def test_every_active_phase_can_end_and_be_aborted() -> None:
    for phase in ACTIVE:
        assert Phase.ABORTED in TRANSITIONS[phase]
        assert TRANSITIONS[phase] & FINAL


def test_nothing_ended_begins_again() -> None:
    for phase in FINAL - {Phase.SUCCEEDED, Phase.ROLLING_BACK}:
        assert not TRANSITIONS[phase]


@given(st.lists(st.sampled_from(sorted(Phase)), max_size=30))
def test_random_walks_keep_to_the_table_and_count_every_step(wishes: list[Phase]) -> None:
    found = deployment()
    for number, wish in enumerate(wishes, 1):
        before = found
        if wish in TRANSITIONS[found.phase]:
            found = found.advance(wish, actor=GRACE, at=NOW + timedelta(seconds=number), note="why")
            assert (found.phase, found.version, found.view) == (wish, before.version + 1, before.view + 1)
            assert found.timeline == (*before.timeline, found.timeline[-1])
            assert found.since == NOW + timedelta(seconds=number)
        else:
            with pytest.raises(InvalidTransition):
                found.advance(wish, actor=GRACE, at=NOW)
        assert (found.finished_at is not None) == any(moment.phase in FINAL for moment in found.timeline)


def test_the_first_word_counts_and_the_second_is_told_whose_it_was() -> None:
    running = at(Phase.QUEUED, Phase.DEPLOYING).ask(Request(actor=ADA, at=NOW))
    later = NOW + timedelta(seconds=2)
    with pytest.raises(SomebodyWasFaster, match=r"Ada has already asked to abort it, 2 s ago\."):
        running.ask(Request(actor=GRACE, at=later))
    with pytest.raises(SomebodyWasFaster, match="You have already asked"):
        running.ask(Request(actor=ADA, at=later))


@pytest.mark.parametrize("phase", sorted(WAITING | FINAL))
def test_a_word_needs_somebody_to_obey_it(phase: Phase) -> None:
    from dataclasses import replace

    with pytest.raises(InvalidTransition):
        replace(deployment(), phase=phase).ask(Request(actor=ADA, at=NOW))


def test_decisions_are_for_deployments_that_need_one() -> None:
    wish = Request(actor=ADA, at=NOW, resolution=Resolution.RETRY)
    with pytest.raises(InvalidTransition, match="needs no decision"):
        at(Phase.QUEUED, Phase.DEPLOYING).ask(wish)
    asked = at(Phase.QUEUED, Phase.DEPLOYING, Phase.NEEDS_ATTENTION).ask(wish)
    assert asked.request == wish
    assert asked.advance(Phase.ABORTED, actor=ADA, at=NOW).request is None


def test_what_ran_before_is_recorded_once() -> None:
    first = deployment().record_previous(None)
    assert first.previous_recorded
    assert first.record_previous(None) is first


def test_ids_sort_by_time_and_operations_are_told_apart() -> None:
    ids = [new_deployment_id() for _ in range(200)]
    assert len(set(ids)) >= 199  # 33 million a millisecond: a twin among these is rare, and the store refuses it
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)
    one = ids[0]
    assert len({operation_id(one, "apply"), operation_id(one, "restore"), operation_id(one, "apply", 2)}) == 3


def test_how_long_it_took_begins_when_it_has_not_to_wait_for_others_any_more() -> None:
    approved = at(Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.QUEUED, Phase.DEPLOYING, Phase.VERIFYING)
    queued = approved.reached(Phase.QUEUED)
    assert queued is not None
    assert approved.taken_up_at == queued.at
    never = at(Phase.AWAITING_APPROVAL, Phase.REJECTED)
    assert never.taken_up_at == never.requested_at
    at_once = at(Phase.QUEUED, Phase.DEPLOYING)
    assert at_once.taken_up_at == at_once.requested_at
