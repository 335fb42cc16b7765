"""One attempt to bring a release to an environment: a value that only its own methods change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from bot.domain.ago import ago
from bot.domain.errors import InvalidTransition, SomebodyWasFaster
from bot.domain.lifecycle import WAITING, Phase, check_transition
from bot.domain.rollout import NOTHING_RAN

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.actor import Actor
    from bot.domain.analysis.countdown import Countdown
    from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
    from bot.domain.progression import Progression
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Plan, Progress, Running


_WAITED_FOR_OTHERS = frozenset({Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.HELD})


class Resolution(StrEnum):
    """What a person can decide for a deployment that needs attention."""

    #: Do the step again under a new operation id.
    RETRY = "retry"
    #: Take it that the release is there and healthy.
    MARK_SUCCEEDED = "mark_succeeded"
    #: Bring back what ran before.
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The instant at which a deployment came into a phase, and by whom."""

    phase: Phase
    at: datetime
    actor: Actor
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A person's word to a deployment that is under way; the deployment obeys it at its next step."""

    actor: Actor
    at: datetime
    resolution: Resolution | None = None
    """None asks to abort."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The time that somebody asked for. Once it waits for it, `bot.ports.schedules` has the one that counts."""

    at: datetime
    expires: datetime
    """From then on it is too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What keeps a deployment from going on before anything was changed."""

    gate: str
    """The name of the gate that said no, as in `bot.domain.policy.gates`."""
    sentence: str
    """Why, for people; names the lock, the freeze or the window."""
    until: datetime | None = None
    """When it ends by itself; None when a person must do something."""
    resumes: bool = False
    """Goes on by itself as soon as the gate lets it; otherwise a person starts it again."""
    expires: datetime | None = None
    """When it has waited long enough, and expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment as it is at one moment."""

    id: DeploymentId
    number: int
    """What people call it: #42. Rises by one; the order in which requests were accepted."""
    service: ServiceName
    environment: EnvironmentName
    scope: LockScope
    release: Release
    strategy: str = "rolling"
    reason: str = ""
    """Why, in the requester's words."""
    requester: Actor
    channel: str
    """Where it is told."""
    catalog_revision: str
    """The configuration that it began with and keeps."""
    origin: str
    """The human act that asked for it, such as a Slack trigger id: an act delivered twice is one deployment."""
    rollback_of: DeploymentId | None = None
    """The deployment that this one takes back."""
    force: bool = False
    """Deploy although the very same release already runs."""
    wish: Wish | None = None
    """When it is to start, if not as soon as it can."""
    waits: bool = False
    """Asked to wait for a lock, a freeze or a window to end, and to go on by itself then."""
    hurried: bool = False
    """Goes before the others in the queue: somebody with the right to say so did."""
    hold: Hold | None = None
    """Only while it is held."""

    phase: Phase = Phase.REQUESTED
    version: int = 1
    """Rises with every transition and every person's word; what compare-and-swap compares."""
    view: int = 1
    """Rises with every change that people can see."""
    timeline: tuple[Moment, ...] = ()
    note: str = ""
    """Why it is in this phase, one sentence."""
    plan: Plan | None = None
    previous: Running | None = None
    """What ran when the change began. Only meaningful once ``previous_recorded``."""
    previous_recorded: bool = False
    handle: Handle | None = None
    attempt: int = 1
    """Rises with every Retry; part of the operation id."""
    progress: Progress | None = None
    progression: Progression | None = None
    """How far a strategy of several steps has come; None for one that the target does in one go."""
    countdown: Countdown | None = None
    """An automatic rollback that is counted down, or was."""
    request: Request | None = None
    turn: str | None = None
    """The turn of the environment's queue that runs it."""

    @property
    def requested_at(self) -> datetime:
        """When it was asked for."""
        return self.timeline[0].at

    @property
    def since(self) -> datetime:
        """When it came into the phase that it is in."""
        return self.timeline[-1].at

    @property
    def finished_at(self) -> datetime | None:
        """When its own work was over; None while it goes on."""
        for moment in self.timeline:
            if moment.phase.final:
                return moment.at
        return None

    def reached(self, phase: Phase) -> Moment | None:
        """The first moment at which it was in ``phase``."""
        return next((moment for moment in self.timeline if moment.phase is phase), None)

    @property
    def taken_up_at(self) -> datetime:
        """From when on it was worked on, whatever people, gates or a time had let it wait for before.

        How long a deployment took is counted from here; one that never got that far, from the request.
        """
        went_on = [
            after.at
            for before, after in pairwise(self.timeline)
            if before.phase in _WAITED_FOR_OTHERS and not after.phase.final and after.phase not in _WAITED_FOR_OTHERS
        ]
        return went_on[-1] if went_on else self.requested_at

    @property
    def ran_nothing(self) -> bool:
        """Whether it has succeeded where no instance is wanted, so that nothing could be checked."""
        succeeded = self.reached(Phase.SUCCEEDED)
        return succeeded is not None and succeeded.note == NOTHING_RAN

    @property
    def asked_at(self) -> datetime | None:
        """When people were last asked to approve it."""
        asked = [moment.at for moment in self.timeline if moment.phase is Phase.AWAITING_APPROVAL]
        return asked[-1] if asked else None

    @property
    def times_queued(self) -> int:
        """How often it has taken a place in the queue."""
        return sum(moment.phase is Phase.QUEUED for moment in self.timeline)

    @property
    def is_rollback(self) -> bool:
        """Whether it takes another deployment back."""
        return self.rollback_of is not None

    @property
    def begun(self) -> bool:
        """Whether the first of several steps is made, so that only what reaches one half way can stop the next."""
        return self.progression is not None and self.progression.position.begun

    def advance(self, phase: Phase, *, actor: Actor, at: datetime, note: str = "") -> Deployment:
        """The deployment in its next phase; raises `InvalidTransition` if that phase cannot follow."""
        check_transition(self.phase, phase)
        moment = Moment(phase=phase, at=at, actor=actor, note=note)
        return replace(
            self,
            phase=phase,
            note=note,
            version=self.version + 1,
            view=self.view + 1,
            timeline=(*self.timeline, moment),
            progress=None,
            hold=self.hold if phase is Phase.HELD else None,
            request=self.request if phase.holds_lock and phase is not Phase.NEEDS_ATTENTION else None,
        )

    def evolve(
        self,
        *,
        plan: Plan | None = None,
        handle: Handle | None = None,
        progress: Progress | None = None,
        turn: str | None = None,
        attempt: int | None = None,
    ) -> Deployment:
        """The deployment with new facts and the phase unchanged; what is None stays."""
        return replace(
            self,
            view=self.view + 1,
            plan=plan or self.plan,
            handle=handle or self.handle,
            progress=progress or self.progress,
            turn=turn or self.turn,
            attempt=attempt or self.attempt,
        )

    def record_previous(self, running: Running | None) -> Deployment:
        """The deployment that knows what ran before it. Recorded once; a repeat changes nothing."""
        if self.previous_recorded:
            return self
        return replace(self, view=self.view + 1, previous=running, previous_recorded=True)

    def touch(self) -> Deployment:
        """The same deployment, to be shown anew because something around it changed."""
        return replace(self, view=self.view + 1)

    def ask(self, request: Request) -> Deployment:
        """The deployment with a person's word to it; raises if it cannot be obeyed or somebody else was first."""
        what = "abort it" if request.resolution is None else request.resolution.replace("_", " ")
        if self.request:
            by = self.request
            asked = "abort it" if by.resolution is None else by.resolution.replace("_", " ")
            who = "You have" if by.actor.same_as(request.actor) else f"{by.actor.name} has"
            raise SomebodyWasFaster(f"{who} already asked to {asked}, {ago(by.at, request.at)}.")
        if self.phase in WAITING or self.phase.final:
            raise InvalidTransition(f"#{self.number} is {self.phase.words}; nobody can {what}.")
        if request.resolution is not None and self.phase is not Phase.NEEDS_ATTENTION:
            raise InvalidTransition(f"#{self.number} is {self.phase.words} and needs no decision.")
        return replace(self, request=request, version=self.version + 1, view=self.view + 1)

    def obeyed(self) -> Deployment:
        """The deployment once the person's word has been acted on."""
        return replace(self, request=None, view=self.view + 1)
