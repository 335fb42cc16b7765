"""Rollouts of several steps in every situation that people are shown, as views for the renderers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from slack_scenes import ADA, GRACE, START, P, after, deployment, proven, rollback_of_it, view

from bot.domain.analysis.check import Check, Comparison, Good, Kind
from bot.domain.analysis.countdown import Countdown, CountdownState
from bot.domain.analysis.judge import judge_once
from bot.domain.analysis.judgement import Verdict
from bot.domain.analysis.watch import Watch
from bot.domain.metric import Point, Reading, Track
from bot.domain.progression import Looks, Progression, Reached, looks_of
from bot.domain.strategy.kinds import OnTimeout
from bot.domain.strategy.moves import AskApproval
from bot.domain.strategy.plan import PlannedStep
from bot.domain.strategy.position import Held, Position, Waiver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.view import DeploymentView

STEPS = (
    PlannedStep(weight=20, bake=300.0, approval=True),
    PlannedStep(weight=50, bake=300.0, approval=True),
    PlannedStep(weight=100),
)
ERRORS = Check(
    name="errors", source="proxy", query="error_share", kind=Kind.SHARE, limit=0.02,
    against_stable=Comparison(ratio=1.5, tolerance=0.01),
)  # fmt: skip
LATENCY = Check(name="latency", source="proxy", query="latency", unit="ms", limit=250.0)
SUCCESS = Check(
    name="orders", source="shop", query="orders", kind=Kind.SHARE, good=Good.AT_LEAST, limit=0.9, required=False
)
CHECKS = (ERRORS, LATENCY, SUCCESS)
_BEGAN = 70.0


def at(seconds: float) -> datetime:
    """So long after the rollout began."""
    return START + timedelta(seconds=_BEGAN + seconds)


def read(value: float | None, seconds: float, samples: float | None = 240.0, why: str = "") -> Reading:
    """What a source answers, two seconds old."""
    return Reading(value=value, at=at(seconds - 2), samples=samples, why=why)


def seen(
    check: Check, values: list[float | None], *, stable: float = 0.009, samples: float = 240.0,
    before: Reading | None = None,
) -> Looks:  # fmt: skip
    """A check that was looked at every half minute."""
    watch = Watch(check=check)
    for number, value in enumerate(values):
        seconds = 30.0 * (number + 1)
        why = "connection refused" if value is None else ""
        canary, beside = read(value, seconds, samples, why), read(stable, seconds, 1_200.0)
        watch = watch.seen(judge_once(check, canary, beside, before, at=at(seconds)))
    return looks_of([watch])[0]


LOCKED = "checkout@staging is locked by Grace Hopper: The database is being moved"
FROZEN = "staging is frozen by Grace Hopper: the shop is on television"
GOOD = (seen(ERRORS, [0.008, 0.01]), seen(LATENCY, [118.0, 121.4]), seen(SUCCESS, [None, None]))
BAD = (seen(ERRORS, [0.05, 0.081, 0.082]), seen(LATENCY, [118.0, 121.4]), seen(SUCCESS, [None]))
BEFORE = {"errors": read(0.007, -5, 2_000.0), "latency": read(117.0, -5)}


def points(values: Sequence[float | None]) -> tuple[Point, ...]:
    """One each half minute."""
    return tuple(Point(at=at(30.0 * (number + 1)), value=value) for number, value in enumerate(values))


READINGS = {
    "errors": {Track.CANARY: points([0.008, 0.05, 0.081]), Track.STABLE: points([0.009, 0.009, 0.009])},
    "latency": {Track.CANARY: points([118.0, 121.4]), Track.STABLE: points([119.0, 117.0])},
}


def question(step: int = 0, *, refused: str = "", otherwise: OnTimeout = OnTimeout.ABORT) -> AskApproval:
    """Asked after its bake, for half an hour."""
    weight = STEPS[step].weight
    return AskApproval(
        step=step,
        weight=weight,
        options=(50, 100) if step == 0 else (100,),
        why="A person must say whether it goes on.",
        refused=refused,
        asked=at(300),
        nags_at=at(1_200),
        escalates_at=at(1_650),
        until=at(2_100),
        otherwise=otherwise,
    )


def progression(step: int = 0, looks: tuple[Looks, ...] = GOOD, **changes: object) -> Progression:
    """At that step, the ones before it passed; Ada let each go on."""
    steps = [
        Reached(
            step=index, weight=STEPS[index].weight, at=at(300 * index), left=at(300 * (index + 1)),
            judgements=tuple(one.last for one in GOOD if one.last), asked=True, by=ADA,
        )
        for index in range(step)
    ]  # fmt: skip
    here = Reached(step=step, weight=STEPS[step].weight, at=at(300 * step))
    made = Progression(
        position=Position(
            step=step, weight=STEPS[step].weight, since=at(300 * step), approved=STEPS[step].weight,
            approved_by=ADA if step else None,
        ),
        looks=looks,
        before=BEFORE,
        why=f"At {STEPS[step].weight} % for 5 min.",
        steps=(*steps, here),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def rollout(phase: P, going: Progression | None, **changes: object) -> DeploymentView:
    """A canary in that phase."""
    countdown = changes.pop("countdown", None)
    note = changes.pop("note", "")
    made = changes.pop("deployment", None) or deployment(phase)
    shown = view(
        phase,
        deployment=replace(  # type: ignore[type-var]  # a deployment's
            made, strategy="canary", progression=going, countdown=countdown, note=note, progress=None
        ),
        steps=STEPS,
        checks=CHECKS,
        readings=READINGS,
    )
    return replace(shown, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def counted(state: CountdownState = CountdownState.RUNNING, **changes: object) -> Countdown:
    """A minute, because of errors."""
    made = Countdown(
        why="errors: 8.2 % of 240 samples is above its limit of 2 %.", began=at(90), deadline=at(150), state=state
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # test helper: the names are the dataclass's own


def waiver(check: str = "errors") -> Waiver:
    """Grace takes it upon herself."""
    return Waiver(check=check, verdict=Verdict.FAIL, to=50, by=GRACE, reason="The errors are a bot's.")


def rollout_scenes() -> dict[str, DeploymentView]:
    """Every situation, by the name of its snapshot."""
    moving, asks = P.DEPLOYING, P.PAUSED
    going = progression()
    held = replace(going.position, held=Held(at=at(60), by=ADA, why="Ada Lovelace holds it: lunch."))
    refused = "errors: 8.2 % of 240 samples is above its limit of 2 %. 2 of the last 3 looks failed."
    doubtful = (seen(ERRORS, [0.03], samples=12.0), *GOOD[1:])
    many = tuple(replace(LATENCY, name=f"check {number}") for number in range(12))
    succeeded = after(P.SUCCEEDED, P.REQUESTED, P.QUEUED, P.DEPLOYING, P.VERIFYING)
    whole = progression(2, position=replace(progression(2).position, promoted=True))
    forced = replace(
        progression(1),
        steps=(replace(progression(1).steps[0], judgements=tuple(one.last for one in BAD if one.last),
                       waived=(waiver(),), by=GRACE), progression(1).steps[1]),
        position=replace(progression(1).position, waived=(waiver(),)),
        looks=BAD,
    )  # fmt: skip
    elsewhere = replace(
        progression(1), steps=(replace(progression(1).steps[0], asked=False, by=None),
                               replace(progression(1).steps[1], elsewhere=True))
    )  # fmt: skip
    bakes = {"bakes_until": at(2_000), "rollback_to": proven()}
    running = counted()
    return {
        "rollout.begins": rollout(moving, Progression(position=Position(since=at(0)))),
        "rollout.bakes": rollout(moving, going),
        "rollout.not_looked_at": rollout(moving, progression(looks=())),
        "rollout.one_failing_look": rollout(moving, progression(looks=(seen(ERRORS, [0.01, 0.08]), *GOOD[1:]))),
        "rollout.asks": rollout(asks, progression(question=question())),
        "rollout.asks_last": rollout(asks, progression(1, question=question(1, otherwise=OnTimeout.PROMOTE))),
        "rollout.asks_in_vain": rollout(
            asks, progression(question=question(otherwise=OnTimeout.HOLD)), reminded=True, escalated=True
        ),
        "rollout.refused": rollout(asks, progression(looks=BAD, question=question(refused=refused))),
        "rollout.doubtful": rollout(
            asks,
            progression(looks=doubtful, question=question(refused="errors: only 12 of the 20 samples it takes.")),
        ),
        "rollout.answered": rollout(
            asks,
            progression(
                position=replace(going.position, approved=50, approved_by=ADA),
                why="It goes on to 50 %; every step on the way is still verified.",
            ),
        ),
        "rollout.second_step": rollout(moving, progression(1)),
        "rollout.between_steps": rollout(
            asks, progression().stopped(LOCKED), note="A person must say whether it goes on."
        ),
        "rollout.frozen_question": rollout(asks, progression(question=question()).stopped(FROZEN)),
        "rollout.no_longer_kept": rollout(
            asks, replace(progression(question=question()).stopped(FROZEN), why=question().why)
        ),
        "rollout.held": rollout(asks, progression(position=held, why=held.held.why)),  # type: ignore[union-attr]
        "rollout.resumed": rollout(asks, progression(why="It goes on.")),
        "rollout.forced": rollout(moving, forced),
        "rollout.elsewhere": rollout(moving, elsewhere),
        "rollout.many_checks": rollout(moving, going, checks=(ERRORS, *many)),
        "rollout.countdown": rollout(moving, progression(looks=BAD, why=running.why), countdown=running),
        "rollout.countdown_snoozed": rollout(
            moving, progression(looks=BAD), countdown=counted(deadline=at(750), snoozes=1)
        ),
        "rollout.countdown_cancelled": rollout(
            asks, progression(looks=BAD, question=question(refused=refused)),
            countdown=counted(CountdownState.CANCELLED, by=GRACE),
        ),
        "rollout.countdown_recovered": rollout(moving, going, countdown=counted(CountdownState.RECOVERED)),
        "rollout.failed": rollout(
            P.FAILED, progression(looks=BAD), countdown=counted(CountdownState.FIRED), note=running.why
        ),
        "rollout.aborted": rollout(P.ABORTED, progression(), note="Asked by Ada Lovelace."),
        "bake.watched": rollout(P.SUCCEEDED, whole, deployment=succeeded, **bakes),
        "bake.rolling": rollout(P.SUCCEEDED, None, deployment=succeeded, **bakes, steps=()),
        "bake.countdown": rollout(
            P.SUCCEEDED, replace(whole, looks=BAD), deployment=succeeded, countdown=running, **bakes
        ),
        "bake.paged": rollout(
            P.SUCCEEDED, replace(whole, looks=BAD), deployment=succeeded, **bakes,
            countdown=counted(CountdownState.PAGED, barred="The database was migrated in between."),
        ),
        "bake.fired": rollout(
            P.ROLLED_BACK, replace(whole, looks=BAD), taken_back_by=rollback_of_it(),
            countdown=counted(CountdownState.FIRED, by=GRACE),
        ),
    }  # fmt: skip
