"""Follows a rollout to its end by watching the Deployments. Reading only; begun again, it tells the same.

Pods are looked at only when nothing moves, and less and less often: a rollout that goes well costs two calls.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads import marks
from integrations._shared.workloads.diagnosis import diagnose
from integrations._shared.workloads.judging import Mine, Stand, View, judge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from bot.domain.errors import ProviderError
    from bot.domain.rollout import Handle
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.diagnosis import Trouble
    from integrations._shared.workloads.workload import Workload

_FOREVER = 2**31 - 1
_MARGIN = 30.0
_LONGEST_LOOK = 30.0
_OUTCOMES = {
    Stand.FAILED: OutcomeKind.FAILED,
    Stand.SUPERSEDED: OutcomeKind.SUPERSEDED,
    Stand.DELETED: OutcomeKind.DELETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How patiently a rollout is followed."""

    deadline: float | None
    """Seconds without progress after which it is given up; never before the cluster gives up."""
    fail_on_trouble: bool
    log_lines: int
    look_after: float = 3.0
    """Seconds without progress after which the pods are looked at; doubles from look to look, whatever moves between:
    what takes its time at every pod is asked about a few times in all."""


@dataclass(slots=True)
class _One:
    """What is known of one Deployment."""

    workload: Workload
    mine: Mine
    seen: bool = False
    now: Object | None = None
    troubles: Sequence[Trouble] = ()
    looked_at: object = None
    unreachable: ProviderError | None = None
    broken: BaseException | None = None

    def view(self) -> View:
        return judge(self.now, self.mine)


@dataclass(slots=True)
class _Clock:
    """Since when nothing moves."""

    loop: asyncio.AbstractEventLoop
    pause: float
    moved: float = 0.0
    look: float = 0.0
    stands: object = None

    def see(self, stands: object) -> None:
        """Begin anew when something moved."""
        if stands != self.stands:
            self.stands = stands
            self.restart()

    def restart(self) -> None:
        self.moved = self.loop.time()
        self.look = self.moved + self.pause

    def looked(self) -> None:
        self.pause = min(self.pause * 2, _LONGEST_LOOK)
        self.look = self.loop.time() + self.pause


