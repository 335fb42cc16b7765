"""Brings one operation about, instance by instance, without a failed request.

It looks at what is there and takes the next step, so it can be begun again at any point. When a new instance does not
become healthy it stops where it is: what served before goes on serving, and undoing is somebody else's decision.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from integrations.local.agent import keeper
from integrations.local.agent.instance import State
from integrations.local.agent.model import RolloutFailed, Stable
from integrations.local.agent.ports import HOST
from integrations.local.agent.readiness import become_ready

if TYPE_CHECKING:
    from integrations.local.agent.instance import Instance
    from integrations.local.agent.model import Group, Operation
    from integrations.local.agent.place import Place

log = logging.getLogger(__name__)

_FOREVER = 10**9
_CLEAN_UP = 15.0
"""Seconds that what did not become ready may take to end before the failure is told anyway."""


async def roll(place: Place) -> None:
    """Bring about the place's operation and write down how it ended."""
    operation = place.record.operation
    assert operation is not None
    try:
        await _bring(place, operation)
        _succeed(place, operation)
    except RolloutFailed as failure:
        await _fail(place, operation, str(failure))
    except OSError as error:
        await _fail(place, operation, f"The platform cannot go on: {(error.strerror or str(error)).lower()}.")
    except Exception:
        log.exception("%s@%s: rollout of %s failed", place.service, place.environment, operation.id)
        await _fail(place, operation, "The platform made a mistake; its agent.log says more.")
    with suppress(OSError):
        await place.save()
    place.changed()


async def _bring(place: Place, operation: Operation) -> None:
    for instance in list(place.instances):
        if instance.state in (State.CRASHED, State.STOPPED):
            place.discard(instance)
        elif instance.state is State.STARTING and not operation.wanted(instance.key):
            place.retire(instance)
    stable = place.record.stable
    if operation.kind == "weight" and place.record.weights is None and stable is not None:
        # A canary gets nothing before all of it is ready.
        place.record.weights = {stable.build.key: 100}
        place.changed()
    elif operation.kind == "take_back" and operation.groups:
        # From now on, and not only once there is as much of it as there was.
        place.record.weights = {operation.groups[-1].build.key: 100}
        place.changed()
    elif operation.kind == "recreate":
        await _stop_others(place, operation)
    while True:
        for group in operation.groups:
            await _fill(place, operation, group)
        if operation.kind == "weight":
            place.record.weights = {group.build.key: group.weight or 0 for group in operation.groups}
            place.changed()
        while (old := _surplus(place, operation)) is not None:
            place.retire(old)
        await place.save()
        await place.until(
            lambda: (
                place.broken_by is not None or not any(instance.state is State.DRAINING for instance in place.instances)
            ),
            timeout=_FOREVER,
        )
        if place.broken_by is not None:
            raise RolloutFailed(place.broken_by)
        if all(place.serving(group.build.key) >= group.count for group in operation.groups):
            return


async def _stop_others(place: Place, operation: Operation) -> None:
    """Stop what this operation has not started itself, and wait until nothing of it runs any more."""
    others = [instance for instance in place.instances if instance.number != operation.number]
    for instance in others:
        place.retire(instance)
    place.record.weights = None
    await place.save()
    await place.until(lambda: not any(instance in place.instances for instance in others), timeout=_FOREVER)


async def _fill(place: Place, operation: Operation, group: Group) -> None:
    key = group.build.key
    while place.serving(key) < group.count:
        started = next((one for one in place.instances if one.key == key and one.state is State.STARTING), None)
        if started is not None and not started.alive:
            place.discard(started)
            continue
        instance = started or await place.launch(group.build, number=operation.number)
        await become_ready(place, instance, timeout=operation.start_timeout)
        instance.state, instance.message = State.READY, ""
        place.changed()
        if len(place.counting()) > operation.total and (old := _surplus(place, operation)) is not None:
            place.retire(old)
        await place.save()


def _surplus(place: Place, operation: Operation) -> Instance | None:
    """The instance that should go first: unhealthy before healthy, of no use before too many, old before new."""
    counting = place.counting()
    excess: dict[str, int] = {}
    for instance in counting:
        excess[instance.key] = excess.get(instance.key, -operation.wanted(instance.key)) + 1
    candidates = [instance for instance in counting if excess[instance.key] > 0]
    return min(
        candidates,
        key=lambda one: (one.state is not State.UNREADY, operation.wanted(one.key) > 0, counting.index(one)),
        default=None,
    )


def _succeed(place: Place, operation: Operation) -> None:
    if operation.kind != "weight":
        place.record.weights = None
        group = operation.groups[-1] if operation.groups else None
        place.record.stable = (
            Stable(build=group.build, count=group.count, operation=operation.id) if group is not None else None
        )
    place.record.operation = operation.ended("succeeded", _success(place, operation))


def _success(place: Place, operation: Operation) -> str:
    if not operation.groups:
        return f"Nothing of {place.service} runs in {place.environment} any more."
    if operation.kind == "weight":
        parts = [f"{group.build.version} gets {group.weight} %" for group in operation.groups]
        return f"{' and '.join(parts)} of the traffic."
    count = operation.total
    instances = "1 instance serves" if count == 1 else f"{count} instances serve"
    return f"{instances} {operation.version} at http://{HOST}:{place.proxy.port or place.record.port}."


async def _fail(place: Place, operation: Operation, reason: str) -> None:
    failed = [instance for instance in place.instances if instance.state is State.STARTING]
    for instance in failed:
        place.retire(instance)
    await place.until(lambda: not any(instance in place.instances for instance in failed), timeout=_CLEAN_UP)
    place.record.operation = operation.ended("failed", reason)
    for instance in list(place.instances):
        if instance.state is State.CRASHED and instance.number == operation.number:
            place.discard(instance)
        elif instance.state is State.CRASHED:
            place.spawn(keeper.revive(place, instance))
