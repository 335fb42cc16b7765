"""The automatic rollback after checks have failed: counted down where people can stop it, and done at most once.

A value with its deadline in it, so that it goes on after a restart as if nothing had been. Must not roll back or ask
who may do what: it says when it is time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.actor import Actor

SECONDS = 60.0
SNOOZE = timedelta(minutes=10)


class CountdownState(StrEnum):
    """How a countdown stands."""

    RUNNING = "running"
    #: The rollback is to be done, or was. Nothing changes this any more.
    FIRED = "fired"
    #: A person wants no automatic rollback of this deployment.
    CANCELLED = "cancelled"
    #: The checks were well again before the deadline.
    RECOVERED = "recovered"
    #: Something forbids to roll back by itself; a person must look.
    PAGED = "paged"

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self is not CountdownState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Countdown:
    """A rollback that comes unless somebody or something stops it."""

    why: str
    """What failed, one sentence."""
    began: datetime
    deadline: datetime
    state: CountdownState = CountdownState.RUNNING
    by: Actor | None = None
    """Who brought it into its state; None for the bot itself."""
    snoozes: int = 0
    barred: str = ""
    """Why it must not be rolled back by itself, one sentence; empty when it may."""
    ended: datetime | None = None

    def due(self, at: datetime) -> bool:
        """Whether the rollback is to begin at ``at``."""
        return self.state is CountdownState.RUNNING and at >= self.deadline

    @property
    def armed(self) -> bool:
        """Whether failing checks may still end this deployment by themselves."""
        return self.state not in {CountdownState.CANCELLED, CountdownState.PAGED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What became of a countdown, and what to tell who did it."""

    countdown: Countdown
    changed: bool
    sentence: str


def begin(
    why: str, *, at: datetime, seconds: float = SECONDS, barred: str = "", last: Countdown | None = None
) -> Countdown | None:
    """A countdown of ``seconds``; at 0 it is due at once. None if this deployment may have none any more.

    ``last`` is the deployment's countdown before this one: only after one that ended well by itself may another
    begin. ``barred`` says why nothing may be rolled back by itself, such as a migration in between: people are called
    instead, at once.
    """
    if last is not None and last.state is not CountdownState.RECOVERED:
        return None
    began = Countdown(why=why, began=at, deadline=at + timedelta(seconds=max(0.0, seconds)))
    return bar(began, barred, at).countdown if barred else began


def fire(countdown: Countdown, at: datetime) -> Turn:
    """Time passes: it fires at its deadline, and only once."""
    if not countdown.due(at):
        return _nothing(countdown, _state(countdown))
    return _end(countdown, CountdownState.FIRED, at, None, f"Rolling back: {countdown.why}")


def roll_back_now(countdown: Countdown, by: Actor, at: datetime) -> Turn:
    """A person does not want to wait."""
    if countdown.state.over:
        return _nothing(countdown, _state(countdown))
    return _end(countdown, CountdownState.FIRED, at, by, f"Rolling back now, as {by.name} says: {countdown.why}")


def cancel(countdown: Countdown, by: Actor, at: datetime) -> Turn:
    """A person wants no automatic rollback. It counts as long as the rollback has not begun."""
    if countdown.state.over:
        return _nothing(countdown, _state(countdown))
    sentence = f"{by.name} has cancelled the automatic rollback; from now on only people roll this deployment back."
    return _end(countdown, CountdownState.CANCELLED, at, by, sentence)


def snooze(countdown: Countdown, by: Actor, at: datetime, longer: timedelta = SNOOZE) -> Turn:
    """A person needs time. The deadline is ``longer`` from now, and never sooner than it was."""
    if countdown.state.over:
        return _nothing(countdown, _state(countdown))
    deadline = max(countdown.deadline, at + longer)
    after = replace(countdown, deadline=deadline, snoozes=countdown.snoozes + 1)
    minutes = round(longer.total_seconds() / 60)
    sentence = f"{by.name} has put the automatic rollback off by {minutes} min; the checks are still failing."
    return Turn(countdown=after, changed=True, sentence=sentence)


def recovered(countdown: Countdown, at: datetime) -> Turn:
    """The checks are well again. From the deadline on that comes too late."""
    if countdown.state.over or countdown.due(at):
        return _nothing(countdown, _state(countdown))
    sentence = "The checks have recovered; the automatic rollback is called off."
    return _end(countdown, CountdownState.RECOVERED, at, None, sentence)


def bar(countdown: Countdown, why: str, at: datetime) -> Turn:
    """It turns out that it must not be rolled back by itself: a person must look."""
    if countdown.state.over:
        return _nothing(countdown, _state(countdown))
    sentence = f"This is not rolled back automatically: {why} A person must decide."
    return _end(replace(countdown, barred=why), CountdownState.PAGED, at, None, sentence)


def _end(countdown: Countdown, state: CountdownState, at: datetime, by: Actor | None, sentence: str) -> Turn:
    return Turn(countdown=replace(countdown, state=state, by=by, ended=at), changed=True, sentence=sentence)


def _nothing(countdown: Countdown, sentence: str) -> Turn:
    return Turn(countdown=countdown, changed=False, sentence=sentence)


def _state(countdown: Countdown) -> str:
    """Why nothing changed, for who was too late."""
    by = countdown.by
    match countdown.state:
        case CountdownState.FIRED:
            return f"The rollback has begun already, {f'{by.name} asked for it' if by else 'its time was up'}."
        case CountdownState.CANCELLED:
            return f"{by.name if by else 'Somebody'} has cancelled the automatic rollback already."
        case CountdownState.RECOVERED:
            return "The checks have recovered, and the automatic rollback was called off."
        case CountdownState.PAGED:
            return f"This is not rolled back automatically: {countdown.barred} A person must decide."
        case CountdownState.RUNNING:
            return "The automatic rollback is still counted down."
