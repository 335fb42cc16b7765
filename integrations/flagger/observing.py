"""Follows a change to its end: woken by the Canary, and looking by itself all the time, since a gate opens only on a
fresh look.

Reading, but for what a way back leaves to be done once Flagger has let go: the template of before, and closed gates.
Each of those is done once, and found done by whoever begins again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError
from bot.domain.gate import Goal
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from integrations._shared.workloads import marks
from integrations._shared.workloads.diagnosis import diagnose
from integrations.flagger import driving, ticket
from integrations.flagger.canary import TERMINAL
from integrations.flagger.judging import Stand, View, judge
from integrations.flagger.place import rolled_out

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.gate import Sighting
    from bot.domain.rollout import Handle
    from integrations.flagger.place import Place, Seen
    from integrations.flagger.ticket import Ticket

_TICK = 10.0
"""Seconds between two looks of Flagger's at all of its Canaries."""
_OUTCOMES = {
    Stand.DONE: OutcomeKind.SUCCEEDED,
    Stand.FAILED: OutcomeKind.FAILED,
    Stand.SUPERSEDED: OutcomeKind.SUPERSEDED,
    Stand.DELETED: OutcomeKind.DELETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often, and how long."""

    beat: float = 5.0
    """Seconds between two looks when nothing happens; well below what a gate takes for fresh."""
    pickup: float | None = None
    """Seconds that Flagger may take to begin; None: three of its rounds."""
    linger: float | None = None
    """Seconds that it is watched after a way back that it may not have seen; None: two rounds."""
    look_after: float = 10.0
    """Seconds for which pods may come up before they are looked at; doubles from look to look."""


@dataclass(slots=True)
class _Follower:
    place: Place
    handle: Handle
    ticket: Ticket
    pace: Pace
    news: asyncio.Event = field(default_factory=asyncio.Event)
    broken: BaseException | None = None
    since: float = 0.0
    put_back_at: float | None = None
    look_at: float = 0.0
    pause: float = 0.0
    troubles: str = ""
    sighting: Sighting | None = None
    told: Sighting | None = None
    """What the gate knows."""

    async def pump(self) -> None:
        """Wake us when the Canary changes."""
        try:
            async with aclosing(self.place.kube.follow(self.place.all_path, field=self.place.field)) as states:
                async for _ in states:
                    self.news.set()
        except Exception as error:  # noqa: BLE001 - raised where the change is told, not lost with this one
            self.broken = error
            self.news.set()

    async def tell(self) -> AsyncGenerator[Progress | Outcome, None]:
        loop = asyncio.get_running_loop()
        self.since, self.pause = loop.time(), self.pace.look_after
        self.look_at = self.since + self.pause
        gate = await self.place.gate()
        self.sighting = gate.seen if gate.operation == self.handle.operation else None
        told: Progress | None = None
        while True:
            self.news.clear()
            if self.broken is not None:
                raise self.broken
            try:
                view, done = await self._look()
            except ProviderError as error:
                if not error.retryable:
                    raise
                progress = Progress(done=0, total=0, message=f"waiting: {error.message}")
            else:
                if done:
                    yield await self._outcome(view)
                    return
                message = f"{view.message}. {self.troubles}" if self.troubles else view.message
                # Flagger counts in per cent of the traffic, which its words tell; the numbers would be of instances.
                progress = Progress(done=0, total=0, message=message)
            if progress != told:
                told = progress
                yield progress
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pace.beat):
                    await self.news.wait()

    async def _look(self) -> tuple[View, bool]:
        """How it stands, and whether that is the end."""
        place, now = self.place, asyncio.get_running_loop().time()
        seen = await place.look(whole=self.ticket.goal is not Goal.WEIGHT)
        self.sighting = place.sighting(seen, self.sighting, self.ticket)
        self.told = await place.saw(self.sighting, told=self.told)
        view = judge(place, self.ticket, seen, begun=self.sighting.begun)
        if self.ticket.goal is Goal.BACK and seen.one is not None and self.ticket.base not in marks.history(seen.one):
            latest = (await place.gate()).operation
            if latest != self.handle.operation:
                message = f"Another change, {latest}, took its place on {place.workload.name}."
                return View(stand=Stand.SUPERSEDED, message=message), True
            if view.stand is Stand.WAITING:
                await self._take_back(seen)
        await self._diagnose(seen, now)
        if view.stand is Stand.DONE and self._lingers(now):
            return View(stand=Stand.WAITING, message="waiting whether Flagger still takes it up"), False
        if view.stand is Stand.UNSEEN and now - self.since > self._pickup(seen):
            message = (
                f"Flagger did not pick it up within {self._pickup(seen):g} s: {view.message}. Either the Canary is "
                "suspended, or Flagger does not run or does not look at this namespace, or the template is one that it "
                "has analysed before."
            )
            return View(stand=Stand.FAILED, message=message), True
        return view, view.stand in _OUTCOMES

    async def _take_back(self, seen: Seen) -> None:
        """Put the template back as soon as that does not keep the traffic with the canary any longer.

        While its pods are up, Flagger's own rollback takes the traffic away at once; while they are not, Flagger asks
        for no rollback before they are.
        """
        canary, one = seen.canary, seen.one
        if canary is None or one is None:
            return
        if (canary.phase in TERMINAL or not rolled_out(one)) and self.ticket.base not in marks.history(one):
            await driving.put_back(self.place, one, operation=self.handle.operation)
            self.news.set()

    def _lingers(self, now: float) -> bool:
        if self.ticket.goal is not Goal.BACK or self.ticket.before[0] != ticket.UNSEEN:
            return False
        if self.sighting is not None and self.sighting.begun:
            return False  # it took it up, and has let go of it again
        if self.put_back_at is None:
            self.put_back_at = now
        wanted = self.pace.linger if self.pace.linger is not None else 2 * _TICK
        return now - self.put_back_at < wanted

    def _pickup(self, seen: Seen) -> float:
        if self.pace.pickup is not None:
            return self.pace.pickup
        return 3 * (_TICK + (seen.canary.interval if seen.canary is not None else 0.0))

    async def _diagnose(self, seen: Seen, now: float) -> None:
        """What keeps the canary's pods from coming up, looked for less and less often."""
        one, canary = seen.one, seen.canary
        if one is None or canary is None or not canary.going_on or rolled_out(one):
            self.troubles, self.pause = "", self.pace.look_after
            self.look_at = now + self.pause
        elif now >= self.look_at:
            self.pause = min(self.pause * 2, 60.0)
            self.look_at = now + self.pause
            found = await diagnose(self.place.workload, one, log_lines=self.place.options.log_lines)
            self.troubles = " ".join(trouble.sentence for trouble in found)

    async def _outcome(self, view: View) -> Outcome:
        """The end. A step that was reached keeps its gate as it is; after all other ends nothing more is allowed."""
        message = view.message
        if view.stand is Stand.FAILED and self.ticket.goal is not Goal.BACK:
            words = await self.place.last_words()
            message = " ".join(filter(None, [message, f"It said: {words}." if words else "", self.troubles]))
        if not (view.stand is Stand.DONE and self.ticket.goal is Goal.WEIGHT):
            await driving.finish(self.place, operation=self.handle.operation)
        return Outcome(kind=_OUTCOMES[view.stand], message=message)


async def observe(place: Place, handle: Handle, pace: Pace) -> AsyncGenerator[Progress | Outcome, None]:
    """How the change with ``handle`` goes; ends with exactly one `Outcome`. Raises `ProviderError`."""
    follower = _Follower(place, handle, ticket.read(handle), pace)
    pump = asyncio.create_task(follower.pump())
    try:
        async for seen in follower.tell():
            yield seen
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
