"""Keeps what runs running between operations: looks at health, starts again what ended by itself.

It never changes what there is to be; an operation that begins takes over from it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from integrations.local.agent.instance import State
from integrations.local.agent.model import RolloutFailed
from integrations.local.agent.probe import look
from integrations.local.agent.readiness import become_ready

if TYPE_CHECKING:
    from integrations.local.agent.instance import Instance
    from integrations.local.agent.place import Place

log = logging.getLogger(__name__)

_INTERVAL = 2.0
_TIMEOUT = 2.0
_MISSES = 3
"""Failed looks in a row after which an instance gets no more traffic."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_FORGIVEN = 60.0
"""Seconds of life after which earlier crashes no longer slow the next start down."""


async def keep(place: Place) -> None:
    """Look at every instance's health every few seconds, for as long as the place is open."""
    while True:
        await asyncio.sleep(_INTERVAL)
        await asyncio.gather(*(_visit(place, instance) for instance in place.counting()))


async def _visit(place: Place, instance: Instance) -> None:
    instance.trim_log()
    wrong = await look(place.session, instance, path=instance.build.health_path, timeout=_TIMEOUT)
    if not instance.counts:
        return
    if wrong:
        instance.misses += 1
        if instance.misses >= _MISSES and instance.state is State.READY:
            instance.state, instance.message = State.UNREADY, f"{wrong}."
            place.changed()
    else:
        instance.misses = 0
        if instance.state is State.UNREADY:
            instance.state, instance.message = State.READY, ""
            place.changed()


async def revive(place: Place, instance: Instance, *, at_once: bool = False) -> None:
    """Start ``instance`` again until it is ready, more slowly each time; ends when an operation takes over."""
    if time.time() - instance.started_at > _FORGIVEN:
        instance.crashes = 0
    waiting = 0.0 if at_once else _pause(instance)
    while True:
        await asyncio.sleep(waiting)
        if _taken_over(place, instance):
            return
        instance.restarts += 1
        instance.crashes += 1
        try:
            if not instance.alive:
                await place.start(instance)
            await become_ready(place, instance, timeout=_start_timeout(place))
        except (RolloutFailed, OSError) as error:
            if instance.process is not None:
                await instance.process.end(patience=1.0)
            if _taken_over(place, instance):
                return
            instance.state, instance.message = State.CRASHED, str(error)
            place.changed()
            waiting = _pause(instance)
            continue
        if instance.state is State.STARTING:
            instance.state, instance.message = State.READY, ""
            place.changed()
            await place.save()
            log.info("%s@%s: %s runs again", place.service, place.environment, instance.id)
        return


def _taken_over(place: Place, instance: Instance) -> bool:
    return place.under_way or instance.state is State.DRAINING or instance not in place.instances


def _pause(instance: Instance) -> float:
    return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(instance.crashes, 16)))


def _start_timeout(place: Place) -> float:
    operation = place.record.operation
    return operation.start_timeout if operation is not None else 10.0
