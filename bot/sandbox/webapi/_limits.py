"""Slack's rate limits, for tests that want to see the bot live within them. Off unless asked for."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict
    from bot.sandbox.workspace import Workspace

WINDOW = 60.0
PER_MINUTE = {
    1: 1,
    2: 20,
    3: 50,
    4: 100,
}
TIERS = {
    "chat.update": 3,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "chat.scheduleMessage": 3,
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "chat.appendStream": 4,
    "views.open": 4,
    "views.push": 4,
    "views.update": 4,
    "views.publish": 4,
    "conversations.info": 3,
    "conversations.open": 3,
    "conversations.members": 4,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.list": 2,
    "conversations.join": 3,
    "users.info": 4,
    "users.list": 2,
    "users.lookupByEmail": 3,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "files.info": 4,
    "reactions.add": 3,
    "reactions.remove": 2,
    "pins.add": 2,
    "bookmarks.add": 2,
    "team.info": 3,
    "bots.info": 3,
    # Two connections refreshed together must get through, so not the one a minute of tier 1.
    "apps.connections.open": 3,
}
# chat.postMessage: one a second in a channel with short bursts tolerated, several hundred a minute in all.
POSTS_PER_CHANNEL_SECOND, POST_BURST, POSTS_PER_MINUTE = 1.0, 5.0, 300


class RateLimits:
    """Counts calls per method over the last minute, and posts per channel with a leaking bucket."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._calls: dict[str, deque[float]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}

    def exceeded(self, method: str, raw: JsonDict) -> int:
        """Seconds to wait before this call is welcome again; 0 when it is welcome now, and is then counted."""
        now = self._ws.now()
        if method == "chat.postMessage":
            channel = str(raw.get("channel"))
            level, at = self._buckets.get(channel, (0.0, now))
            level = max(0.0, level - (now - at) * POSTS_PER_CHANNEL_SECOND)
            if level + 1 > POST_BURST:
                return max(1, math.ceil((level + 1 - POST_BURST) / POSTS_PER_CHANNEL_SECOND))
            if wait := self._per_minute(method, now, POSTS_PER_MINUTE):
                return wait
            self._buckets[channel] = (level + 1, now)
            return 0
        tier = TIERS.get(method)
        return self._per_minute(method, now, PER_MINUTE[tier]) if tier else 0

    def _per_minute(self, method: str, now: float, most: int) -> int:
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= most:
            return max(1, math.ceil(calls[0] + WINDOW - now))
        calls.append(now)
        return 0
