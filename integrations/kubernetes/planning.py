"""What a deployment would do, found out by having the cluster try the very patch. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.ids import OperationId
from bot.domain.rollout import Plan
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.workloads import marks
from integrations._shared.workloads.changing import deploy_patch, image_changes
from integrations._shared.workloads.judging import settled
from integrations._shared.workloads.owners import owned_elsewhere
from integrations._shared.workloads.workload import replicas

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.release import Release
    from bot.domain.rollout import Running
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.running import Look

_TRIAL = OperationId("plan")
_MOST = 10


async def plan(looks: Sequence[Look], current: Running, release: Release) -> Plan:
    """The plan for ``release``. Raises `ProviderRejected` when the cluster, or its owners' word, does not let it."""
    changes: list[str] = []
    warnings: list[str] = []
    for each in looks:
        tried = await each.workload.kube.patch(
            each.workload.path,
            deploy_patch(each.workload, each.one, release=release, operation=_TRIAL),
            kind="json",
            dry_run=True,
        )
        changes += _changes(each, tried, release)
        warnings += _warnings(each)
    quiet = all(settled(each.one) for each in looks)
    if not changes and current.release.version != release.version:
        changes.append(f"Call it {release.version} instead of {current.release.version}; its image is the same.")
    if current.instances and not current.all_healthy:
        warnings.append(f"{current.healthy} of {current.instances} pods run {current.release.version} in good health.")
    no_change = not changes and quiet and current.all_healthy and current.release.same_as(release)
    return Plan(current=current, changes=tuple(changes), warnings=tuple(warnings), no_change=no_change)


def _changes(each: Look, tried: Object, release: Release) -> Iterator[str]:
    name = each.workload.name
    yield from image_changes(each.workload, each.one, before=each.one, tried=tried, release=release)
    others = [
        place
        for place in _differences(raw.at(each.one, "spec"), raw.at(tried, "spec"), "spec")
        if not place.endswith(".image")
    ]
    if others:
        more = f" and {len(others) - _MOST} more" if len(others) > _MOST else ""
        yield f"{name}: the cluster itself also changes {', '.join(others[:_MOST])}{more}."


def _warnings(each: Look) -> Iterator[str]:
    one, name = each.one, each.workload.name
    yield from owned_elsewhere(one, each.workload.containers(one))
    if replicas(one) == 0:
        yield f"{name} is scaled to zero: no pod will run, so nothing can prove its health."
    if raw.text(one, "spec", "strategy", "type") == "Recreate":
        yield f"{name} stops all its pods before it starts new ones; in between nothing serves."
    if not settled(one):
        latest = marks.operation(one)
        yield f"A rollout of {name} is under way there now{f', by {latest}' if latest else ''}."
    if raw.at(one, "spec", "progressDeadlineSeconds") in (None, 2**31 - 1):
        yield f"{name} has no deadline of its own (spec.progressDeadlineSeconds), so the cluster never gives up."


def _differences(one: object, other: object, place: str) -> Iterator[str]:
    """Where two differ. Only the places are told: what stands there may be secret."""
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}, key=str):
            yield from _differences(one.get(key), other.get(key), f"{place}.{told(str(key))[:63]}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from _differences(mine, theirs, f"{place}[{index}]")
    else:
        yield place
