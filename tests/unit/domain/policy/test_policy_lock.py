"""Locks with manners: whom they hold, whom they let through, and that everybody is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_builders import ADA, CHECKOUT, GRACE, HOUR, LINUS, MINUTE, NOW, PAYMENTS, PRODUCTION, STAGING

from bot.domain.policy.lock import (
    ChangeType,
    LockDecision,
    LockLevel,
    StickyLock,
    after_rollback,
    covering,
    decide,
)
from bot.domain.policy.scope import EVERYTHING, Scope, in_order, scope_of

if TYPE_CHECKING:
    from bot.domain.actor import Actor

LOCK = StickyLock(
    id="l1", scope=Scope(service=CHECKOUT, environment=PRODUCTION), reason="the fair", owner=GRACE, at=NOW
)
SCOPES = [EVERYTHING, Scope(environment=PRODUCTION), Scope(service=CHECKOUT), LOCK.scope]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_covers_what_it_names(scope: Scope) -> None:
    assert scope.covers(CHECKOUT, PRODUCTION)
    assert scope.covers(PAYMENTS, PRODUCTION) == (scope.service is None)
    assert scope.covers(CHECKOUT, STAGING) == (scope.environment is None)
    assert scope_of(scope.key) == scope


def test_scopes_have_words_and_one_order() -> None:
    assert [scope.words for scope in SCOPES] == ["everything", "production", "checkout", "checkout@production"]
    assert in_order(SCOPES) == in_order(reversed(SCOPES))
    for text in ("", "production", "@production", "checkout@"):
        with pytest.raises(ValueError, match="no scope"):
            scope_of(text)


def test_a_lock_holds_to_before_its_last_instant() -> None:
    ends = replace(LOCK, until=NOW + HOUR)
    assert [ends.active(NOW + n * MINUTE) for n in (0, 59, 60)] == [True, True, False]
    assert LOCK.active(NOW + 9999 * HOUR)
    assert not LOCK.lifted(NOW + MINUTE).active(NOW + MINUTE)
    assert ends.lifted(NOW + 2 * HOUR) == ends


def test_defect_a_lock_of_a_replica_whose_clock_runs_ahead_let_others_through() -> None:
    assert covering([replace(LOCK, at=NOW + MINUTE)], CHECKOUT, PRODUCTION, NOW)


def test_only_what_covers_the_change_counts_blocks_first() -> None:
    warn = replace(LOCK, id="l0", level=LockLevel.WARN)
    config = replace(LOCK, id="l2", change_type=ChangeType.CONFIG)
    elsewhere = replace(LOCK, id="l3", scope=Scope(environment=STAGING))
    over = replace(LOCK, id="l4", until=NOW)
    every = [warn, elsewhere, over, config, LOCK]
    assert [lock.id for lock in covering(every, CHECKOUT, PRODUCTION, NOW, set())] == ["l1", "l0"]
    assert [lock.id for lock in covering(every, CHECKOUT, PRODUCTION, NOW, {ChangeType.CONFIG})] == ["l1", "l2", "l0"]


def test_what_has_begun_is_reached_only_by_a_lock_that_pauses() -> None:
    pauses = replace(LOCK, id="l2", pause=True)
    assert covering([LOCK, pauses], CHECKOUT, PRODUCTION, NOW) == (LOCK, pauses)
    assert covering([LOCK, pauses], CHECKOUT, PRODUCTION, NOW, begun=True) == (pauses,)
    assert decide([pauses], GRACE).allowed, "one's own"
    assert not decide([replace(pauses, hard=True)], GRACE).allowed


def test_what_cannot_be_told_counts_as_every_kind_of_change() -> None:
    migration = replace(LOCK, change_type=ChangeType.MIGRATION)
    assert covering([migration], CHECKOUT, PRODUCTION, NOW) == (migration,)
    assert covering([migration], CHECKOUT, PRODUCTION, NOW, {ChangeType.CONFIG}) == ()


@pytest.mark.parametrize(
    ("actor", "lock", "rollback", "held"),
    [
        (ADA, LOCK, False, True),
        (GRACE, LOCK, False, False),
        (GRACE, replace(LOCK, hard=True), False, True),
        (ADA, LOCK, True, True),
        (GRACE, LOCK, True, False),
        (GRACE, replace(LOCK, hard=True), True, False),
        (ADA, replace(LOCK, automatic=True), False, True),
        (ADA, replace(LOCK, automatic=True), True, False),
    ],
)
def test_whom_a_lock_holds(actor: Actor, lock: StickyLock, rollback: bool, held: bool) -> None:
    assert decide([lock], actor, rollback=rollback).allowed is not held
    assert decide([lock], actor, rollback=rollback, break_glass=True).allowed


def test_who_is_held_is_told_by_whom_and_why() -> None:
    answer = decide([LOCK, replace(LOCK, id="l2", until=NOW + HOUR)], ADA)
    assert answer.sentence == "checkout@production is locked by Grace: the fair (and 1 more)"
    assert answer.until is None
    assert decide([replace(LOCK, until=NOW + HOUR)], ADA).until == NOW + HOUR
    assert "against migration changes" in replace(LOCK, change_type=ChangeType.MIGRATION).sentence


def test_a_warning_is_said_and_holds_nobody() -> None:
    answer = decide([replace(LOCK, level=LockLevel.WARN)], ADA)
    assert answer.allowed
    assert answer.sentence == "checkout@production is marked by Grace: the fair"
    assert decide([replace(LOCK, level=LockLevel.WARN)], ADA, rollback=True).warning == ()


def test_who_passes_a_lock_is_told_so() -> None:
    assert decide([LOCK], GRACE).sentence.endswith("(passed: its owner asks)")
    assert decide([], ADA) == LockDecision()


def test_defect_11_a_rollback_leaves_a_lock_that_holds_its_owner_too() -> None:
    left = after_rollback(id="l9", scope=LOCK.scope, by=ADA, reason="v1.2 was rolled back", at=NOW)
    assert not decide([left], ADA).allowed
    assert not decide([left], GRACE).allowed
    assert decide([left], LINUS, rollback=True).allowed


def test_an_owner_is_asked_at_half_time_or_after_three_hours_and_can_keep_it() -> None:
    ends = replace(LOCK, until=NOW + HOUR)
    assert ends.nags_at == NOW + HOUR / 2
    assert LOCK.nags_at == NOW + 3 * HOUR
    kept = LOCK.kept(NOW + 3 * HOUR, 2 * HOUR)
    assert (kept.nags_at, kept.until, kept.at) == (NOW + 5 * HOUR, None, NOW)
    assert ends.kept(NOW + HOUR / 2, 2 * HOUR).until == NOW + 2.5 * HOUR


def test_a_lock_that_is_taken_over_has_another_owner_and_the_same_end() -> None:
    taken = replace(LOCK, until=NOW + HOUR, kept_until=NOW).taken_over(ADA, "on call", NOW + MINUTE)
    assert (taken.owner, taken.reason, taken.at, taken.until) == (ADA, "on call", NOW + MINUTE, NOW + HOUR)
    assert taken.taken_from == GRACE
    assert taken.taken_over(ADA, "on call", NOW + MINUTE) == taken
    assert decide([taken], ADA).allowed
    assert not decide([taken], GRACE).allowed


locks = st.lists(
    st.builds(
        StickyLock,
        id=st.uuids().map(str),
        scope=st.sampled_from(SCOPES),
        level=st.sampled_from(LockLevel),
        reason=st.just("r"),
        owner=st.sampled_from([ADA, GRACE, LINUS]),
        at=st.just(NOW),
        hard=st.booleans(),
        automatic=st.booleans(),
    ),
    max_size=5,
)


@given(found=locks, actor=st.sampled_from([ADA, GRACE, LINUS]))
def test_property_every_lock_is_accounted_for_and_a_rollback_is_never_held_more(
    found: list[StickyLock], actor: Actor
) -> None:
    forward, back = decide(found, actor), decide(found, actor, rollback=True)
    for answer in (forward, back):
        assert len(answer.holding) + len(answer.warning) + len(answer.passed) == len(found)
    assert set(back.holding) <= set(forward.holding)
    assert all(not lock.owner.same_as(actor) and not lock.automatic for lock in back.holding)
    assert all(lock.hard or not lock.owner.same_as(actor) for lock in forward.holding)
