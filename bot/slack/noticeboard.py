"""Tells what is to be told apart from the messages of deployments: to one person directly, or to a channel. Once.

Notices wait in the database until Slack has taken them, so that none is lost while it is down; only the replica that
holds the publisher's lease speaks. What is told is the renderers' work, and whom it is told to the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import StoreError
from bot.slack.calls import BadContent, CallFailed, Gone, Limited, Lost, NotSent, Refused, Whereabouts
from bot.slack.render.message import explained
from bot.slack.render.notices import notice as drawn
from bot.slack.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.notice import Notice
    from bot.ports.notices import Notices
    from bot.slack.budget import Budget, Pacing
    from bot.slack.calls import Calls
    from bot.slack.render.message import Message

log = logging.getLogger(__name__)

_WAITS_FOR_THREAD = 600.0
"""Seconds for which a notice waits for the one in whose thread it is told."""


class _Posted(NamedTuple):
    channel: str
    ts: str


@dataclass(slots=True)
class _Trying:
    """What is remembered of a notice that could not be told yet. Losing it costs a look, never truth."""

    not_before: float = 0.0
    refusals: int = 0
    lost: float | None = None
    """When an answer failed to come; seconds since the epoch."""
    absent: bool = False
    """It was tried and is certainly not there: no need to look for it."""
    elsewhere: bool = False
    """It is told in the fallback channel, because nothing can be posted where it should be."""


@dataclass(kw_only=True)
class Noticeboard:
    """Posts notices. `run` until cancelled; `nudge` when there may be a new one."""

    notices: Notices
    calls: Calls
    budget: Budget
    pacing: Pacing
    fallback_channel: Callable[[], str]
    """Where a notice is told whose channel cannot be posted to."""
    clock: Callable[[], datetime]
    holds: Callable[[], bool]
    """Whether this replica may speak now."""
    _trying: dict[str, _Trying] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def nudge(self) -> None:
        """Look at once for what is new."""
        self._wake.set()

    async def run(self) -> None:
        """Tell what there is to tell, for ever."""
        while True:
            wait = self.pacing.poll
            if not self.holds():
                self._trying.clear()  # whoever speaks meanwhile may post what was not there when we looked
            else:
                try:
                    wait = min(wait, await self._look())
                except StoreError as error:
                    log.warning("it cannot be read what is to be told: %s", error)
                except Exception:
                    # One notice that cannot be told must not silence the others for ever.
                    log.exception("the noticeboard stumbled")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.01)):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> float:
        """Tell everything that can be told now; seconds until the next can be."""
        untold = await self.notices.untold()
        self._trying = {found.key: self._trying[found.key] for found in untold if found.key in self._trying}
        next_in = self.pacing.poll
        for found in untold:
            trying = self._trying.setdefault(found.key, _Trying())
            if trying.not_before <= self._now() and self.holds():
                await self._tell(found, trying)
            next_in = min(next_in, max(0.0, trying.not_before - self._now()))
        return next_in

    async def _tell(self, found: Notice, trying: _Trying) -> None:
        """Tell one, or remember when to try again."""
        try:
            posted = await self._post(found, trying)
        except Limited as pause:
            trying.not_before = self._now() + pause.seconds
        except Lost:
            trying.lost, trying.absent = self.clock().timestamp(), False
            trying.not_before = self._now() + self.pacing.settle
        except NotSent:
            trying.absent = True
            trying.not_before = self._now() + self.pacing.last_retry
        except (Gone, BadContent, Refused) as refusal:
            trying.absent = True
            await self._refused(found, trying, refusal)
        except StoreError as error:
            log.warning("a notice cannot be told while the database does not answer: %s", error)
            trying.not_before = self._now() + self.pacing.poll
        except Exception:
            log.exception("the notice %s cannot be told", found.key)
            trying.not_before = self._now() + self.pacing.last_refusal
        else:
            if posted is not None:
                await self.notices.told(found.key, channel=posted.channel, ts=posted.ts)

    async def _post(self, found: Notice, trying: _Trying) -> _Posted | None:
        """Where it is, posted now if it is not there; None while it waits for its turn."""
        channel, thread = await self._channel(found, trying), None
        if parent := found.facts.get("thread"):
            above = await self.notices.where(parent)
            if above is None and self._may_come(found):
                trying.not_before = self._now() + min(1.0, self.pacing.poll)
                return None
            if above and above[1] and not trying.elsewhere:
                channel, thread = above
        message = self._drawn(found, trying)
        first = await self.notices.trying(found.key, at=self.clock())
        if first is not None and not trying.absent:
            since = first.timestamp() - self.pacing.look_back
            where = Whereabouts(channel=channel, thread=thread, since=since, lost=trying.lost or first.timestamp())
            key = str(message.metadata["event_payload"]["key"])
            if ts := await self.calls.find(where, "", key):
                return _Posted(channel, ts)
            trying.absent = True
        if wait := self.budget.post(channel):
            trying.not_before = self._now() + wait
            trying.absent = True
            return None
        if not self.holds():
            return None
        self.budget.posted(channel)
        trying.absent = False
        return _Posted(*await self.calls.post(channel, message, thread=thread))

    def _may_come(self, found: Notice) -> bool:
        """Whether what it is to be told below of may still be told; nothing waits for ever."""
        return (self.clock() - found.at).total_seconds() < _WAITS_FOR_THREAD

    async def _channel(self, found: Notice, trying: _Trying) -> str:
        kind, _, name = found.to.partition(":")
        if trying.elsewhere or not name:
            return await self.calls.channel_id(self.fallback_channel())
        return await (self.calls.direct(name) if kind == "user" else self.calls.channel_id(name))

    def _drawn(self, found: Notice, trying: _Trying) -> Message:
        message = drawn(found)
        if not trying.elsewhere:
            return message
        kind, _, name = found.to.partition(":")
        whom = f"<@{escape(name, 40)}>" if kind == "user" else escape(name, 80)
        return explained(message, f"! Told here because nothing can be posted to {whom}.")

    async def _refused(self, found: Notice, trying: _Trying, refusal: CallFailed) -> None:
        """Slack does not want it there: tell it in the fallback channel, or leave it when that is refused too."""
        if isinstance(refusal, Refused) and refusal.until_mended:
            trying.refusals += 1
            wait = min(self.pacing.last_refusal, self.pacing.first_retry * 2**trying.refusals)
            log.warning("a notice is told again in %.0f s: %s", wait, refusal)
            trying.not_before = self._now() + wait
        elif not trying.elsewhere:
            log.warning("the notice %s is told in the fallback channel: %s", found.key, refusal)
            trying.elsewhere = True
        else:
            log.error("the notice %s is told nowhere: %s", found.key, refusal)
            await self.notices.told(found.key, channel=found.to, ts="")

    def _now(self) -> float:
        return time.monotonic()
