"""What holds on every path: nothing beyond what was approved, nothing on doubts, and an end that can be reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.actor import Actor
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.analysis.standing import Stand, Standing
from bot.domain.strategy.interpret import Decision, next_move
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate, Rolling, Step, Strategy
from bot.domain.strategy.moves import Abort, Apply, AskApproval, Cause, Done, Promote, SetWeight, Wait
from bot.domain.strategy.plan import How, patience, plan
from bot.domain.strategy.position import Position, after, start
from bot.domain.strategy.words import AbortWord, HoldWord, PromoteWord, ResumeWord, Word

NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
ADA = Actor(workspace="T1", id="U0ADA", name="Ada")
GRACE = Actor(workspace="T1", id="U0GRACE", name="Grace")
QUICK = settings(max_examples=300, deadline=None)

WEIGHTS = st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True).map(sorted)


@st.composite
def canaries(draw: st.DrawFn) -> Canary:
    steps = tuple(
        Step(weight=weight, bake=draw(st.sampled_from([1, 30, 300])), approval=weight < 100 and draw(st.booleans()))
        for weight in draw(WEIGHTS)
    )
    return Canary(steps=steps, timeout=draw(st.sampled_from([1, 600])), on_timeout=draw(st.sampled_from(OnTimeout)))


STRATEGIES: st.SearchStrategy[Strategy] = st.one_of(
    canaries(),
    st.builds(
        BlueGreen,
        keep=st.sampled_from([0, 60]),
        verify=st.sampled_from([0, 60]),
        approval=st.booleans(),
        timeout=st.just(600.0),
        on_timeout=st.sampled_from(OnTimeout),
    ),
    st.sampled_from([Rolling(), Recreate()]),
)


@dataclass(frozen=True)
class Moment:
    """Something that may happen: drawn relative to where the rollout is, so that words often fit."""

    later: float
    verdict: Verdict
    armed: bool
    observed: int | None
    words: tuple[str, ...]
    step: int
    option: int
    lost: bool
    """The process dies before the move is made."""


WORDS = ["promote", "promote", "skip", "skip", "force", "force", "hold", "resume", "resume", "abort"]
MOMENTS = st.lists(
    st.builds(
        Moment,
        later=st.sampled_from([0, 1, 30, 61, 301, 1000]),
        verdict=st.sampled_from([Verdict.PASS] * 7 + [Verdict.INCONCLUSIVE] * 2 + [Verdict.FAIL]),
        armed=st.booleans(),
        observed=st.one_of(*[st.none()] * 6, st.integers(-1, 101)),
        words=st.lists(st.sampled_from(WORDS), max_size=2).map(tuple),
        step=st.sampled_from([0, 0, 0, 0, -1, 1]),
        option=st.integers(0, 2),
        lost=st.sampled_from([False, False, True]),
    ),
    max_size=25,
)


def standing_of(verdict: Verdict, at: datetime) -> Standing:
    last = Judgement(check="errors", verdict=verdict, at=at, sentence="errors: …")
    return Standing(stands=(Stand(check="errors", verdict=verdict, sentence=f"errors: {verdict}.", last=last),))


@dataclass
class Path:
    """Walks a rollout and keeps its own books of what was allowed, by other means than the code under test."""

    strategy: Strategy
    position: Position = field(default_factory=lambda: start(NOW))
    at: datetime = NOW
    people: int = 0
    """Up to where people have said that it may go."""
    forced: bool = False
    hurried: bool = False
    """At this step somebody did not want to wait."""
    leaping: bool = False
    """At this step somebody wanted steps to be left out."""
    asked: datetime | None = None
    over: bool = False

    def words(self, moment: Moment) -> list[Word]:
        steps, step = plan(self.strategy), self.position.step
        found: list[Word] = []
        for name in moment.words:
            at = step + moment.step
            following = steps[min(step + 1, len(steps) - 1)].weight
            to = (following, 100, 33)[moment.option]
            if name == "hold":
                found.append(HoldWord(by=ADA, at=self.at, step=at))
            elif name == "resume":
                found.append(ResumeWord(by=GRACE, at=self.at, step=at))
            elif name == "abort":
                found.append(AbortWord(by=GRACE, at=self.at))
            else:
                force, skip = name == "force", name == "skip"
                word = PromoteWord(by=ADA, at=self.at, step=at, to=to, skip=skip, force=force, reason="because")
                found.append(word)
        return found

    def live(self, moment: Moment) -> Decision:
        """One moment; checks everything that must hold in each."""
        self.at += timedelta(seconds=moment.later)
        standing, words = standing_of(moment.verdict, self.at), self.words(moment)
        observed = moment.observed if self.position.begun else None

        def decide(position: Position, words: list[Word], observed: int | None) -> Decision:
            return next_move(
                self.strategy,
                position,
                standing=standing,
                at=self.at,
                words=words,
                observed=observed,
                armed=moment.armed,
            )

        decision = decide(self.position, words, observed)
        assert decide(self.position, words, observed) == decision, "the same facts give the same"
        assert decide(decision.position, [], None).move == decision.move, "decided again after a crash, the same"
        one_by_one = decide(self.position, words[:1], observed)
        for word in words[1:]:
            one_by_one = decide(one_by_one.position, [word], None)
        assert one_by_one.move == decision.move, "words that come together or one by one"
        self.keep_books(moment, decision, observed)
        self.check(moment, decision)
        self.position = decision.position
        if not moment.lost:
            if isinstance(decision.move, SetWeight):
                self.hurried = self.leaping = False
            self.position = after(decision.position, decision.move, self.at)
            self.over = isinstance(decision.move, Abort | Done)
        return decision

    def keep_books(self, moment: Moment, decision: Decision, observed: int | None) -> None:
        assert len(decision.answers) == len(moment.words)
        if observed is not None and not self.position.abort and not self.position.promoted:
            observed = min(max(observed, 0), 100)
            if observed < self.position.weight:
                self.people = observed
            elif observed > self.position.weight:
                self.people = max(self.people, observed)
        for answer in decision.answers:
            word = answer.word
            assert answer.sentence
            if not isinstance(word, AbortWord) and word.step != decision.position.step:
                assert not answer.accepted, "a late word"
            if isinstance(word, PromoteWord) and answer.accepted:
                self.people = max(self.people, word.to)
                self.forced |= word.force and moment.verdict is not Verdict.PASS
                self.hurried |= word.skip or (word.force and moment.verdict is not Verdict.PASS)
                self.leaping |= word.skip
                assert word.force or moment.verdict is Verdict.PASS or self.forced

    def check(self, moment: Moment, decision: Decision) -> None:
        steps, position, move = plan(self.strategy), decision.position, decision.move
        weighted = steps[0].how is How.WEIGHT
        assert 0 <= position.weight <= 100
        if moment.verdict is Verdict.FAIL and moment.armed and weighted and position.begun and not self.forced:
            assert isinstance(move, Abort | Done)
        match move:
            case SetWeight(step=step, percent=percent):
                assert step > position.step
                assert percent == steps[step].weight
                assert percent <= position.approved
                crossed = range(max(position.step, 0), step)
                late = self.asked is not None and self.at - self.asked >= timedelta(
                    seconds=patience(self.strategy).seconds
                )
                by_time = late and patience(self.strategy).on_timeout is OnTimeout.PROMOTE
                for index in crossed:
                    if steps[index].approval and self.people < steps[index + 1].weight:
                        assert by_time, "beyond what was approved"
                        assert moment.verdict is Verdict.PASS or self.forced
                        # What patience has allowed is allowed, also where the move is lost and decided again.
                        self.people = percent
                if position.begun:
                    assert moment.verdict is Verdict.PASS or self.forced, "on doubts"
                    assert step == position.step + 1 or (self.leaping and percent <= self.people)
                    assert position.held is None
                    baked = self.at >= position.since + timedelta(seconds=steps[position.step].bake)
                    assert baked or self.hurried or by_time
            case Promote():
                assert position.step == len(steps) - 1
                assert moment.verdict is Verdict.PASS or self.forced, "on doubts"
            case AskApproval():
                assert move.options
                assert all(position.weight <= option <= 100 for option in move.options)
                assert move.asked <= self.at < move.until
            case Wait():
                assert move.why
                assert move.until is None or move.until > self.at
            case Abort():
                assert move.why
            case Apply():
                assert not weighted
                assert not position.begun
            case Done():
                assert position.promoted or not weighted
        self.asked = position.asked


@QUICK
@given(strategy=STRATEGIES, moments=MOMENTS)
def test_on_every_path(strategy: Strategy, moments: list[Moment]) -> None:
    path = Path(strategy)
    for moment in moments:
        path.live(moment)
        if path.over:
            break


def moment(verdict: Verdict, *words: str, later: float = 1000, option: int = 1) -> Moment:
    return Moment(
        later=later, verdict=verdict, armed=True, observed=None, words=words, step=0, option=option, lost=False
    )


@QUICK
@given(strategy=STRATEGIES, moments=MOMENTS, end=st.sampled_from(["abort", "promote", "force", "nobody", "silence"]))
def test_every_path_ends(strategy: Strategy, moments: list[Moment], end: str) -> None:
    path = Path(strategy)
    for one in moments:
        path.live(one)
        if path.over:
            return
    if end == "abort":
        path.live(moment(Verdict.PASS, "abort"))
        path.live(moment(Verdict.PASS))
        assert path.over, "a person's abort is obeyed at once"
        return
    for _ in range(4 * len(plan(strategy)) + 4):
        verdict = Verdict.PASS if end in {"promote", "nobody"} else Verdict.INCONCLUSIVE
        decision = path.live(moment(verdict, *["resume", end] if end in {"promote", "force"} else []))
        if path.over:
            return
    # Only where people were asked and none came may it rest, and then it has said so.
    assert end in {"nobody", "silence"}
    assert isinstance(decision.move, Wait)
    assert decision.move.until is None
    assert decision.position.held is not None


@QUICK
@given(strategy=canaries())
def test_a_healthy_canary_with_willing_people_reaches_everybody(strategy: Canary) -> None:
    path, weights = Path(strategy), []
    for _ in range(4 * len(plan(strategy)) + 4):
        move = path.live(moment(Verdict.PASS, "promote", later=350, option=0)).move
        if isinstance(move, SetWeight):
            weights.append(move.percent)
        if path.over:
            break
    assert path.position.promoted
    assert weights == [step.weight for step in plan(strategy)]


@QUICK
@given(strategy=canaries(), fails_at=st.integers(0, 12))
def test_a_canary_that_fails_never_gets_more_traffic(strategy: Canary, fails_at: int) -> None:
    path = Path(strategy)
    for number in range(14):
        move = path.live(moment(Verdict.FAIL if number >= fails_at else Verdict.PASS, "promote", later=350)).move
        if path.over:
            break
        if number >= fails_at and number > 0:
            pytest.fail(f"{move} although it fails")
    assert path.position.promoted or isinstance(path.position.abort, Abort)
    if path.position.abort:
        assert path.position.abort.cause is Cause.CHECKS
