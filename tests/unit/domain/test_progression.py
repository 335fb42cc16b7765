"""A rollout remembers every weight that it was at, what was seen there, and who let it go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.actor import Actor
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.progression import Looks, Progression, Reached
from bot.domain.strategy.moves import Abort, Cause, Promote, SetWeight
from bot.domain.strategy.position import after, start

NOON = datetime(2025, 11, 3, 12, 0, tzinfo=UTC)
ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def reached(was: Progression, step: int, percent: int, seconds: float) -> Progression:
    return was.moved(after(was.position, SetWeight(step=step, percent=percent), at(seconds)), at(seconds))


def looked(was: Progression, seconds: float) -> Progression:
    judgement = Judgement(check="errors", verdict=Verdict.PASS, at=at(seconds), sentence="errors: 1 % keeps 2 %.")
    return replace(was, looks=(Looks(check="errors", last=judgement),))


def test_each_weight_is_on_record_with_what_was_seen_there_and_who_let_it_go_on() -> None:
    first = looked(reached(Progression(position=start(NOON)), 0, 20, 1), 8)
    assert first.steps == (Reached(step=0, weight=20, at=at(1)),)
    asked = replace(first, position=replace(first.position, asked=at(11), approved=50, approved_by=ADA))
    second = reached(asked, 1, 50, 12)
    assert second.looks[0].last is not None
    assert second.steps == (
        Reached(step=0, weight=20, at=at(1), left=at(12), judgements=(second.looks[0].last,), asked=True, by=ADA),
        Reached(step=1, weight=50, at=at(12)),
    )


def test_what_was_seen_at_another_weight_says_nothing_about_this_one() -> None:
    first = looked(reached(Progression(position=start(NOON)), 0, 20, 1), 8)
    third = reached(reached(first, 1, 50, 12), 2, 100, 13)
    assert third.steps[1].judgements == ()


def test_being_promoted_ends_the_last_weight_and_begins_none() -> None:
    whole = reached(Progression(position=start(NOON)), 0, 100, 1)
    done = whole.moved(after(whole.position, Promote(), at(9)), at(9))
    assert [(one.weight, one.left) for one in done.steps] == [(100, at(9))]


def test_a_weight_that_was_changed_elsewhere_is_on_record_too_and_a_look_changes_nothing() -> None:
    first = reached(Progression(position=start(NOON)), 0, 20, 1)
    assert first.moved(first.position, at(5)).steps == first.steps
    elsewhere = replace(first.position, step=1, weight=50, since=at(6))
    adopted = first.moved(elsewhere, at(6), elsewhere=True).steps
    assert [(one.weight, one.left, one.elsewhere) for one in adopted] == [(20, at(6), False), (50, None, True)]
    taken_back = replace(first.position, weight=0, since=at(7), abort=Abort(cause=Cause.ELSEWHERE, why="It was."))
    assert [(one.weight, one.left) for one in first.moved(taken_back, at(7)).steps] == [(20, at(7))]