@dataclass(slots=True)
class _Follower:
    every: list[_One]
    watching: Watching
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def pump(self, one: _One) -> None:
        """Keep what is known of a Deployment right, for ever."""

        def trouble(error: ProviderError | None) -> None:
            one.unreachable = error
            self.news.set()

        workload = one.workload
        follow = workload.kube.follow(workload.all_path, field=workload.field, trouble=trouble)
        try:
            async with aclosing(follow) as states:
                async for state in states:
                    one.now, one.seen = state.get(workload.name), True
                    self.news.set()
        except Exception as error:  # noqa: BLE001 - raised where the rollout is told, not lost with this one
            one.broken = error
            self.news.set()

    async def tell(self) -> AsyncIterator[Progress | Outcome]:
        clock = _Clock(asyncio.get_running_loop(), self.watching.look_after)
        clock.restart()
        told: Progress | None = None
        while True:
            self.news.clear()
            for one in self.every:
                if one.broken is not None:
                    raise one.broken
            if all(one.seen for one in self.every):
                views = [one.view() for one in self.every]
                outcome = await self._outcome(views)
                if outcome is not None:
                    yield outcome
                    return
                clock.see([(view.stand, view.done, view.total) for view in views])
                progress = self._progress(views)
                if progress != told:
                    told = progress
                    yield progress
                if any(one.unreachable for one in self.every):
                    clock.restart()  # who cannot look cannot say that nothing moves
                elif clock.loop.time() - clock.moved > self._limit():
                    yield self._timed_out(views)
                    return
                elif clock.loop.time() >= clock.look:
                    await self._look(views)
                    clock.looked()
                    continue
            else:
                away = self._unseen()
                if away is not None and away != told:
                    told = away
                    yield away
            await self._wait(clock)

    async def _wait(self, clock: _Clock) -> None:
        until = min(clock.look, clock.moved + self._limit() + 0.01)
        try:
            async with asyncio.timeout_at(until):
                await self.news.wait()
        except TimeoutError:
            if clock.loop.time() >= clock.look and not all(one.seen for one in self.every):
                clock.looked()

    async def _outcome(self, views: list[View]) -> Outcome | None:
        for stand, kind in _OUTCOMES.items():
            for one, view in zip(self.every, views, strict=True):
                if view.stand is stand:
                    return Outcome(kind=kind, message=await self._why(one, view))
        if all(view.stand is Stand.DONE for view in views):
            return Outcome(kind=OutcomeKind.SUCCEEDED, message=_joined(self.every, views))
        if self.watching.fail_on_trouble:
            for one, view in zip(self.every, views, strict=True):
                if view.stand is Stand.TROUBLED:
                    return Outcome(kind=OutcomeKind.FAILED, message=f"{_release(one)}: {view.message}.")
                stuck = [trouble.sentence for trouble in one.troubles if trouble.stuck]
                if stuck and view.stand is Stand.WAITING:
                    return Outcome(kind=OutcomeKind.FAILED, message=f"{_release(one)}: {' '.join(stuck)}")
        return None

    async def _why(self, one: _One, view: View) -> str:
        if view.stand is not Stand.FAILED or one.now is None or one.mine.generation == 0:
            return view.message
        one.troubles = await self._diagnosis(one) or one.troubles
        return " ".join([f"{_release(one)}: {view.message}", *(trouble.sentence for trouble in one.troubles)])

    async def _look(self, views: list[View]) -> None:
        for one, view in zip(self.every, views, strict=True):
            if view.stand in (Stand.WAITING, Stand.TROUBLED) and one.now is not None:
                one.troubles, one.looked_at = await self._diagnosis(one), (view.stand, view.done, view.total)

    async def _diagnosis(self, one: _One) -> list[Trouble]:
        assert one.now is not None
        if raw.count(one.now, "status", "observedGeneration") < raw.count(one.now, "metadata", "generation"):
            return []
        try:
            async with asyncio.timeout(20):
                return await diagnose(one.workload, one.now, log_lines=self.watching.log_lines)
        except (TimeoutError, ProviderRejected):
            return []

    def _progress(self, views: list[View]) -> Progress:
        parts = []
        for one, view in zip(self.every, views, strict=True):
            if one.looked_at != (view.stand, view.done, view.total):
                one.troubles = ()  # it has moved on
            name = f"{one.workload.name}: " if len(self.every) > 1 else ""
            said = f"{name}{view.message}"
            parts.append(" ".join([f"{said}.", *(t.sentence for t in one.troubles)]) if one.troubles else said)
            if one.unreachable is not None:
                parts.append(f"waiting: {one.unreachable.message}")
        done, total = sum(view.done for view in views), sum(view.total for view in views)
        return Progress(done=min(done, total), total=total, message="; ".join(dict.fromkeys(parts)))

    def _unseen(self) -> Progress | None:
        """What keeps us from a first look; None when nothing does."""
        errors = [one.unreachable.message for one in self.every if one.unreachable is not None]
        return Progress(done=0, total=0, message=f"waiting: {errors[0]}") if errors else None

    def _timed_out(self, views: list[View]) -> Outcome:
        said = f"Nothing has moved for {self._limit():g} s: {_joined(self.every, views)}"
        found = [trouble.sentence for one in self.every for trouble in one.troubles]
        return Outcome(kind=OutcomeKind.TIMED_OUT, message=" ".join([f"{said.rstrip('.')}.", *found]))

    def _limit(self) -> float:
        return max(_limit(one.now, self.watching.deadline) for one in self.every)


async def observe(
    workloads: Sequence[Workload], handle: Handle, watching: Watching
) -> AsyncGenerator[Progress | Outcome, None]:
    """How the change with ``handle`` goes; ends with exactly one `Outcome`. Raises `ProviderError`."""
    follower = _Follower(
        [_One(workload, mine) for workload, mine in zip(workloads, read(workloads, handle), strict=True)], watching
    )
    pumps = [asyncio.create_task(follower.pump(one)) for one in follower.every]
    try:
        async for seen in follower.tell():
            yield seen
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


def read(workloads: Sequence[Workload], handle: Handle) -> list[Mine]:
    """What a handle says of each Deployment; raises `ProviderRejected` when it is not one of theirs."""
    segments = handle.generation.split(",")
    found = []
    for workload, segment in zip(workloads, segments, strict=False):
        uid, _, generation = segment.rpartition(":")
        if uid and generation.isascii() and generation.isdecimal() and len(generation) < 19:
            mine = Mine(name=workload.name, operation=handle.operation, uid=uid, generation=int(generation))
            found.append(mine)
    if len(found) != len(workloads) or len(segments) != len(workloads):
        raise ProviderRejected("The catalog has other Deployments than this change was made to.", provider=PROVIDER)
    return found


def _limit(one: Object | None, deadline: float | None) -> float:
    own = raw.count(one, "spec", "progressDeadlineSeconds")
    own = 600 if own in (0, _FOREVER) else own
    return max(own + raw.count(one, "spec", "minReadySeconds") + _MARGIN, deadline or 0.0)


def _release(one: _One) -> str:
    version = marks.version(one.now) if one.now is not None else None
    return f"{version} did not come up" if version else "It did not come up"


def _joined(every: Sequence[_One], views: Sequence[View]) -> str:
    if len(every) == 1:
        return views[0].message
    return " ".join(f"{one.workload.name}: {view.message}" for one, view in zip(every, views, strict=True))
