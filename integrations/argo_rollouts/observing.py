"""Follows an operation on a Rollout to its end. Reading only; begun again, it tells the same."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads.diagnosis import diagnose
from integrations._shared.workloads.judging import Stand
from integrations.argo_rollouts import steps
from integrations.argo_rollouts.judging import Mine, judge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.errors import ProviderError
    from bot.domain.rollout import Handle
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.judging import View
    from integrations.argo_rollouts.workload import RolloutWorkload

_MARGIN = 30.0
_OUTCOMES = {
    Stand.DONE: OutcomeKind.SUCCEEDED,
    Stand.FAILED: OutcomeKind.FAILED,
    Stand.TROUBLED: OutcomeKind.ROLLED_BACK_BY_PLATFORM,
    Stand.SUPERSEDED: OutcomeKind.SUPERSEDED,
    Stand.DELETED: OutcomeKind.DELETED,
}


@dataclass(slots=True)
class _Known:
    """What is known of the Rollout."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    seen: bool = False
    one: Object | None = None
    holder: Object | None = None
    unreachable: ProviderError | None = None
    broken: BaseException | None = None

    async def pump(self, workload: RolloutWorkload) -> None:
        """Keep it right, for ever."""

        def trouble(error: ProviderError | None) -> None:
            self.unreachable = error
            self.news.set()

        try:
            follow = workload.kube.follow(workload.all_path, field=workload.field, trouble=trouble)
            async with aclosing(follow) as states:
                async for state in states:
                    one = state.get(workload.name)
                    apart = one is not None and workload.holder(one) is not workload
                    self.holder = await workload.holder(one).read() if one is not None and apart else one
                    self.one, self.seen = one, True
                    self.news.set()
        except Exception as error:  # noqa: BLE001 - raised where the operation is told, not lost with this
            self.broken = error
            self.news.set()


async def observe(
    workload: RolloutWorkload, handle: Handle, *, deadline: float | None, log_lines: int
) -> AsyncGenerator[Progress | Outcome, None]:
    """How the operation with ``handle`` goes; ends with exactly one `Outcome`. Raises `ProviderError`."""
    mine, known = _mine(workload, handle), _Known()
    pump = asyncio.create_task(known.pump(workload))
    loop = asyncio.get_running_loop()
    moved, stood, told = loop.time(), None, None
    try:
        while True:
            known.news.clear()
            if known.broken is not None:
                raise known.broken
            limit = _limit(known.one, deadline)
            if known.seen:
                view = judge(known.one, known.holder, mine)
                if view.stand is Stand.FAILED and known.one is not None and steps.undecided(known.one):
                    # No verdict on the release, so it is neither let on nor taken back before people have said so.
                    raise ProviderRejected(f"{view.message} A retry lets it past that.", provider=PROVIDER)
                kind = _OUTCOMES.get(view.stand)
                if kind is not None:
                    yield Outcome(kind=kind, message=await _why(workload, known.one, view, log_lines))
                    return
                if (view.message, view.done) != stood or known.unreachable:
                    stood, moved = (view.message, view.done), loop.time()
                if loop.time() - moved > limit:
                    yield Outcome(
                        kind=OutcomeKind.TIMED_OUT, message=f"Nothing has moved for {limit:g} s: {view.message}."
                    )
                    return
                progress = Progress(done=view.done, total=view.total, message=_said(view.message, known.unreachable))
            else:
                progress = Progress(done=0, total=0, message=_said("", known.unreachable) or "looking at the Rollout")
            if progress != told:
                told = progress
                yield progress
            try:
                async with asyncio.timeout_at(moved + limit + 0.01 if known.seen else None):
                    await known.news.wait()
            except TimeoutError:
                continue
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _why(workload: RolloutWorkload, one: Object | None, view: View, log_lines: int) -> str:
    if view.stand not in (Stand.FAILED, Stand.TROUBLED) or one is None:
        return view.message
    found = await diagnose(workload, one, log_lines=log_lines)
    return " ".join([view.message, *(trouble.sentence for trouble in found)])


def _said(message: str, unreachable: ProviderError | None) -> str:
    waiting = f"waiting: {unreachable.message}" if unreachable is not None else ""
    return "; ".join(filter(None, [message, waiting]))


def _mine(workload: RolloutWorkload, handle: Handle) -> Mine:
    uid, _, version = handle.generation.rpartition(":")
    if not uid or not version.isascii() or not version.isdecimal() or len(version) > 38:
        raise ProviderRejected("The catalog has another Rollout than this change was made to.", provider=PROVIDER)
    return Mine(name=workload.name, operation=handle.operation, uid=uid, version=int(version))


def _limit(one: Object | None, deadline: float | None) -> float:
    own = raw.count(one, "spec", "progressDeadlineSeconds") or 600
    return max(own + raw.count(one, "spec", "minReadySeconds") + _MARGIN, deadline or 0.0)
