"""Rings when a deployment's time has come: APScheduler wakes this replica, our own rows say what is due.

Must not decide whether a deployment starts: what it fires is told its schedule's version, and is asked by all gates.
Firing twice, late, or on several replicas at once is harmless; not to fire is what must never happen. So it looks every
few seconds whatever it was told, and what has expired is fired like everything else, for the engine to expire it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # it comes without types

from bot.domain.errors import DeploymentArchitectError
from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.schedule import Schedule
    from bot.ports.schedules import Schedules

log = logging.getLogger(__name__)

_PAGE = 100
_PATIENCE = 60.0
"""Seconds that one firing or one upkeep may take before the next one goes on without it."""
_LAST_WORDS = 5.0
"""Seconds that what is under way may take when the timetable stops."""


@dataclass(kw_only=True)
class Timetable:
    """The timetable of this replica: `start`, `stop`, and `changed` whenever a schedule is set, moved or cancelled."""

    schedules: Schedules
    fire: Callable[[DeploymentId, int], Awaitable[None]]
    """Starts what a deployment's time was for, by the version of its schedule; the same again must change nothing."""
    upkeep: Callable[[], Awaitable[None]]
    """What is to be done every few seconds, one at a time."""
    now: Callable[[], datetime]
    look_every: float = 5.0
    """Seconds between two looks that nobody asked for."""
    upkeep_every: float = 5.0
    """Seconds between two upkeeps; one that takes longer is waited for."""
    _scheduler: AsyncIOScheduler | None = None
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _rings: dict[DeploymentId, datetime] = field(default_factory=dict)
    """The triggers that are set: when each open schedule rings."""
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _read: asyncio.Event = field(default_factory=asyncio.Event)
    _keep_up: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Begin to ring; what became due while nobody looked is fired at once. Nothing happens if it has begun."""
        if self._scheduler is not None:
            return
        # It tells of every ring; what we do then is told by ourselves.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        every = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=every)
        self._scheduler.add_job(self._set, "interval", seconds=self.look_every, args=[self._look])
        self._scheduler.add_job(self._set, "interval", seconds=self.upkeep_every, args=[self._keep_up])
        self._scheduler.start()
        self._stopping.clear()
        self._read.set()
        self._keep_up.set()
        self._workers = [asyncio.create_task(self._watch()), asyncio.create_task(self._maintain())]

    async def stop(self) -> None:
        """Ring no more. What is under way may come to its end, for a few seconds. Nothing happens if it has stopped."""
        scheduler, workers, self._scheduler, self._workers = self._scheduler, self._workers, None, []
        if scheduler is None:
            return
        scheduler.shutdown(wait=False)
        self._stopping.set()
        for event in (self._look, self._keep_up):
            event.set()
        await asyncio.sleep(0)  # the scheduler stops in the loop's next round
        _, late = await asyncio.wait(workers, timeout=_LAST_WORDS)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._rings.clear()

    def changed(self) -> None:
        """Read the schedules again soon: one was set, moved or cancelled. Returns at once."""
        self._read.set()
        self._look.set()

    def heard(self, deployment: Deployment) -> None:
        """Like `changed`, if that is a deployment that waits for its time; one of the ledger's listeners."""
        if deployment.phase is Phase.SCHEDULED:
            self.changed()

    async def _watch(self) -> None:
        """Fire what is due whenever it rings."""
        while not self._stopping.is_set():
            if self._read.is_set():
                self._read.clear()
                await self._guarded(self._set_rings(), "reading the schedules")
            await self._guarded(self._fire_due(), "looking for schedules that are due")
            await self._look.wait()
            self._look.clear()

    async def _maintain(self) -> None:
        while not self._stopping.is_set():
            await self._keep_up.wait()
            self._keep_up.clear()
            if not self._stopping.is_set():
                await self._guarded(self.upkeep(), "the upkeep")

    async def _set_rings(self) -> None:
        """Set one trigger for each schedule that is open and not yet due; what is due is looked for anyway."""
        try:
            waiting = await self.schedules.all()
        except BaseException:
            self._read.set()  # not read: the next look tries again
            raise
        wanted = upcoming(waiting, self.now())
        scheduler = self._scheduler
        if scheduler is None:
            return
        for gone in [name for name in self._rings if name not in wanted]:
            del self._rings[gone]
            if scheduler.get_job(gone) is not None:  # it may just have rung
                scheduler.remove_job(gone)
        for name, at in wanted.items():
            if self._rings.get(name) != at:
                scheduler.add_job(self._set, "date", run_date=at, args=[self._look], id=name, replace_existing=True)
                self._rings[name] = at

    async def _fire_due(self) -> None:
        """Fire everything whose time has come, expired or not, the longest due first."""
        fired: set[tuple[DeploymentId, int]] = set()
        limit = _PAGE
        while True:
            due = await self.schedules.due(before=self.now(), limit=limit)
            for schedule in due:
                known = (schedule.deployment, schedule.version)
                if known not in fired and not self._stopping.is_set():
                    fired.add(known)
                    await self._guarded(self.fire(*known), f"firing {schedule.deployment}")
            if len(due) < limit or self._stopping.is_set():
                return
            limit *= 2  # those in front are not done with yet: look behind them, so that none waits for another

    async def _guarded(self, work: Awaitable[None], what: str) -> None:
        """Do it within its time; whatever goes wrong is logged and ends nothing."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await work
        except DeploymentArchitectError as error:
            log.warning("%s came to nothing, and is tried again: %s", what, error.message)
        except TimeoutError:
            log.warning("%s took longer than %d s, and is tried again", what, _PATIENCE)
        except Exception:
            log.exception("%s broke, and is tried again", what)

    async def _set(self, event: asyncio.Event) -> None:
        """What a trigger does: a coroutine, so that it runs in the loop and not in a thread."""
        event.set()


def upcoming(schedules: Sequence[Schedule], now: datetime) -> dict[DeploymentId, datetime]:
    """When each schedule that is not due yet is to ring."""
    return {schedule.deployment: schedule.at for schedule in schedules if schedule.at > now}
