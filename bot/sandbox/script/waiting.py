"""Finds the deployments that a person's line was about and waits until one of them reaches a state.

It reads the deployment feed and nothing else; it never acts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import StoreError
from bot.domain.lifecycle import TRANSITIONS, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bot.domain.history import Touch
    from bot.sandbox.script.world import DeploymentFeed, Workspace

DEADLINE = 60.0
_POLL = 0.05  # seconds between two looks at the feed when the workspace is silent
_SETTLED = 2.0  # seconds for which a hopeless phase must stand on a deployment that the line did not start
_TAKEN_BACK = frozenset({Phase.ROLLING_BACK.value, Phase.ROLLED_BACK.value})


@dataclass(frozen=True, slots=True)
class Act:
    """What `wait` needs to know of the last person's line.

    `since` is the feed's marker before it, `clicked` the deployment whose message the pressed button belongs to, and
    `answered` says whether the bot has answered this person visibly since.
    """

    user: str
    since: int
    clicked: str | None
    answered: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Reached:
    """How a wait ended. `deployments` maps what was watched to a phrase on where it is; `why` is set on a miss."""

    deployments: dict[str, str]
    why: str | None = None


@dataclass(slots=True)
class _Watched:
    started: bool
    phase: str = ""
    entered: float | None = None  # None: it was so when the wait began
    hopeless_since: float | None = None


@dataclass(slots=True)
class StateWait:
    """One `wait` line. `elapsed` gives the seconds since the play began."""

    feed: DeploymentFeed
    workspace: Workspace
    elapsed: Callable[[], float]
    act: Act
    state: str
    within: float
    _watched: dict[str, _Watched] = field(default_factory=dict)

    async def result(self) -> Reached:
        """Wait. It ends early when no watched deployment can reach the state any more."""
        deadline = self.elapsed() + self.within
        while True:
            seen = self.workspace.seq
            silence = ""
            try:
                ended = await self._check()
            except StoreError as error:  # the bot's database may be away for a moment while the bot is restarted
                ended, silence = None, f" ({error})"
            left = deadline - self.elapsed()
            if ended is None and left <= 0:
                ended = self._missed(f"not within {self.within:g} s{silence}")
            if ended is not None:
                return ended
            with suppress(TimeoutError):
                await self.workspace.wait_for(self._newer(seen), min(_POLL, left))

    async def _check(self) -> Reached | None:
        found = self._candidates(await self.feed.touched(actor=self.act.user, since=self.act.since))
        if not found:
            return None
        for deployment in found:
            if await self.feed.reached(deployment, self.state, since=self.act.since):
                return Reached({deployment: self.state})
        first = not self._watched
        self._watched = {name: self._watched.get(name) or _Watched(started) for name, started in found.items()}
        for deployment, watched in self._watched.items():
            self._note(watched, await self.feed.phase(deployment), first=first)
        if not all(self._hopeless(watched) for watched in self._watched.values()):
            return None
        # It may have passed through the state between the two questions above.
        for deployment in found:
            if await self.feed.reached(deployment, self.state, since=self.act.since):
                return Reached({deployment: self.state})
        return self._missed(f"it cannot become {self.state} any more")

    def _newer(self, seq: int) -> Callable[[], bool]:
        return lambda: self.workspace.seq > seq

    def _candidates(self, touched: Sequence[Touch]) -> dict[str, bool]:
        """The deployments to watch, and whether the line started them; empty until the line has been taken up.

        A rollback is a deployment of its own, so what is rolled back is never what the line started, unless it
        started nothing but a deployment that the platform itself takes back.
        """
        started = {touch.deployment_id for touch in touched if touch.started}
        acted = {touch.deployment_id: False for touch in touched if touch.deployment_id not in started}
        if self.act.clicked is not None and (touched or self.act.answered()):
            acted.setdefault(self.act.clicked, False)
        begun = {touch.deployment_id: True for touch in touched if touch.started}
        return (acted or begun) if self.state in _TAKEN_BACK else (begun or acted)

    def _note(self, watched: _Watched, phase: str, *, first: bool) -> None:
        if phase == watched.phase:
            return
        watched.entered = None if first else self.elapsed()
        watched.phase = phase
        hopeless = phase != self.state and self.state not in _reachable(phase)
        watched.hopeless_since = self.elapsed() if hopeless else None

    def _hopeless(self, watched: _Watched) -> bool:
        """Whether the state is out of reach.

        What the line acted on may have been over long before, while what the line starts is still to be written: for
        those the bot gets a moment.
        """
        if watched.hopeless_since is None:
            return False
        return watched.started or self.elapsed() - watched.hopeless_since >= _SETTLED

    def _missed(self, why: str) -> Reached:
        if not self._watched:
            return Reached({}, f"{why}: the line above has started nothing and acted on nothing")
        return Reached({name: _standing(watched) for name, watched in self._watched.items()}, why)


def _standing(watched: _Watched) -> str:
    since = "since before this wait" if watched.entered is None else f"since {watched.entered:.1f} s"
    return f"{watched.phase} {since}"


def _reachable(phase: str) -> frozenset[str]:
    """Every phase that may still follow."""
    if phase not in set(Phase):
        return frozenset(Phase)
    found: set[Phase] = set()
    open_ends: Iterable[Phase] = TRANSITIONS[Phase(phase)]
    while new := set(open_ends) - found:
        found |= new
        open_ends = {after for one in new for after in TRANSITIONS[one]}
    return frozenset(found)
