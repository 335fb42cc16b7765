"""Accepts operations: each once, none that a newer one has overtaken, none that cannot be carried out."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.local.agent.model import Build, Group, Operation, Refused
from integrations.local.artifacts import ArtifactError, valid_version

if TYPE_CHECKING:
    from integrations.local.agent.place import Place
    from integrations.local.artifacts import Artifacts
    from integrations.local.wire import OperationRequest, ReleaseWire, SettingsWire


async def accept(place: Place, request: OperationRequest, artifacts: Artifacts) -> tuple[Operation, bool]:
    """Begin what ``request`` asks for; the operation and whether it had been accepted before.

    Raises `Refused` when nothing was changed, `OSError` when nothing could be written down.
    """
    fingerprint = _fingerprint(request)
    async with place.lock:
        known = place.journal.find(request["operation"])
        if known is not None:
            if known.fingerprint != fingerprint:
                raise Refused("rejected", f"The operation {known.id} has been used for something else already.")
            return known, True
        if request["issued"] < place.issued:
            newest = place.record.operation
            raise Refused(
                "superseded",
                f"A newer operation, {newest.id if newest is not None else 'by somebody else'}, came first.",
            )
        groups = await _groups(place, request, artifacts)
        await place.bind(request["settings"]["port"])
        latest = place.journal.latest
        operation = Operation(
            id=request["operation"],
            kind=request["kind"],
            number=1
            + max(latest.number if latest else 0, place.record.operation.number if place.record.operation else 0),
            fingerprint=fingerprint,
            groups=groups,
            percent=request.get("percent"),
            start_timeout=request["settings"]["start_timeout"],
            drain=request["settings"]["drain"],
            at=time.time(),
        )
        await asyncio.to_thread(place.journal.append, operation)
        # From here on it is accepted: whatever happens now, the next agent carries it out.
        place.issued = request["issued"]
        await place.halt()
        place.record.operation = operation
        place.begin()
        place.changed()
        return operation, False


def _fingerprint(request: OperationRequest) -> str:
    release = request["release"]
    return f"{request['kind']} {release['digest'] if release else '-'} {request.get('percent', '-')}"


async def _groups(place: Place, request: OperationRequest, artifacts: Artifacts) -> tuple[Group, ...]:
    release, settings = request["release"], request["settings"]
    if release is None:
        return ()
    if request["kind"] == "weight":
        return await _split(place, release, settings, request.get("percent", 0), artifacts)
    if request["kind"] == "promote":
        return await _promoted(place, release, settings, artifacts)
    if request["kind"] in ("restore", "take_back"):
        build = _remembered(place, request.get("build"), release["digest"])
        if build is not None:
            return (Group(build=build, count=request.get("instances") or settings["instances"]),)
    build = await _build(release, settings, artifacts)
    return (Group(build=build, count=settings["instances"]),)


async def _split(
    place: Place, release: ReleaseWire, settings: SettingsWire, percent: int, artifacts: Artifacts
) -> tuple[Group, ...]:
    stable = place.record.stable
    if stable is None:
        raise Refused(
            "rejected",
            f"Nothing of {place.service} runs in {place.environment}, so there is no traffic to share; deploy first.",
        )
    build = await _build(release, settings, artifacts)
    if build.key == stable.build.key:
        raise Refused(
            "rejected", f"{build.version} is what {place.environment} runs already; there is nothing to share."
        )
    # Without traffic yet, all of it is started: what comes next may be all of the traffic at once.
    count = math.ceil(settings["instances"] * percent / 100) or settings["instances"]
    return (
        Group(build=stable.build, count=stable.count, weight=100 - percent),
        Group(build=build, count=count, weight=percent),
    )


async def _promoted(
    place: Place, release: ReleaseWire, settings: SettingsWire, artifacts: Artifacts
) -> tuple[Group, ...]:
    """What shares the traffic already becomes all of it: the very build that was looked at, not one like it."""
    build = place.shared(release["digest"], release["version"])
    if build is None:
        raise Refused(
            "rejected",
            f"{release['version']} has no part of the traffic of {place.service} in {place.environment}, "
            "so it cannot be promoted.",
        )
    await _build(release, settings, artifacts)
    return (Group(build=build, count=settings["instances"]),)


async def _build(release: ReleaseWire, settings: SettingsWire, artifacts: Artifacts) -> Build:
    if not valid_version(release["version"]):
        raise Refused("rejected", f"{release['version'][:64]!r} cannot be the name of a version.")
    try:
        content = await asyncio.to_thread(artifacts.read, Path(release["location"]))
    except ArtifactError as error:
        raise Refused("rejected", str(error)) from None
    if content.digest != release["digest"]:
        raise Refused(
            "rejected",
            f"The artifact {release['location']} has changed since {release['version']} was chosen: "
            f"{_short(release['digest'])} was expected, {_short(content.digest)} is there.",
        )
    return Build(
        version=release["version"],
        digest=release["digest"],
        location=release["location"],
        command=content.command,
        variables=settings["variables"],
        health_path=settings["health_path"],
    )


def _remembered(place: Place, key: str | None, digest: str) -> Build | None:
    """The very build that ran before: restoring must work even if its options or its folder have changed since."""
    if key is None:
        return None
    builds = [instance.build for instance in place.instances]
    if place.record.stable is not None:
        builds.append(place.record.stable.build)
    for operation in reversed(place.journal.operations):
        builds.extend(group.build for group in operation.groups)
    found = next((build for build in builds if build.key == key and build.digest == digest), None)
    return replace(found) if found is not None else None


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
