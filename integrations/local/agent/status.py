"""What a place tells about itself. Reads only."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from integrations.local.agent.ports import HOST
from integrations.local.agent.probe import look

if TYPE_CHECKING:
    from integrations.local.agent.model import Operation
    from integrations.local.agent.place import Place
    from integrations.local.wire import (
        HealthAnswer,
        JournalEntry,
        OperationStatus,
        PlaceStatus,
        StableStatus,
        VersionStats,
    )


def status(place: Place) -> PlaceStatus:
    """Everything about the place but its traffic."""
    record = place.record
    versions = {instance.key: instance.build.version for instance in place.instances}
    weights: dict[str, float] = {}
    for key, share in place.shares().items():
        weights[versions[key]] = weights.get(versions[key], 0.0) + share
    return {
        "service": place.service,
        "environment": place.environment,
        "uid": record.uid,
        "revision": place.revision,
        "address": None if record.port is None else f"http://{HOST}:{record.port}",
        "operation": None if record.operation is None else _operation(place, record.operation),
        "stable": _stable(place),
        "weights": {version: round(share, 2) for version, share in weights.items()},
        "split": place.split(),
        "instances": [instance.status() for instance in place.instances],
        "notes": list(place.notes),
    }


def _operation(place: Place, operation: Operation) -> OperationStatus:
    left = sum(instance.alive and not operation.wanted(instance.key) for instance in place.instances)
    done = sum(min(group.count, place.serving(group.build.key)) for group in operation.groups)
    message = operation.message
    if not message:
        what = f"{done} of {operation.total} instances are ready" if operation.groups else "Stopping every instance"
        message = f"{what}, {left} to stop." if left else f"{what}."
    return {
        "id": operation.id,
        "kind": operation.kind,
        "generation": place.generation(operation),
        "number": operation.number,
        "phase": operation.phase,
        "message": message,
        "done": done,
        "total": operation.total,
        "version": operation.version,
    }


def _stable(place: Place) -> StableStatus | None:
    stable = place.record.stable
    if stable is None:
        return None
    return {
        "version": stable.build.version,
        "digest": stable.build.digest,
        "location": stable.build.location,
        "build": stable.build.key,
        "instances": stable.count,
        "operation": stable.operation,
    }


def stats(place: Place) -> dict[str, VersionStats]:
    """The proxy's numbers by version."""
    in_flight: Counter[str] = Counter()
    for instance in place.instances:
        in_flight[instance.build.version] += instance.in_flight
    return place.proxy.stats(in_flight)


def journal(place: Place) -> list[JournalEntry]:
    """The operations that were applied, oldest first."""
    return [
        {
            "operation": operation.id,
            "kind": operation.kind,
            "generation": operation.number,
            "version": operation.version,
            "percent": operation.percent,
            "at": operation.at,
        }
        for operation in place.journal.operations
    ]


async def health(place: Place, *, digest: str, path: str, timeout: float) -> HealthAnswer:
    """Look at every instance of the release ``digest`` now, each within ``timeout`` seconds."""
    record = place.record
    expected = 0
    if record.operation is not None:
        expected = sum(group.count for group in record.operation.groups if group.build.digest == digest)
    if not expected and record.stable is not None and record.stable.build.digest == digest:
        expected = record.stable.count
    instances = [instance for instance in place.counting() if instance.build.digest == digest]
    found = await asyncio.gather(*(look(place.session, one, path=path, timeout=timeout) for one in instances))
    problems = Counter(wrong for wrong in found if wrong)
    healthy = sum(not wrong for wrong in found)
    expected = max(expected, len(instances))
    message = ""
    if problems:
        wrong, number = problems.most_common(1)[0]
        message = f"{number} of {expected} instances: {wrong}."
    elif not instances:
        others = sorted({instance.build.version for instance in place.counting()})
        message = f"No instance of it runs; {' and '.join(others)} does." if others else "No instance of it runs."
        # Nothing is healthy when nothing runs, whatever there should be.
        expected = max(expected, 1)
    elif len(instances) < expected:
        message = f"{expected - len(instances)} of {expected} instances do not run."
    elif place.proxy.port is None:
        healthy, message = 0, f"The proxy does not listen: port {record.port} is taken by another program."
    return {"healthy": healthy, "instances": expected, "message": message}
