"""How often the publisher may speak: one budget for the workspace, shared by every message.

Pure arithmetic over a clock that is handed in; it neither waits nor calls anybody.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHANNELS_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """Every time and number that the publisher goes by; seconds unless said otherwise."""

    window: float = 60.0
    """What "a minute" is."""
    edits: int = 40
    """Edits of all messages in a window; Slack takes about 50."""
    reserve: int = 8
    """Edits beyond those, for changes of phase and for ends."""
    edit_burst: int = 15
    """Edits at once, before they are spread over the window."""
    first_spacing: float = 2.0
    last_spacing: float = 10.0
    """Between two edits of one message: grows from the first to the last…"""
    growth: float = 0.5
    """…by this much with each edit."""
    phase_spacing: float = 0.5
    """Between two edits of one message when its phase changes fast. An end waits for nothing."""
    posts_a_second: float = 1.0
    """New messages in one channel."""
    post_burst: int = 4
    looks: int = 40
    """Look-ups of lost messages in a window."""
    poll: float = 1.0
    """Between two looks for what nobody nudged us about."""
    lease: float = 10.0
    call: float = 15.0
    """One call may take that long."""
    settle: float = 1.0
    """After a lost answer, before we look whether the message is there."""
    look_back: float = 60.0
    """Before the first try, for clocks that differ."""
    first_retry: float = 0.5
    last_retry: float = 5.0
    """Between tries while Slack is down."""
    last_refusal: float = 60.0
    """Between tries while Slack refuses us, for example for a revoked token."""
    refusals: int = 8
    """Refusals for an unknown reason, after which a message is taken to its fallback or given up."""
    stop: float = 5.0
    """For the last edits when the bot stops."""
    workers: int = 8
    pending: int = 5_000
    """Deployments kept in mind at once; the others wait in the database."""

    def spacing(self, edits: int) -> float:
        """Before the next edit of a message that was edited ``edits`` times."""
        return min(self.last_spacing, self.first_spacing + self.growth * edits)


class Window:
    """At most so many in any window of time."""

    def __init__(self, window: float, now: Callable[[], float]) -> None:
        self._window = window
        self._now = now
        self._taken: deque[float] = deque()

    def wait(self, most: int) -> float:
        """Seconds until one more keeps within ``most``; 0 when it does now."""
        now = self._now()
        while self._taken and self._taken[0] <= now - self._window:
            self._taken.popleft()
        if len(self._taken) < most:
            return 0.0
        return self._taken[len(self._taken) - most] + self._window - now

    def take(self) -> None:
        """Count one."""
        self._taken.append(self._now())


class Bucket:
    """So many at once, then one at a time at a steady rate."""

    def __init__(self, *, size: float, rate: float, now: Callable[[], float]) -> None:
        self._size, self._rate, self._now = size, rate, now
        self._left, self._at = size, now()

    def wait(self) -> float:
        """Seconds until one may be taken; 0 when it may now."""
        now = self._now()
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._left >= 1.0 else (1.0 - self._left) / self._rate

    def take(self) -> None:
        """Take one, allowed or not; what was taken too much is waited for later."""
        self.wait()
        self._left -= 1.0


class Budget:
    """The workspace's budget for edits, posts and look-ups, and the pauses that Slack asks for."""

    def __init__(self, pacing: Pacing, now: Callable[[], float]) -> None:
        self._pacing = pacing
        self._now = now
        self._edits = Window(pacing.window, now)
        self._spread = Bucket(size=pacing.edit_burst, rate=pacing.edits / pacing.window, now=now)
        self._looks = Window(pacing.window, now)
        self._posts: dict[str, Bucket] = {}
        self._paused: dict[str, float] = {}

    def edit(self, *, urgent: bool) -> float:
        """Seconds until a message may be edited; urgent ones may use the reserve."""
        paused = self.paused("chat.update")
        if urgent:
            return max(paused, self._edits.wait(self._pacing.edits + self._pacing.reserve))
        return max(paused, self._edits.wait(self._pacing.edits), self._spread.wait())

    def edited(self) -> None:
        """Count an edit."""
        self._edits.take()
        self._spread.take()

    def post(self, channel: str) -> float:
        """Seconds until something new may be posted there."""
        bucket = self._posts.get(channel)
        return max(self.paused("chat.postMessage"), bucket.wait() if bucket else 0.0)

    def posted(self, channel: str) -> None:
        """Count a post."""
        bucket = self._posts.pop(channel, None)
        if bucket is None:
            size, rate = self._pacing.post_burst, self._pacing.posts_a_second
            bucket = Bucket(size=size, rate=rate, now=self._now)
            if len(self._posts) >= _CHANNELS_KEPT:
                del self._posts[next(iter(self._posts))]
        self._posts[channel] = bucket
        bucket.take()

    def look(self) -> float:
        """Seconds until we may look for a lost message."""
        return self._looks.wait(self._pacing.looks)

    def looked(self) -> None:
        """Count a look-up."""
        self._looks.take()

    def pause(self, method: str, seconds: float) -> None:
        """Leave a method alone for as long as Slack asks."""
        self._paused[method] = max(self._paused.get(method, 0.0), self._now() + seconds)

    def paused(self, method: str) -> float:
        """Seconds for which a method is still to be left alone."""
        return max(0.0, self._paused.get(method, 0.0) - self._now())
