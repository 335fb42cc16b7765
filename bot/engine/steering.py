"""Runs strategies of several steps: asks the domain for the next move, and keeps where it stands in the row.

One step of the workflow ends with one move that changes the target; in between it looks at the checks and waits for
time, people and other replicas. Nothing here changes a target.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from bot.domain.actor import BOT
from bot.domain.analysis import countdown as counting
from bot.domain.analysis.standing import standing_of
from bot.domain.errors import InvalidTransition
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression, looks_of
from bot.domain.strategy.interpret import next_move
from bot.domain.strategy.moves import Abort, Apply, AskApproval, Cause, Done, Promote, SetWeight, Wait
from bot.domain.strategy.plan import plan
from bot.domain.strategy.position import after, start
from bot.domain.strategy.voice import hear
from bot.domain.strategy.words import AbortWord
from bot.engine.eyes import Eyes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.analysis.countdown import Countdown
    from bot.domain.analysis.watch import Watch
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment, Request
    from bot.domain.ids import DeploymentId
    from bot.domain.strategy.interpret import Decision
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.moves import Move
    from bot.domain.strategy.position import Position
    from bot.engine.checking import Checking
    from bot.engine.ledger import Ledger
    from bot.engine.rollout import Rollout
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource

log = logging.getLogger(__name__)

_LONGEST_PAUSE = timedelta(seconds=30)
_LOOK_AT_GATES = timedelta(seconds=2)
_UNDER_WAY = frozenset({Phase.DEPLOYING, Phase.PAUSED})
_AGE = re.compile(r" That was \d+ s ago\.")
"""What `Watch.sentence` says of a number that grows old."""


class Ordered(TypedDict):
    """A move that changes the target, or an end, in plain values that outlive the process."""

    kind: str
    """``weight``, ``promote``, ``apply``, ``done``, ``stopped``, ``failed``, ``superseded`` or ``over``."""
    step: int
    percent: int
    note: str


class _MovedError(Exception):
    """The row has changed since it was looked at."""


@dataclass(kw_only=True, repr=False)  # DBOS logs what it runs, and whatever it holds is too much to be told
class Steering:
    """The interpreter of strategies."""

    ledger: Ledger
    deployments: Deployments
    catalogs: CatalogSource
    rollout: Rollout
    checking: Checking
    look_again: float = 1.0
    """Seconds between two looks for what another replica has done."""
    _reminded: dict[DeploymentId, int] = field(default_factory=dict)
    _stops: dict[DeploymentId, tuple[datetime, str]] = field(default_factory=dict)
    """What kept those that people are asked about from their next step when the gates were asked last."""

    async def next(self, deployment_id: DeploymentId) -> Ordered:
        """Wait until something is to be done, and say what. What it is waited for is in the row meanwhile."""
        deployment = await self.deployments.get(deployment_id)
        strategy, service = await self._wanted(deployment)
        if deployment.progression is None:
            before = await self.checking.before(deployment, service)
            first = Progression(position=start(self.ledger.now()), before=before)
            await self.ledger.amend(
                deployment_id,
                lambda found: found if found.progression else replace(found.touch(), progression=first),
            )
        with self.ledger.woken_by(deployment_id) as woken:
            eyes = Eyes(checking=self.checking, rollout=self.rollout, service=service, woken=woken)
            try:
                while True:
                    woken.clear()
                    deployment = await self.deployments.get(deployment_id)
                    if deployment.phase not in _UNDER_WAY:  # a replica that was taken for dead wakes up
                        return _ordered("over", note=f"It is {deployment.phase.words} already.")
                    with contextlib.suppress(_MovedError, InvalidTransition):
                        if deployment.request and deployment.request.resolution is None:
                            return await self._stop(deployment, strategy, deployment.request)
                        move, look_at = await self._look(deployment, strategy, service, eyes)
                        if ordered := _order(move):
                            return ordered
                        pause = (look_at - self.ledger.now()).total_seconds()
                        # Not `wait_for`: on Python 3.11 it swallows a cancellation that meets the event being set.
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(max(0.02, min(pause, self.look_again))):
                                await woken.wait()
            finally:
                self._stops.pop(deployment_id, None)
                await eyes.close()

    async def reached(self, deployment_id: DeploymentId, ordered: Ordered) -> None:
        """Record that a move was made. Made once: a repetition finds the step that it leads to."""
        move: Move = Promote() if ordered["kind"] == "promote" else _weight(ordered)
        now = self.ledger.now()

        def there(found: Deployment) -> Deployment:
            progression = found.progression
            if progression is None or _is_there(progression, move):
                raise _MovedError
            position = after(progression.position, move, now)
            if isinstance(move, SetWeight):  # whoever said so while the weight was being changed means it
                position = replace(position, held=progression.position.held)
            there = replace(progression.moved(position, now), question=None, why="")
            return replace(found.touch(), version=found.version + 1, progression=there)

        words = "promoted" if isinstance(move, Promote) else f"{ordered['percent']} %"
        with contextlib.suppress(_MovedError):
            await self.ledger.amend_as(deployment_id, there, kind="step", actor=BOT, at=now, note=words)

    async def _wanted(self, deployment: Deployment) -> tuple[Strategy, Service]:
        catalog = await self.catalogs.at(deployment.catalog_revision)
        strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
        return strategy, catalog.service(deployment.service)

    async def _stop(self, deployment: Deployment, strategy: Strategy, request: Request) -> Ordered:
        """A person wants it gone: from now on nothing is asked, and nothing else can be said to it."""
        was = deployment.progression
        assert was is not None
        now, word = self.ledger.now(), AbortWord(by=request.actor, at=request.at, reason=request.reason)
        position, _ = hear(strategy, was.position, word, standing_of((), now))
        kept = replace(was.moved(position, now), question=None, why="")

        def unless_moved(found: Deployment) -> Deployment:
            if found.progression != was:
                raise _MovedError
            return replace(found.touch(), progression=kept)

        if kept != was:
            await self.ledger.amend(deployment.id, unless_moved)
        await self._show(deployment, Phase.DEPLOYING, "")
        return _ordered("stopped")

    async def _look(
        self, deployment: Deployment, strategy: Strategy, service: Service, eyes: Eyes
    ) -> tuple[Move, datetime]:
        """What is to be done now, with everything that was seen in the row; and when to look again."""
        was = deployment.progression
        assert was is not None
        now = self.ledger.now()
        seen = eyes.seen(was)
        if seen is None:
            eyes.look(deployment, now)
        watches = seen.watches if seen else was.watches(service.checks)
        position = _arrived(strategy, deployment, was.position, seen.weight if seen else None, now)
        countdown = deployment.countdown
        armed = countdown is None or countdown.armed
        decide = partial(
            next_move,
            strategy,
            position,
            standing=standing_of(watches, now, weight=position.weight),
            at=now,
            observed=seen.weight if seen else None,
            gone=seen.gone if seen else None,
        )
        decision = decide(armed=armed)
        failing = isinstance(decision.move, Abort) and decision.move.cause is Cause.CHECKS
        if failing:
            countdown = self._counted(countdown, decision, service, now)
        elif isinstance(decision.move, Abort):  # what is taken back for another reason has not recovered
            countdown = _overtaken(countdown, decision.move.cause, now)
        else:
            countdown = _recovered(countdown, now)
        if failing and countdown is None:  # there was one, and it was called off for good
            decision = decide(armed=False)
        elif countdown is not None and not (isinstance(decision.move, Abort) and not failing):
            decision = _counting(decision, countdown, failing=failing)
        stop = ""
        if isinstance(decision.move, SetWeight | Promote):
            if eyes.busy:  # what is being looked at just now may say no
                return Wait(until=None, why=""), now + _LONGEST_PAUSE
            if stop := await self._stop_of(deployment):
                decision = _kept_back(decision, was, stop)
        elif isinstance(decision.move, AskApproval):  # whatever they say, it goes nowhere while a gate is closed
            stop = await self._stop_of(deployment, not_older=_LOOK_AT_GATES)
        move = decision.move
        await self._keep(deployment, was, decision, move, watches, countdown or deployment.countdown, stop)
        times = [now + _LONGEST_PAUSE, *eyes.look_at(watches, was, now), *_times(move, now)]
        if isinstance(move, Wait) and not was.position.begun:
            times.append(now + _LOOK_AT_GATES)
        return move, min(times)

    async def _stop_of(self, deployment: Deployment, not_older: timedelta = timedelta()) -> str:
        """What keeps it from its next step now, in a sentence; empty when nothing does."""
        now, (asked, stop) = self.ledger.now(), self._stops.get(deployment.id, (None, ""))
        if asked is None or now - asked >= not_older:
            stops = await self.rollout.permits.between_steps(deployment)
            stop = stops[0].sentence if stops else ""
            self._stops[deployment.id] = now, stop
        return stop

    def _counted(
        self, countdown: Countdown | None, decision: Decision, service: Service, now: datetime
    ) -> Countdown | None:
        """The countdown while checks fail; None when it was called off for good."""
        assert isinstance(decision.move, Abort)
        if countdown is None or countdown.state is counting.CountdownState.RECOVERED:
            countdown = counting.begin(decision.move.why, at=now, seconds=service.countdown, last=countdown)
        if countdown is None or not countdown.armed:
            return None
        return counting.fire(countdown, now).countdown

    async def _keep(
        self,
        deployment: Deployment,
        was: Progression,
        decision: Decision,
        move: Move,
        watches: Sequence[Watch],
        countdown: Countdown | None,
        stop: str,
    ) -> None:
        """Write down what was seen and decided, unless somebody has changed it meanwhile; raises `_MovedError` then."""
        is_question = isinstance(move, AskApproval)
        kept = replace(
            was.moved(decision.position, self.ledger.now(), elsewhere=True),
            looks=looks_of(watches),
            question=move if isinstance(move, AskApproval) else None,
            why=move.why if isinstance(move, Wait | AskApproval) else "",
        ).stopped(stop)

        def unless_moved(found: Deployment) -> Deployment:
            if found.progression != was or found.request != deployment.request:
                raise _MovedError
            if found.countdown != deployment.countdown:
                raise _MovedError
            version = found.version + 1 if said or counted else found.version
            return replace(found.touch(), version=version, progression=kept, countdown=countdown)

        counted = countdown if countdown != deployment.countdown else None
        said = [*decision.said, *([counted.why] if counted and not counted.state.over else ())]
        if said or counted or not _same(was, kept) or self._to_remind(deployment.id, move):
            for sentence in said:
                log.info("#%s: %s", deployment.number, sentence)
            now = self.ledger.now()
            if said or counted:
                kind = "countdown" if counted else "progressed"
                note = " ".join(said) or f"{counted and counted.state}"
                await self.ledger.amend_as(deployment.id, unless_moved, kind=kind, actor=BOT, at=now, note=note)
            else:
                await self.ledger.amend(deployment.id, unless_moved)
        held = isinstance(move, Wait) and move.until is None
        await self._show(deployment, Phase.PAUSED if is_question or held else Phase.DEPLOYING, kept.why)

    async def _show(self, deployment: Deployment, phase: Phase, why: str) -> None:
        """Bring it into the phase that says what it does now, unless it is there; a repetition finds it there."""
        if deployment.phase is not phase and deployment.phase in _UNDER_WAY:
            note = why if phase is Phase.PAUSED else ""
            key = f"{phase}:{len(deployment.timeline)}"
            await self.ledger.advance(deployment.id, phase, actor=BOT, key=key, note=note)

    def _to_remind(self, deployment_id: DeploymentId, move: Move) -> bool:
        """Whether people are to be reminded, or others asked, since it was shown last."""
        if not isinstance(move, AskApproval):
            self._reminded.pop(deployment_id, None)
            return False
        due = sum(self.ledger.now() >= at for at in (move.nags_at, move.escalates_at))
        shown = self._reminded.get(deployment_id, 0)
        self._reminded[deployment_id] = due
        return due > shown


def _times(move: Move, now: datetime) -> list[datetime]:
    """When the move itself becomes another one."""
    match move:
        case Wait(until=datetime() as until):
            return [until]
        case AskApproval():
            return [at for at in (move.nags_at, move.escalates_at, move.until) if at > now]
        case _:
            return []


def _arrived(
    strategy: Strategy, deployment: Deployment, position: Position, observed: int | None, now: datetime
) -> Position:
    """The position after a change of ours that could not be told to have been made, and was."""
    steps = plan(strategy)
    following = position.step + 1
    if deployment.attempt == 1 or observed is None or not position.begun or following >= len(steps):
        return position
    if observed != steps[following].weight or observed > position.approved:
        return position
    return after(position, SetWeight(step=following, percent=observed), now)


def _kept_back(decision: Decision, was: Progression, why: str) -> Decision:
    """What is to be done while a gate is closed: nothing, and it is decided anew when it opens."""
    position, said = decision.position, decision.said
    if (position.step, position.weight) == (was.position.step, was.position.weight):
        position, said = was.position, ()
    return replace(decision, move=Wait(until=None, why=why), position=position, said=said)


def _same(was: Progression, kept: Progression) -> bool:
    """Whether people would see the same. How old a number is meanwhile is not worth a line in the database."""
    return _ageless(was) == _ageless(kept)


def _ageless(progression: Progression) -> Progression:
    question = progression.question
    if question is not None:
        question = replace(question, why=_AGE.sub("", question.why), refused=_AGE.sub("", question.refused))
    return replace(progression, why=_AGE.sub("", progression.why), question=question)


def _recovered(countdown: Countdown | None, now: datetime) -> Countdown | None:
    """The countdown while checks do not fail: called off, unless its time was up before."""
    if countdown is None or countdown.state is not counting.CountdownState.RUNNING:
        return countdown
    return counting.recovered(counting.fire(countdown, now).countdown, now).countdown


def _overtaken(countdown: Countdown | None, cause: Cause, now: datetime) -> Countdown | None:
    """The countdown when something else ends the rollout: fired where it is rolled back automatically all the same."""
    if countdown is None or countdown.state.over or cause is not Cause.PLATFORM:
        return countdown
    return replace(countdown, state=counting.CountdownState.FIRED, ended=now)


def _counting(decision: Decision, countdown: Countdown, *, failing: bool) -> Decision:
    """What is to be done while a countdown runs, or once it has fired."""
    if countdown.state is counting.CountdownState.FIRED:
        abort = Abort(cause=Cause.CHECKS, why=countdown.why, by=countdown.by)
        return replace(decision, move=abort, position=replace(decision.position, abort=abort))
    if not failing:
        return decision
    wait = Wait(until=countdown.deadline, why=countdown.why)
    return replace(decision, move=wait, position=replace(decision.position, abort=None))


def _order(move: Move) -> Ordered | None:
    """The move in plain values; None for one that only waits."""
    match move:
        case SetWeight(step=step, percent=percent):
            return _ordered("weight", step=step, percent=percent)
        case Promote():
            return _ordered("promote")
        case Apply():
            return _ordered("apply")
        case Done():
            return _ordered("done")
        case Abort(cause=Cause.ELSEWHERE, why=why):
            return _ordered("superseded", note=why)
        case Abort(cause=Cause.PERSON):
            return _ordered("stopped")
        case Abort(why=why):
            return _ordered("failed", note=why)
        case _:
            return None


def _ordered(kind: str, *, step: int = 0, percent: int = 0, note: str = "") -> Ordered:
    return Ordered(kind=kind, step=step, percent=percent, note=note)


def _weight(ordered: Ordered) -> SetWeight:
    return SetWeight(step=ordered["step"], percent=ordered["percent"])


def _is_there(progression: Progression, move: Move) -> bool:
    position = progression.position
    if isinstance(move, Promote):
        return position.promoted
    return isinstance(move, SetWeight) and position.step >= move.step
