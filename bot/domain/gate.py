"""Gates that a platform asks at before it sends more traffic to a release: what was allowed there, and what to answer.

Pure. Whatever is not certain is a no: a platform that is told no asks again, one that is told yes has gone on.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

DEFAULT_URL = "http://deployment-architect.deployment-architect.svc"
"""Where the bot is reached in a cluster that it was put into by the manifests that come with it."""
FRESH = timedelta(seconds=20)
"""How old a look at the platform may be for an answer to rest on it."""
SETTLES = timedelta(seconds=30)
"""How long after a yes a look that still shows the weight of before proves nothing: it may have been used since."""


class Hook(StrEnum):
    """What is asked, as the last part of the address says."""

    ROLLOUT = "confirm-rollout"
    TRAFFIC = "confirm-traffic-increase"
    PROMOTION = "confirm-promotion"
    #: A yes means that everything is taken back at once.
    ROLLBACK = "rollback"
    #: Nothing is asked; something is told.
    EVENT = "event"


class Goal(StrEnum):
    """What the operation that holds a gate wants."""

    NOTHING = ""
    WEIGHT = "weight"
    PROMOTE = "promote"
    APPLY = "apply"
    #: To stop the canary beside the stable release.
    BACK = "back"
    #: To make what ran before the stable release again, without analysis.
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One look at the platform."""

    at: datetime
    """When it was begun: everything in it is at least that new."""
    phase: str
    weight: int | None
    """Per cent of the traffic that the canary gets; None when the platform does not tell."""
    digest: str
    """Of the image that the canary is to run."""
    going_on: bool
    """Whether an analysis goes on."""
    begun: bool
    """Whether one has ever gone on since the operation that changed the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is allowed at one place. As it is made, nothing is."""

    key: str
    """The place, as ``namespace/canary@cluster``."""
    held: bool = False
    """Whether anything may be allowed at all."""
    goal: Goal = Goal.NOTHING
    operation: str = ""
    """The operation whose word this is."""
    base: str = ""
    """The operation that changed the template that is analysed; empty while nothing of ours is."""
    digest: str = ""
    """The image that may be analysed."""
    uid: str = ""
    """Of what was changed: one that is made anew under its name has another."""
    percent: int = 0
    """What the operation asked for."""
    ceiling: int = 0
    """The weight up to which the traffic may be increased."""
    promote: bool = False
    rollback: bool = False
    steps: tuple[int, ...] = ()
    """The weights that the platform goes through, rising."""
    before: tuple[str, ...] = ()
    """What the platform's own books said before the change; opaque here."""
    to: str = ""
    """What is to be put back; opaque here."""
    unskip: bool = False
    """Whether the platform was told to leave the analysis out, and must be told otherwise in the end."""
    checksum: str = ""
    """What the platform calls that which it analyses; empty until it first asked for more traffic."""
    granted: int | None = None
    """The weight from which an increase was allowed last."""
    granted_at: datetime | None = None
    past: tuple[tuple[str, str], ...] = ()
    """Operations of before with what their handles say, the newest last."""
    seen: Sighting | None = None
    version: int = 0
    """Counts the changes; 0: it was never written."""

    def closed(self) -> Gate:
        """The same place with nothing allowed; it is remembered what was wanted last."""
        return replace(
            self,
            held=False,
            ceiling=0,
            promote=False,
            rollback=False,
            to="",
            checksum="",
            granted=None,
            granted_at=None,
        )

    @property
    def proven(self) -> bool:
        """Whether ``checksum`` is surely the platform's word: who asks could be anybody who can read the addresses.

        Only a yes to that very word can have led to the traffic that the canary gets.
        """
        return bool(self.checksum) and self.seen is not None and bool(self.seen.weight)

    @property
    def unused(self) -> bool:
        """Whether the first yes of all has led to nothing, long after it was given: then its word proves nothing."""
        if self.granted != 0 or self.granted_at is None or self.seen is None:
            return False
        return self.seen.weight == 0 and self.seen.at >= self.granted_at + SETTLES

    def next_step(self, weight: int) -> int | None:
        """The weight after ``weight``; None: there is none but the promotion."""
        return next((step for step in self.steps if step > weight), None)

    def top(self, ceiling: int) -> int:
        """The highest step up to ``ceiling``; 0 when there is none."""
        return max((step for step in self.steps if step <= ceiling), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered, and what has to be written down before it is."""

    open: bool
    why: str
    """One sentence; the platform writes it into its events."""
    keep: Gate | None = None
    """To be stored first; if that fails the answer is no."""


def answer(gate: Gate, hook: Hook, *, at: datetime, checksum: str) -> Answer:
    """What to answer a platform that asks at ``at`` about something that it calls ``checksum``."""
    if hook is Hook.EVENT:
        return Answer(open=True, why="Heard.")
    if hook is Hook.ROLLBACK:
        return _rollback(gate, checksum)
    if not gate.held:
        return _no("no deployment of ours holds this place")
    if gate.rollback and hook is not Hook.ROLLOUT:
        return _no("it was decided to take it back")
    if (doubt := _doubt(gate, at)) is not None:
        return _no(doubt)
    if hook is Hook.ROLLOUT:
        return Answer(open=True, why="This deployment was approved.")
    if gate.checksum and checksum != gate.checksum and not gate.unused:
        return _no("what is analysed now is not what was approved")
    if hook is Hook.PROMOTION:
        if gate.promote:
            return Answer(open=True, why="The promotion was approved.")
        return _no(f"the promotion is not approved yet; up to {gate.ceiling} % of the traffic is")
    return _traffic(gate, at, checksum)


def _rollback(gate: Gate, checksum: str) -> Answer:
    if not (gate.held and gate.rollback):
        return _no("nobody has decided to roll back")
    if gate.checksum and checksum != gate.checksum:
        return _no("what is analysed now is not what was to be taken back")
    if gate.seen is not None and gate.seen.begun and not gate.seen.going_on:
        return _no("it is over already")
    return Answer(open=True, why="It was decided to take it back.")


def _doubt(gate: Gate, at: datetime) -> str | None:
    """Why nothing can be allowed whatever was approved; None when there is no such reason."""
    seen = gate.seen
    if seen is None:
        return "the bot has not looked at the canary yet"
    age = at - seen.at
    if age > FRESH or age < -FRESH:
        return f"the bot's last look at the canary is {abs(age.total_seconds()):.0f} s old"
    if seen.begun and not seen.going_on and gate.goal is not Goal.RESTORE:
        return "it is over already"
    if not gate.digest or seen.digest != gate.digest:
        return "the Deployment does not have the image that was approved"
    return None


def _traffic(gate: Gate, at: datetime, checksum: str) -> Answer:
    seen = gate.seen
    assert seen is not None
    if gate.promote and gate.ceiling >= 100:
        return Answer(open=True, why="All of the traffic was approved.")
    if seen.weight is None or not seen.going_on:
        return _no("the canary's weight is not known")
    weight = seen.weight
    if gate.granted is not None and gate.granted_at is not None and seen.at < gate.granted_at + SETTLES:
        # Whether the last yes was used is not known yet, so it counts as used.
        used = gate.next_step(gate.granted)
        weight = max(weight, used if used is not None else 100)
    following = gate.next_step(weight)
    if following is None:
        return _no(f"the promotion is not approved yet; up to {gate.ceiling} % of the traffic is")
    if following > gate.ceiling:
        return _no(f"{following} % of the traffic is not approved yet; {gate.ceiling} % is")
    known = "" if gate.unused else gate.checksum
    keep = replace(gate, granted=weight, granted_at=at, checksum=known or checksum)
    return Answer(open=True, why=f"{following} % of the traffic was approved.", keep=keep)


def _no(why: str) -> Answer:
    return Answer(open=False, why=f"Closed: {why}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where platforms ask, and the secret that makes the addresses unguessable."""

    url: str = ""
    """Where the bot is reached from within the cluster; empty: it was not said."""
    secret: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Door(url={self.url!r})"

    @property
    def there(self) -> bool:
        """Whether there is one at all."""
        return bool(self.secret)

    def token(self, key: str) -> str:
        """What one must know to ask about a place."""
        assert self.secret, "a door without a secret has no tokens"
        return hmac.new(self.secret.encode(), key.encode(), hashlib.sha256).hexdigest()

    def path(self, key: str, hook: Hook) -> str:
        """The path of an address."""
        return f"/hooks/flagger/{self.token(key)}/{hook}"

    def address(self, key: str, hook: Hook) -> str:
        """Where a platform asks."""
        return self.url.rstrip("/") + self.path(key, hook)


def place(*, namespace: str, canary: str, cluster: str) -> str:
    """The key of a place."""
    return f"{namespace}/{canary}@{cluster}"
