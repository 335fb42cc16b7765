"""Tells every deployment in Slack: posts its message once, keeps it true by editing it, and adds the notes.

Slack never decides anything about a deployment: when it is slow, limited or down, what is to be told waits in the
database and is told later. Of several replicas only the one that holds the lease speaks. What to say is the
renderers' work, how to say it that of `telling`; here it is decided whose turn it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import math
import time
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import DeploymentArchitectError, StoreError, UnknownDeployment
from bot.slack.budget import Budget, Pacing
from bot.slack.calls import CallFailed, Calls, Limited, Lost, NotSent, Refused
from bot.slack.slots import NotHolder, Slot
from bot.slack.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.view import DeploymentView
    from bot.ports.deployments import Deployments
    from bot.ports.leases import Leases
    from bot.ports.messages import Messages

log = logging.getLogger(__name__)

LEASE = "publisher"


class Publisher:
    """The one who speaks. `run` until `stop`; `nudge` when a deployment has changed."""

    def __init__(
        self,
        client: AsyncWebClient,
        deployments: Deployments,
        messages: Messages,
        leases: Leases,
        views: Callable[[DeploymentId], Awaitable[DeploymentView]],
        channel_of: Callable[[Deployment], str],
        fallback_channel: Callable[[], str],
        clock: Callable[[], datetime],
        holder: str,
        pacing: Pacing | None = None,
    ) -> None:
        """``client`` must have no retry handlers. ``holder`` names this replica. Channels are ids or ``#names``."""
        self._deployments = deployments
        self._messages = messages
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._pacing = pacing or Pacing()
        self._budget = Budget(self._pacing, self._now)
        self._teller = Teller(
            calls=Calls(client, self._budget, self._pacing, wall=lambda: clock().timestamp()),
            budget=self._budget,
            pacing=self._pacing,
            messages=messages,
            views=views,
            channel_of=channel_of,
            fallback_channel=fallback_channel,
            clock=clock,
            now=self._now,
            holds=lambda: self.holds,
        )
        self._slots: OrderedDict[DeploymentId, Slot] = OrderedDict()
        self._pending: dict[DeploymentId, Slot] = {}
        self._working: dict[asyncio.Task[None], DeploymentId] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._stop_at: float | None = None
        self._held_until = 0.0
        self._renew_at = 0.0
        self._poll_at = 0.0
        self._look_at = 0.0
        self._down_until = 0.0
        self._down_for = 0.0

    @property
    def calls(self) -> Calls:
        """The calls of this replica, for whoever else has something to tell."""
        return self._teller.calls

    @property
    def budget(self) -> Budget:
        """The workspace's budget, shared by everybody who tells something."""
        return self._budget

    @property
    def pacing(self) -> Pacing:
        """The times that it goes by."""
        return self._pacing

    @property
    def holds(self) -> bool:
        """Whether this replica may speak now."""
        return self._now() < self._held_until

    def nudge(self, deployment_id: DeploymentId) -> None:
        """Tell this deployment anew, now. From any thread; a replica that does not hold the lease ignores it."""
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # The loop is closed: the bot has ended, the next start tells it.
            loop.call_soon_threadsafe(self._nudged, deployment_id)

    async def run(self) -> None:
        """Speak until `stop`, or until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while not self._finished():
                await self._hold()
                if self.holds:
                    await self._poll()
                    self._dispatch()
                else:
                    self._pending.clear()
                await self._rest()
        finally:
            self._loop = None
            await self._close()
            self._ended.set()

    async def stop(self) -> None:
        """Tell what is still to be told, but for no longer than a few seconds; then let another replica speak."""
        if self._loop is None:
            return
        self._stop_at = self._now() + self._pacing.stop
        self._poll_at = 0.0
        self._teller.flushing = True
        for slot in self._pending.values():
            slot.ready()
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pacing.stop + self._pacing.poll):
                await self._ended.wait()

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        nothing_left = not self._pending and not self._working and self._poll_at > 0.0
        return nothing_left or not self.holds or self._now() >= self._stop_at

    async def _close(self) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        if self._held_until:
            self._held_until = 0.0
            try:
                await self._leases.release(LEASE, holder=self._holder)
            except StoreError as error:
                log.warning("the publisher's lease is not given back, it ends by itself: %s", error)

    def _now(self) -> float:
        return time.monotonic()

    def _nudged(self, deployment_id: DeploymentId) -> None:
        if self.holds:
            self._want(deployment_id)
            self._wake.set()

    def _want(self, deployment_id: DeploymentId) -> None:
        slot = self._slots.get(deployment_id)
        if slot is None:
            slot = self._slots[deployment_id] = Slot(id=deployment_id)
        self._slots.move_to_end(deployment_id)
        slot.dirty = True
        slot.ready()
        self._pending.setdefault(deployment_id, slot)

    async def _hold(self) -> None:
        """Take or renew the lease, well before it ends."""
        now = self._now()
        if now < self._renew_at:
            return
        held = self.holds
        try:
            ttl = timedelta(seconds=self._pacing.lease)
            if await self._leases.hold(LEASE, holder=self._holder, at=self._clock(), ttl=ttl):
                # Counted from before the question, and a little less than was granted: never longer than others think.
                self._held_until = now + self._pacing.lease * 0.8
                self._renew_at = now + self._pacing.lease * 0.3
            else:
                self._held_until = 0.0
                self._renew_at = now + self._pacing.poll
            if self.holds and not held:
                await self._take_over()
        except StoreError as error:
            log.warning("the publisher's lease cannot be renewed: %s", error)
            self._renew_at = now + self._pacing.poll

    async def _take_over(self) -> None:
        """Look at everything that is under way once: what the replica before us showed may not be true any more."""
        for deployment in await self._deployments.active():
            if len(self._pending) >= self._pacing.pending:
                break
            self._want(deployment.id)

    async def _poll(self) -> None:
        now = self._now()
        if now < self._poll_at:
            return
        self._poll_at = now + self._pacing.poll
        room = self._pacing.pending - len(self._pending)
        if room <= 0:
            return
        try:
            # Those in mind are among the stale ones too, hence as many more.
            stale = await self._messages.stale(limit=self._pacing.pending)
        except StoreError as error:
            log.warning("it cannot be read what is to be told: %s", error)
            return
        for deployment_id in stale:
            if room <= 0:
                break
            if deployment_id not in self._pending:
                self._want(deployment_id)
                room -= 1

    def _dispatch(self) -> None:
        """Give the most urgent of what can be told now to the free workers, and see when to look again."""
        now = self._now()
        self._look_at = self._down_until if self._down_until > now else math.inf
        free = self._pacing.workers - len(self._working)
        if free <= 0 or self._down_until > now:
            return
        opens: dict[tuple[str | None, bool], float] = {}

        def budget(channel: str | None, urgent: bool) -> float:
            if (found := opens.get((channel, urgent))) is None:
                wait = self._budget.edit(urgent=urgent) if channel is None else self._budget.post(channel)
                found = opens[channel, urgent] = now + wait
            return found

        ready = []
        for slot in self._pending.values():
            if slot.busy:
                continue
            at = slot.opens(budget)
            if at <= now:
                ready.append(slot)
            else:
                self._look_at = min(self._look_at, at)
        for slot in heapq.nsmallest(free, ready, key=Slot.rank):
            slot.busy = True
            slot.dirty = False
            task = asyncio.create_task(self._tell(slot), name=f"tell-{slot.id}")
            self._working[task] = slot.id
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        deployment_id = self._working.pop(task)
        slot = self._slots.get(deployment_id)
        if slot is not None:
            slot.busy = False
            if slot.dirty:
                slot.ready()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the publisher stumbled over %s", deployment_id, exc_info=error)
        self._wake.set()

    async def _rest(self) -> None:
        """Wait for a nudge, for an end of work, or for the next thing that is due."""
        now = self._now()
        due = [self._renew_at]
        if self.holds:
            due += [self._poll_at, self._look_at]
        if self._stop_at is not None:
            due.append(self._stop_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.001, min(due) - now)):
                await self._wake.wait()
        self._wake.clear()

    async def _tell(self, slot: Slot) -> None:
        """Tell one deployment, and decide when it is to be looked at again."""
        calls, before = self._teller.calls, self._teller.calls.answers
        try:
            done = await self._teller.tell(slot)
        except (UnknownDeployment, NotHolder):
            done = True
        except Limited as pause:
            # A pause of posting or editing is a gate, and what the other one can do is done meanwhile.
            gated = pause.method in {"chat.update", "chat.postMessage"}
            slot.later(self._now() + (0.0 if gated else pause.seconds))
            return
        except (Lost, NotSent) as trouble:
            self._trouble(slot, trouble)
            return
        except StoreError as error:
            log.warning("%s cannot be told while the database does not answer: %s", slot.id, error)
            slot.later(self._now() + self._pacing.poll)
            return
        except (CallFailed, DeploymentArchitectError) as error:
            self._refused(slot, error)
            return
        except Exception:
            # One deployment that cannot be drawn must not silence the others.
            log.exception("%s cannot be told", slot.id)
            slot.failures += 1
            slot.later(self._now() + min(self._pacing.last_refusal, self._pacing.first_retry * 2**slot.failures))
            return
        if calls.answers > before:
            self._down_for = 0.0
        slot.failures = 0
        if done and not slot.dirty:
            self._pending.pop(slot.id, None)
            self._forget_some()

    def _refused(self, slot: Slot, error: Exception) -> None:
        """Slack does not want it: try again, ever more slowly, while there is hope that somebody mends it."""
        slot.failures += 1
        if slot.failures >= self._pacing.refusals and not (isinstance(error, Refused) and error.until_mended):
            log.error("%s is told no more: %s", slot.id, error)
            slot.given_up = True
            slot.failures = 0
            return
        wait = min(self._pacing.last_refusal, self._pacing.first_retry * 2**slot.failures)
        log.warning("%s is told again in %.0f s: %s", slot.id, wait, error)
        slot.later(self._now() + wait)

    def _trouble(self, slot: Slot, trouble: CallFailed) -> None:
        """Slack is not there: everybody waits a little, longer each time."""
        now = self._now()
        if now >= self._down_until:
            self._down_for = min(self._pacing.last_retry, self._down_for * 2 or self._pacing.first_retry)
            self._down_until = now + self._down_for
            log.warning("Slack does not answer (%s); next try in %.1f s", trouble, self._down_for)
        slot.later(now + self._pacing.settle if isinstance(trouble, Lost) else self._down_until)

    def _forget_some(self) -> None:
        """Keep memory bounded: how often a message was edited is forgotten first of those not touched for longest."""
        while len(self._slots) > self._pacing.pending:
            deployment_id = next((name for name in self._slots if name not in self._pending), None)
            if deployment_id is None:
                return
            del self._slots[deployment_id]


__all__ = ["LEASE", "Pacing", "Publisher"]
