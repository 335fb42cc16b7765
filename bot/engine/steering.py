"""Runs strategies of several steps: asks the domain for the next move, and keeps where it stands in the row.

One step of the workflow ends with one move that changes the target; in between it looks at the checks and waits for
time, people and other replicas. Nothing here changes a target.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from bot.domain.actor import BOT
from bot.domain.analysis import countdown as counting
from bot.domain.analysis.standing import standing_of
from bot.domain.errors import InvalidTransition, ProviderError
from bot.domain.lifecycle import Phase
from bot.domain.progression import Progression, looks_of
from bot.domain.strategy.interpret import next_move
from bot.domain.strategy.moves import Abort, Apply, AskApproval, Cause, Done, Promote, SetWeight, Wait
from bot.domain.strategy.position import after, start
from bot.ports.target import SupportsTrafficWeight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.analysis.countdown import Countdown
    from bot.domain.analysis.watch import Watch
    from bot.domain.catalog import Service
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.strategy.interpret import Decision
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.moves import Move
    from bot.engine.checking import Checking
    from bot.engine.ledger import Ledger
    from bot.engine.rollout import Rollout
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource

log = logging.getLogger(__name__)

_LONGEST_PAUSE = timedelta(seconds=30)
_LOOK_AT_WEIGHT = timedelta(seconds=2)


class Ordered(TypedDict):
    """A move that changes the target, or an end, in plain values that outlive the process."""

    kind: str
    """``weight``, ``promote``, ``apply``, ``done``, ``stopped``, ``failed`` or ``superseded``."""
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
    _weights: dict[DeploymentId, tuple[datetime, int | None]] = field(default_factory=dict)

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
            while True:
                woken.clear()
                deployment = await self.deployments.get(deployment_id)
                if deployment.request and deployment.request.resolution is None:
                    return _ordered("stopped")
                with contextlib.suppress(_MovedError, InvalidTransition):
                    move, look_at = await self._look(deployment, strategy, service)
                    if ordered := _order(move):
                        return ordered
                    pause = (look_at - self.ledger.now()).total_seconds()
                    # Not `wait_for`: on Python 3.11 it swallows a cancellation that meets the event being set.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(max(0.02, min(pause, self.look_again))):
                            await woken.wait()

    async def reached(self, deployment_id: DeploymentId, ordered: Ordered) -> None:
        """Record that a move was made. Made once: a repetition finds the step that it leads to."""
        move: Move = Promote() if ordered["kind"] == "promote" else _weight(ordered)
        now = self.ledger.now()

        def there(found: Deployment) -> Deployment:
            progression = found.progression
            if progression is None or _is_there(progression, move):
                raise _MovedError
            position = after(progression.position, move, now)
            there = replace(progression.moved(position, now), question=None, why="")
            return replace(found.touch(), version=found.version + 1, progression=there)

        words = "promoted" if isinstance(move, Promote) else f"{ordered['percent']} %"
        with contextlib.suppress(_MovedError):
            await self.ledger.amend_as(deployment_id, there, kind="step", actor=BOT, at=now, note=words)

    async def _wanted(self, deployment: Deployment) -> tuple[Strategy, Service]:
        catalog = await self.catalogs.at(deployment.catalog_revision)
        strategy = catalog.strategy(deployment.strategy, deployment.service, deployment.environment)
        return strategy, catalog.service(deployment.service)

    async def _look(self, deployment: Deployment, strategy: Strategy, service: Service) -> tuple[Move, datetime]:
        """What is to be done now, with everything that was seen in the row; and when to look again."""
        was = deployment.progression
        assert was is not None
        now = self.ledger.now()
        watches = was.watches(service.checks)
        if was.position.begun:
            watches = await self.checking.look(deployment, watches, since=was.position.since, before=was.before, at=now)
        weight = await self._weight(deployment, now) if was.position.begun else None
        countdown = deployment.countdown
        armed = countdown is None or countdown.armed
        standing = standing_of(watches, now, weight=was.position.weight)
        decision = next_move(strategy, was.position, standing=standing, at=now, observed=weight, armed=armed)
        failing = isinstance(decision.move, Abort) and decision.move.cause is Cause.CHECKS
        countdown = self._counted(countdown, decision, service, now) if failing else _recovered(countdown, now)
        if failing and countdown is None:  # there was one, and it was called off for good
            decision = next_move(strategy, was.position, standing=standing, at=now, observed=weight, armed=False)
        elif countdown is not None and not (isinstance(decision.move, Abort) and not failing):
            decision = _counting(decision, countdown, failing=failing)
        move = decision.move
        await self._keep(deployment, was, decision, move, watches, countdown or deployment.countdown)
        return move, self._look_at(decision, move, watches, now)

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

    async def _weight(self, deployment: Deployment, now: datetime) -> int | None:
        """What part of the traffic goes there, as the target says; None when it does not tell just now."""
        looked, weight = self._weights.get(deployment.id, (now - _LOOK_AT_WEIGHT, None))
        if now - looked < _LOOK_AT_WEIGHT:
            return None
        target = await self.rollout.target(deployment)
        if not isinstance(target, SupportsTrafficWeight):
            return None
        try:
            weight = await target.weight(release=deployment.release)
        except ProviderError as error:
            log.info("the weight of #%s cannot be read: %s", deployment.number, error.message)
            weight = None
        self._weights[deployment.id] = (now, weight)
        return weight

    async def _keep(
        self,
        deployment: Deployment,
        was: Progression,
        decision: Decision,
        move: Move,
        watches: Sequence[Watch],
        countdown: Countdown | None,
    ) -> None:
        """Write down what was seen and decided, unless somebody has changed it meanwhile; raises `_MovedError` then."""
        is_question = isinstance(move, AskApproval)
        kept = replace(
            was.moved(decision.position, self.ledger.now(), elsewhere=True),
            looks=looks_of(watches),
            question=move if isinstance(move, AskApproval) else None,
            why=move.why if isinstance(move, Wait | AskApproval) else "",
        )

        def unless_moved(found: Deployment) -> Deployment:
            if found.progression != was or found.request != deployment.request:
                raise _MovedError
            if found.countdown != deployment.countdown:
                raise _MovedError
            version = found.version + 1 if decision.said else found.version
            return replace(found.touch(), version=version, progression=kept, countdown=countdown)

        if kept != was or countdown != deployment.countdown or self._to_remind(deployment.id, move):
            for said in decision.said:
                log.info("#%s: %s", deployment.number, said)
            now = self.ledger.now()
            if decision.said:
                note = " ".join(decision.said)
                await self.ledger.amend_as(deployment.id, unless_moved, kind="progressed", actor=BOT, at=now, note=note)
            else:
                await self.ledger.amend(deployment.id, unless_moved)
        held = isinstance(move, Wait) and move.until is None
        phase = Phase.PAUSED if is_question or held else Phase.DEPLOYING
        if deployment.phase is not phase and deployment.phase in {Phase.PAUSED, Phase.DEPLOYING}:
            note = kept.why if phase is Phase.PAUSED else ""
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

    def _look_at(self, decision: Decision, move: Move, watches: Sequence[Watch], now: datetime) -> datetime:
        times = [now + _LONGEST_PAUSE]
        if isinstance(move, Wait) and move.until:
            times.append(move.until)
        if isinstance(move, AskApproval):
            times += [at for at in (move.nags_at, move.escalates_at, move.until) if at > now]
        if decision.position.begun:
            times += [watch.next_look(decision.position.since) for watch in watches]
            times.append(now + _LOOK_AT_WEIGHT)
        return min(times)


def _recovered(countdown: Countdown | None, now: datetime) -> Countdown | None:
    """The countdown while checks do not fail: called off, unless its time was up before."""
    if countdown is None or countdown.state is not counting.CountdownState.RUNNING:
        return countdown
    return counting.recovered(counting.fire(countdown, now).countdown, now).countdown


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
