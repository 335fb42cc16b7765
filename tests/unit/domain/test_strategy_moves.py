"""A rollout, move by move: steps, words of people, time-outs, and what happens on the target itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.actor import Actor
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.analysis.standing import Stand, Standing
from bot.domain.rollout import TakenBack
from bot.domain.strategy.interpret import GRACE, Decision, next_move
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate, Rolling, Step, Strategy
from bot.domain.strategy.moves import Abort, Apply, AskApproval, Cause, Done, Move, Promote, SetWeight, Wait
from bot.domain.strategy.position import Position, after, start
from bot.domain.strategy.words import AbortWord, HoldWord, PromoteWord, ResumeWord

if TYPE_CHECKING:
    from bot.domain.strategy.words import Word

NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
ADA = Actor(workspace="T1", id="U0ADA", name="Ada")
GRACE_HOPPER = Actor(workspace="T1", id="U0GRACE", name="Grace")
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
CANARY = Canary(
    steps=(Step(weight=20, bake=60), Step(weight=50, bake=60, approval=True), Step(weight=80, bake=60)), timeout=600
)


class Story:
    """A rollout that is told step by step: time passes, checks say something, people say something."""

    def __init__(self, strategy: Strategy = CANARY, *, looked: bool = True) -> None:
        self.strategy, self.looked = strategy, looked
        self.position: Position = start(NOW)
        self.at = NOW
        self.decision: Decision | None = None

    def standing(self, verdict: Verdict) -> Standing:
        last = Judgement(check="errors", verdict=verdict, at=self.at, sentence="errors: …")
        stand = Stand(check="errors", verdict=verdict, sentence=f"errors: {verdict}.", last=last)
        return Standing(stands=(stand,))

    def go(
        self,
        verdict: Verdict = PASS,
        *words: Word,
        wait: float = 0,
        observed: int | None = None,
        gone: TakenBack | None = None,
        armed: bool = True,
    ) -> Move:
        """Time passes; the move that is decided is made."""
        self.at += timedelta(seconds=wait)
        standing = self.standing(verdict)
        decision = next_move(
            self.strategy,
            self.position,
            standing=standing,
            at=self.at,
            words=words,
            observed=observed,
            gone=gone,
            armed=armed,
        )
        again = next_move(self.strategy, decision.position, standing=standing, at=self.at, armed=armed)
        assert again.move == decision.move, "asked again, the same is to be done"
        self.decision = decision
        self.position = after(decision.position, decision.move, self.at)
        return decision.move

    @property
    def answer(self) -> str:
        assert self.decision is not None
        assert len(self.decision.answers) == 1
        return self.decision.answers[0].sentence

    def said(self) -> list[str]:
        assert self.decision is not None
        return list(self.decision.said)

    def to_the_question(self) -> Story:
        """To step two, where people are asked."""
        assert self.go() == SetWeight(step=0, percent=20)
        assert self.go(wait=60) == SetWeight(step=1, percent=50)
        assert isinstance(self.go(wait=60), AskApproval)
        return self

    def promote(self, step: int = 1, to: int = 80, **how: object) -> PromoteWord:
        return replace(PromoteWord(by=ADA, at=self.at, step=step, to=to), **how)  # type: ignore[arg-type]  # any field


def test_a_canary_goes_all_the_way_with_one_question() -> None:
    story = Story()
    assert story.go() == SetWeight(step=0, percent=20)
    assert story.go() == Wait(until=NOW + timedelta(seconds=60), why="At 20 % for 1 min.")
    assert story.go(wait=59.9) == Wait(until=NOW + timedelta(seconds=60), why="At 20 % for 1 min.")
    assert story.go(wait=0.1) == SetWeight(step=1, percent=50)
    asked = story.go(wait=60)
    assert asked == AskApproval(
        step=1,
        weight=50,
        options=(80, 100),
        why="A person must say whether it goes on.",
        asked=story.at,
        nags_at=story.at + timedelta(seconds=300),
        escalates_at=story.at + timedelta(seconds=450),
        until=story.at + timedelta(seconds=600),
        otherwise=OnTimeout.ABORT,
    )
    assert story.go(wait=30) == asked, "the same question until it is answered"
    assert story.go(PASS, story.promote()) == SetWeight(step=2, percent=80)
    assert story.answer == "It goes on to 80 %; every step on the way is still verified."
    assert story.go(wait=60) == SetWeight(step=3, percent=100)
    assert story.go() == Promote()
    assert story.go() == Done()


def test_promoted_to_the_end_every_step_is_still_verified() -> None:
    story = Story()
    story.go()
    assert isinstance(story.go(PASS, story.promote(step=0, to=100), wait=10), Wait), "the bake is not over"
    assert story.go(wait=50) == SetWeight(step=1, percent=50)
    assert isinstance(story.go(wait=10), Wait)
    assert story.go(wait=50) == SetWeight(step=2, percent=80), "nobody needs to be asked again"
    story.go(wait=60)
    assert story.go() == Promote()


def test_promoted_with_skip_the_steps_are_left_out() -> None:
    story = Story()
    story.go()
    assert story.go(PASS, story.promote(step=0, to=100, skip=True), wait=5) == SetWeight(step=3, percent=100)
    assert story.answer == "It goes to 100 % at once."
    assert story.go() == Promote()


def test_skipping_leaves_out_what_was_allowed_and_no_more() -> None:
    story = Story()
    story.go()
    assert story.go(PASS, story.promote(step=0, to=50, skip=True), wait=5) == SetWeight(step=1, percent=50)
    assert isinstance(story.go(wait=59), Wait), "the next step is not hurried"
    assert isinstance(story.go(wait=1), AskApproval)


def test_a_late_word_changes_nothing() -> None:
    story = Story().to_the_question()
    late = story.promote(step=0, to=100)
    before = story.position
    assert isinstance(story.go(PASS, late), AskApproval)
    assert story.position == before
    assert story.answer == "That was about step 1 of 4; it is at step 2 of 4 now."
    for word in (HoldWord(by=ADA, at=story.at, step=0), ResumeWord(by=ADA, at=story.at, step=3)):
        story.go(PASS, word)
        assert story.position == before
        assert "it is at step 2 of 4 now" in story.answer


def test_of_two_promoters_the_second_is_told_of_the_first() -> None:
    story = Story().to_the_question()
    words = story.promote(), replace(story.promote(), by=GRACE_HOPPER), story.promote()
    assert story.go(PASS, *words) == SetWeight(step=2, percent=80)
    assert story.decision is not None
    assert [answer.accepted for answer in story.decision.answers] == [True, False, False]
    assert story.decision.answers[1].sentence == "Ada has already promoted it to 80 %."
    assert story.decision.answers[2].sentence == "You have already promoted it to 80 %."


@pytest.mark.parametrize("verdict", [FAIL, INCONCLUSIVE])
def test_promoting_what_does_not_pass_takes_force_and_a_reason(verdict: Verdict) -> None:
    story = Story().to_the_question()
    story.go(verdict, story.promote(), armed=False)
    assert story.answer == f"It is not promoted: errors: {verdict}."
    story.go(verdict, story.promote(force=True, reason="  "), armed=False)
    assert story.answer == "To promote it although checks do not pass takes a reason."
    forced = story.promote(force=True, reason="a known gap")
    assert story.go(verdict, forced) == SetWeight(step=2, percent=80)
    assert story.answer == "It goes on to 80 % although errors does not pass."


def test_a_forced_failure_stays_forced_and_other_checks_still_count() -> None:
    story = Story().to_the_question()
    story.go(FAIL, story.promote(force=True, reason="a flaky metric"))
    assert story.go(FAIL, wait=60) == SetWeight(step=3, percent=100)
    assert story.position.waived[0].reason == "a flaky metric"
    other = Standing(stands=(Stand(check="p95", verdict=FAIL, sentence="p95: fail."),))
    move = next_move(CANARY, story.position, standing=other, at=story.at).move
    assert move == Abort(cause=Cause.CHECKS, why="p95: fail.")


def test_a_forced_silence_is_forced_to_the_next_weight_only() -> None:
    story = Story().to_the_question()
    story.go(INCONCLUSIVE, story.promote(force=True, reason="no traffic at night"))
    assert isinstance(story.go(INCONCLUSIVE, wait=60), Wait)
    assert isinstance(story.go(INCONCLUSIVE, wait=GRACE), AskApproval)
    failing = Story().to_the_question()
    failing.go(INCONCLUSIVE, failing.promote(force=True, reason="no traffic at night"))
    assert isinstance(failing.go(FAIL), Abort)


def test_failing_checks_take_it_back_at_any_time_even_when_held() -> None:
    story = Story().to_the_question()
    story.go(PASS, HoldWord(by=ADA, at=story.at, step=1))
    assert story.go(FAIL) == Abort(cause=Cause.CHECKS, why="errors: fail.")


def test_an_abort_by_checks_that_is_not_made_is_forgotten_when_they_recover() -> None:
    story = Story()
    story.go()
    decision = next_move(CANARY, story.position, standing=story.standing(FAIL), at=story.at)
    assert isinstance(decision.move, Abort)
    assert isinstance(next_move(CANARY, decision.position, standing=story.standing(PASS), at=story.at).move, Wait)


def test_without_automatic_rollback_failing_checks_are_asked_about() -> None:
    story = Story()
    story.go()
    assert isinstance(story.go(FAIL, armed=False), Wait)
    asked = story.go(FAIL, armed=False, wait=60)
    assert isinstance(asked, AskApproval)
    assert asked.refused == "errors: fail."


def test_a_step_that_needs_nobody_waits_for_its_checks_before_it_asks() -> None:
    story = Story()
    story.go()
    assert story.go(INCONCLUSIVE, wait=60) == Wait(
        until=NOW + timedelta(seconds=60 + GRACE), why="errors: inconclusive."
    )
    asked = story.go(INCONCLUSIVE, wait=GRACE)
    assert isinstance(asked, AskApproval)
    assert (asked.why, asked.refused) == ("errors: inconclusive.", "errors: inconclusive.")
    assert story.go(PASS, wait=30) == SetWeight(step=1, percent=50), "it needed no person, only its checks"


def test_a_look_from_before_the_step_says_nothing_about_it() -> None:
    story = Story()
    story.go()
    old = story.standing(PASS)
    story.go(wait=60)
    assert story.position.step == 1
    later = story.at + timedelta(seconds=60)
    asked = next_move(CANARY, story.position, standing=old, at=later).move
    assert isinstance(asked, AskApproval)
    assert asked.refused == "errors: not looked at since the last change."


@pytest.mark.parametrize("verdict", [PASS, INCONCLUSIVE])
def test_nobody_answers_and_it_is_taken_back(verdict: Verdict) -> None:
    story = Story().to_the_question()
    assert isinstance(story.go(verdict, wait=599), AskApproval)
    why = "Nobody answered in 10 min, so it is taken back."
    assert story.go(verdict, wait=1) == Abort(cause=Cause.TIMEOUT, why=why)


def test_nobody_answers_and_it_is_held() -> None:
    story = Story(replace(CANARY, on_timeout=OnTimeout.HOLD)).to_the_question()
    move = story.go(wait=600)
    assert move == Wait(until=None, why="Nobody answered in 10 min, so it is held at 50 % until somebody decides.")
    assert story.said() == [move.why]
    assert story.go(wait=86_400) == move
    assert story.said() == [], "it is said once"
    resumed = story.go(PASS, ResumeWord(by=ADA, at=story.at, step=1))
    assert isinstance(resumed, AskApproval)
    assert resumed.asked == story.at, "time begins anew"


def test_nobody_answers_and_it_goes_on_only_if_checks_pass() -> None:
    patient = replace(CANARY, on_timeout=OnTimeout.PROMOTE)
    green = Story(patient).to_the_question()
    assert green.go(wait=600) == SetWeight(step=2, percent=80)
    assert green.said() == ["Nobody answered in 10 min and every check passes, so it goes on."]
    red = Story(patient).to_the_question()
    move = red.go(INCONCLUSIVE, wait=600)
    assert isinstance(move, Wait)
    assert "not every check passes, so it is held" in move.why


def test_held_it_stays_and_a_promotion_ends_that() -> None:
    story = Story()
    story.go()
    held = story.go(PASS, HoldWord(by=ADA, at=story.at, step=0, reason="lunch"))
    assert held == Wait(until=None, why="Ada holds it: lunch")
    assert story.answer == "It is held at 20 %."
    assert story.go(wait=9999) == held
    story.go(PASS, HoldWord(by=GRACE_HOPPER, at=story.at, step=0))
    assert story.answer == "Ada holds it already."
    assert story.go(PASS, story.promote(step=0, to=50)) == SetWeight(step=1, percent=50)
    story.go(PASS, ResumeWord(by=ADA, at=story.at, step=1))
    assert story.answer == "It is not held."


def test_a_person_aborts_at_whatever_step_and_wins_over_a_promotion() -> None:
    story = Story().to_the_question()
    words = story.promote(), AbortWord(by=GRACE_HOPPER, at=story.at, reason="it smells"), story.promote(to=100)
    move = story.go(PASS, *words)
    assert move == Abort(cause=Cause.PERSON, why="Grace aborted it: it smells", by=GRACE_HOPPER)
    assert story.decision is not None
    assert [answer.accepted for answer in story.decision.answers] == [True, True, False]
    assert story.decision.answers[2].sentence == "Grace has aborted it already."
    assert story.go(FAIL, AbortWord(by=ADA, at=story.at), wait=99) == move
    assert story.answer == "Grace has aborted it already."


def test_aborting_before_anything_has_begun_has_nothing_to_take_back() -> None:
    story = Story()
    move = story.go(PASS, AbortWord(by=ADA, at=NOW))
    assert move == Abort(cause=Cause.PERSON, why="Ada aborted it.", by=ADA, begun=False)
    assert story.answer == "Nothing had been changed yet."


def test_after_the_promotion_only_a_rollback_helps() -> None:
    story = Story(Canary(steps=(Step(weight=10, bake=1),)))
    story.go()
    story.go(wait=1)
    assert story.go() == Promote()
    assert story.go(FAIL, AbortWord(by=ADA, at=story.at)) == Done()
    assert story.answer == "It is promoted in full already; to take it back, roll back."


def test_a_promotion_elsewhere_is_adopted_and_said() -> None:
    story = Story()
    story.go()
    assert isinstance(story.go(observed=20), Wait)
    assert story.said() == []
    waits = story.go(wait=10, observed=80)
    assert story.said() == ["It was promoted outside the bot, from 20 % to 80 %, step 3 of 4; it goes on from there."]
    assert story.position.approved == 80
    assert waits == Wait(until=story.at + timedelta(seconds=60), why="At 80 % for 1 min."), "and is verified there"
    assert story.go(wait=60, observed=80) == SetWeight(step=3, percent=100)


def test_a_weight_between_two_steps_counts_as_the_lower() -> None:
    story = Story()
    story.go()
    story.go(observed=60)
    assert (story.position.step, story.position.weight) == (1, 60)
    asked = story.go(wait=60, observed=60)
    assert isinstance(asked, AskApproval)
    assert (asked.weight, asked.options) == (60, (80, 100))


def test_a_weight_that_was_lowered_elsewhere_is_left_alone() -> None:
    story = Story().to_the_question()
    story.go(PASS, story.promote(to=100))
    held = story.go(wait=5, observed=20)
    assert isinstance(held, Wait)
    assert held.until is None
    assert story.said() == [
        "Its weight was lowered outside the bot, from 80 % to 20 %, step 1 of 4; it is held until somebody decides."
    ]
    story.go(PASS, ResumeWord(by=ADA, at=story.at, step=0))
    assert story.go(wait=60) == SetWeight(step=1, percent=50)
    assert isinstance(story.go(wait=60), AskApproval), "what was approved before is asked again"


def test_what_was_taken_back_elsewhere_is_over() -> None:
    story = Story().to_the_question()
    move = story.go(observed=0)
    assert isinstance(move, Abort)
    assert move.cause is Cause.ELSEWHERE
    assert story.said() == ["It was taken back outside the bot: its weight went from 50 % to 0 %."]


def test_what_the_platform_took_back_itself_has_failed_with_its_reason() -> None:
    story = Story().to_the_question()
    why = "Flagger took v2 back: its analysis failed."
    move = story.go(observed=0, gone=TakenBack(by_platform=True, why=why))
    assert move == Abort(cause=Cause.PLATFORM, why=why)
    assert story.said() == [why]
    assert (story.position.weight, story.position.abort) == (0, move)
    story.go(PASS, story.promote(to=100))
    assert story.answer == "It is being taken back already."


def test_what_somebody_took_back_is_told_by_whom() -> None:
    story = Story().to_the_question()
    move = story.go(observed=0, gone=TakenBack(by_platform=False, why="kubectl-set changed it."))
    assert isinstance(move, Abort)
    assert move.cause is Cause.ELSEWHERE
    assert move.why == "It was taken back outside the bot: its weight went from 50 % to 0 %. kubectl-set changed it."


@pytest.mark.parametrize(
    ("by_platform", "cause", "why"),
    [(True, Cause.PLATFORM, "No."), (False, Cause.ELSEWHERE, "It was taken back outside the bot. No.")],
)
def test_what_is_taken_back_before_it_gets_any_traffic_is_over_too(by_platform: bool, cause: Cause, why: str) -> None:
    story = Story(BlueGreen(keep=600, verify=10, approval=True))
    assert story.go() == SetWeight(step=0, percent=0)
    assert isinstance(story.go(observed=0), Wait), "that it gets none is as it should be"
    assert story.go(observed=0, gone=TakenBack(by_platform=by_platform, why="No.")) == Abort(cause=cause, why=why)


def test_nothing_is_taken_back_before_it_has_begun_or_after_it_is_over() -> None:
    gone = TakenBack(by_platform=True, why="No.")
    assert Story().go(observed=0, gone=gone) == SetWeight(step=0, percent=20)
    plain = Story(Rolling())
    plain.go()
    assert plain.go(observed=0, gone=gone) == Done()


def test_blue_green_switches_after_verification_and_keeps_blue() -> None:
    story = Story(BlueGreen(keep=600, verify=10, approval=True))
    assert story.go() == SetWeight(step=0, percent=0)
    assert isinstance(story.go(), Wait)
    asked = story.go(wait=10)
    assert isinstance(asked, AskApproval)
    assert asked.options == (100,)
    assert story.go(PASS, story.promote(step=0, to=100)) == SetWeight(step=1, percent=100)
    assert isinstance(story.go(wait=599), Wait)
    assert story.go(wait=1) == Promote()
    assert story.go() == Done()


def test_blue_is_switched_back_to_when_green_fails() -> None:
    story = Story(BlueGreen(keep=600))
    story.go()
    assert story.go() == SetWeight(step=1, percent=100)
    assert story.go(FAIL, wait=30) == Abort(cause=Cause.CHECKS, why="errors: fail.")


def test_green_that_cannot_be_judged_is_asked_about_and_can_be_forced() -> None:
    story = Story(BlueGreen(keep=60))
    story.go()
    story.go()
    assert isinstance(story.go(INCONCLUSIVE, wait=60), Wait)
    asked = story.go(INCONCLUSIVE, wait=GRACE)
    assert isinstance(asked, AskApproval)
    assert asked.options == (100,)
    assert story.go(INCONCLUSIVE, story.promote(to=100, force=True, reason="night")) == Promote()


@pytest.mark.parametrize(("strategy", "recreate"), [(Rolling(), False), (Recreate(), True)])
def test_the_plain_strategies_are_one_move(strategy: Strategy, recreate: bool) -> None:
    story = Story(strategy)
    assert story.go(INCONCLUSIVE) == Apply(recreate=recreate)
    assert story.go(INCONCLUSIVE) == Done()
    plain = Story(strategy)
    plain.go(PASS, plain.promote(step=-1, to=100))
    assert plain.answer == "Nothing has begun yet."
    plain.go(PASS, plain.promote(step=0, to=100))
    assert plain.answer == "It has no steps that could be promoted."


@pytest.mark.parametrize("to", [0, 20, 50, 60, 101])
def test_a_weight_that_cannot_be_next_is_refused_with_those_that_can(to: int) -> None:
    story = Story().to_the_question()
    story.go(PASS, story.promote(to=to))
    assert story.answer == "From here it can be promoted to 80 % or to 100 %."


def test_what_the_strategy_allows_itself_needs_nobody() -> None:
    story = Story()
    story.go()
    story.go(wait=60)
    story.go(PASS, story.promote(to=80), wait=60)
    story.go(PASS, story.promote(step=2, to=100))
    assert story.answer == "It goes on to 100 %; every step on the way is still verified."
