"""Waits until an instance that was just started is healthy. Decides nothing about instances that already serve."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from integrations.local.agent.model import RolloutFailed
from integrations.local.agent.ports import free_port, taken
from integrations.local.agent.probe import look

if TYPE_CHECKING:
    from integrations.local.agent.instance import Instance
    from integrations.local.agent.place import Place

_FIRST_LOOK = 0.015
_SLOWEST_LOOK = 0.25
_LOOK_TIMEOUT = 2.0
_GRACE = 0.25
"""Seconds that an adopted instance is always looked at for."""
_PORTS_TO_TRY = 3


async def become_ready(place: Place, instance: Instance, *, timeout: float) -> None:
    """Wait until ``instance`` is healthy; raises `RolloutFailed` when it ends or ``timeout`` seconds pass."""
    # Counted from its start, also when an earlier agent started it: else each new agent would begin the wait anew.
    already = max(0.0, time.time() - instance.started_at)
    deadline = time.monotonic() + max(_GRACE, timeout - already)
    version, pause, ports = instance.build.version, _FIRST_LOOK, 1
    while True:
        process = instance.process
        assert process is not None
        left = deadline - time.monotonic()
        wrong = await look(
            place.session, instance, path=instance.build.health_path, timeout=max(0.05, min(_LOOK_TIMEOUT, left))
        )
        if not process.alive:
            if ports < _PORTS_TO_TRY and taken(instance.port):
                # Another program was faster to take the port; that is not the release's fault.
                ports += 1
                instance.port = free_port()
                await place.start(instance)
                continue
            raise RolloutFailed(f"{version} {instance.ending()} while it was starting.{instance.last_words()}")
        if not wrong:
            return
        if place.under_way and place.broken_by is not None:
            raise RolloutFailed(place.broken_by)
        if time.monotonic() >= deadline:
            raise RolloutFailed(
                f"{version} did not become healthy within {timeout:g} s: {wrong}.{instance.last_words()}"
            )
        instance.message = f"Not ready yet: {wrong}."
        with suppress(TimeoutError):
            async with asyncio.timeout(min(pause, max(0.001, deadline - time.monotonic()))):
                await process.exited.wait()
        pause = min(_SLOWEST_LOOK, pause * 1.25)
