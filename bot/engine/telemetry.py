"""Measures deployments as they change, and tells how things stand whenever somebody asks.

What counts is the compare-and-swap: of however many replicas and repetitions of a step, the one call that wrote a
change measures it, so each deployment is counted once. Must not decide anything, must not raise, and must not wait.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bot.domain.dora import failed_at
from bot.domain.errors import StoreError
from bot.domain.lifecycle import Phase
from bot.engine.tracing import Tracing
from bot.ports.telemetry import Change, Kind, Wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.history import Event
    from bot.domain.ids import DeploymentId
    from bot.ports.deployments import Deployments
    from bot.ports.providers import CatalogSource
    from bot.ports.telemetry import Displays, Instruments, Overview

log = logging.getLogger(__name__)

_PULSE = 0.5
_WAITS = ((Phase.QUEUED, Wait.QUEUE), (Phase.AWAITING_APPROVAL, Wait.APPROVAL))


def kinds(catalog: Catalog) -> list[Kind]:
    """Every kind of deployment that the catalog allows. Others are counted from when the first one is asked for."""
    return [
        Kind(service.name, environment.name, strategy)
        for service, environment in catalog.places()
        for strategy in catalog.strategies
    ]


def measure(instruments: Instruments, before: Deployment, after: Deployment, *, at: datetime) -> None:
    """Count what this change tells. ``at`` is the time of a change that its timeline does not name."""
    kind = _kind(after)
    instruments.know([kind])
    if before.phase is not after.phase:
        for phase, what in _WAITS:
            if before.phase is phase:
                instruments.waited(what, kind.environment, seconds=_between(before.since, after.since))
        if before.phase.holds_lock and not after.phase.holds_lock:
            instruments.waited(Wait.LOCK, kind.environment, seconds=_between(_locked_since(before), after.since))
        if after.phase.final and not before.phase.final:
            began = _locked_since(before) if before.phase.holds_lock else None
            instruments.ended(kind, after.phase, seconds=None if began is None else _between(began, after.since))
        if (change := _decided(before, after)) is not None:
            instruments.decided(kind.service, kind.environment, change)
    if (asked := _way_back_asked_at(before, after)) is not None:
        instruments.waited(Wait.ROLLBACK, kind.environment, seconds=_between(asked, at))


def _kind(deployment: Deployment) -> Kind:
    return Kind(deployment.service, deployment.environment, deployment.strategy)


def _between(earlier: datetime, later: datetime) -> float:
    # Clocks of replicas differ a little, and a duration below zero would break a counter.
    return max(0.0, (later - earlier).total_seconds())


def _locked_since(deployment: Deployment) -> datetime:
    """When a deployment that has the lock took it."""
    since = deployment.since
    for moment in reversed(deployment.timeline):
        if not moment.phase.holds_lock:
            break
        since = moment.at
    return since


def _decided(before: Deployment, after: Deployment) -> Change | None:
    """What became of the change, if it became known just now."""
    if after.is_rollback:
        return None
    if after.phase is Phase.ROLLED_BACK:
        return Change.ROLLED_BACK
    if before.phase.final:
        return None  # a rollback of it begins, or came to nothing
    if after.phase is Phase.SUCCEEDED:
        return Change.SUCCEEDED
    return Change.FAILED if failed_at(after) is not None else None


def _way_back_asked_at(before: Deployment, after: Deployment) -> datetime | None:
    """When a person asked for the way back whose first change the target has just taken; None: there was none."""
    if after.handle is None or before.handle == after.handle:
        return None
    if after.is_rollback and before.handle is None and after.attempt == 1:
        return after.requested_at
    if after.request is not None and after.handle.operation.startswith(f"{after.id}-restore-"):
        return after.request.at
    return None


class _Witness:
    """Deployments whose changes by this process are seen. Everything else is passed through as it is."""

    def __init__(self, deployments: Deployments, seen: Callable[[Deployment | None, Deployment], None]) -> None:
        self._deployments = deployments
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deployments, name)

    async def add(self, deployment: Deployment, *, event: Event, **more: Any) -> Deployment:
        added = await self._deployments.add(deployment, event=event, **more)
        self._seen(None, added)
        return added

    async def update(
        self, deployment_id: DeploymentId, change: Callable[[Deployment], Deployment], **more: Any
    ) -> Deployment:
        proposed: tuple[Deployment, Deployment] | None = None

        def noting(before: Deployment) -> Deployment:
            nonlocal proposed
            after = change(before)
            proposed = (before, after)
            return after

        found = await self._deployments.update(deployment_id, noting, **more)
        if proposed is not None and _was_written(*proposed, found):
            self._seen(*proposed)
        return found


def _was_written(before: Deployment, after: Deployment, found: Deployment) -> bool:
    """Whether what this call proposed is what was written: somebody else may have been faster, or done it before."""
    if after == before:
        return False
    if found is after or found == after:
        return True
    # The connection broke while it was written, and somebody has gone on from there since.
    return after.phase is not before.phase and after.timeline[-1] in found.timeline[len(before.timeline) :]


@dataclass(kw_only=True)
class Telemetry:
    """What this replica measures: `watching` the deployments that it changes, and `look` for whoever reads it."""

    instruments: Instruments
    displays: Displays
    overview: Overview
    catalogs: CatalogSource
    now: Callable[[], datetime]
    tracing: Tracing = field(default_factory=Tracing)
    fresh: float = 1.0
    """Seconds for which one look serves all who ask: how often they ask costs the database nothing."""
    patience: float = 2.0
    """Seconds that a look may take; what was seen last is shown meanwhile."""
    _revision: str = ""
    _looked_at: float | None = None
    _blind: bool = False
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def watching(self, deployments: Deployments) -> Deployments:
        """The same deployments; every change that is made through them is measured."""
        return cast("Deployments", _Witness(deployments, self._seen))

    async def look(self) -> None:
        """Bring what is shown up to date. When the database does not answer, it stays what it was."""
        async with self._looking:
            catalog = self.catalogs.current()
            if catalog.revision != self._revision:
                # In a thread: a large catalog has tens of thousands of series.
                await asyncio.to_thread(self.instruments.know, kinds(catalog), only=True)
                self._revision = catalog.revision
            clock = asyncio.get_running_loop().time
            if self._looked_at is not None and clock() - self._looked_at < self.fresh:
                return
            try:
                async with asyncio.timeout(self.patience):
                    self.displays.stands(await self.overview.standing(at=self.now()))
            except (StoreError, TimeoutError) as error:
                if not self._blind:
                    log.warning("how things stand cannot be read, so what is shown grows old: %s", error)
                self._blind = True
            else:
                self._blind = False
            self._looked_at = clock()

    async def feel_pulse(self) -> None:
        """Measure for ever how late the event loop is."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _PULSE
            await asyncio.sleep(_PULSE)
            self.displays.lagged(max(0.0, clock() - due))

    def _seen(self, before: Deployment | None, after: Deployment) -> None:
        try:
            if before is None:
                self.instruments.know([_kind(after)])
            else:
                measure(self.instruments, before, after, at=self.now())
        except Exception:
            # A deployment must never come to harm because it was counted.
            log.exception("a change of %s could not be measured", after.id)
        if before is not None:
            self.tracing.seen(before, after)
