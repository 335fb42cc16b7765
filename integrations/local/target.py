"""A service in an environment as the engine sees it. Holds no state: the agent does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Progress, Running
from bot.ports.target import SupportsAbort, SupportsPromote, SupportsRecreate, SupportsTrafficWeight, Target
from integrations.local.artifacts import ArtifactError, Artifacts
from integrations.local.client import PROVIDER, AgentClient, NotThere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.catalog import HealthCheck
    from bot.domain.ids import EnvironmentName, ServiceName
    from integrations.local.options import LocalTargetOptions
    from integrations.local.wire import (
        HealthAnswer,
        InstanceStatus,
        JournalEntry,
        Kind,
        OperationAnswer,
        OperationRequest,
        PlaceStatus,
        ReleaseWire,
        SettingsWire,
    )

_WAIT = 20.0
_CAN_GET_TRAFFIC = ("ready", "unready")


class LocalTarget(Target, SupportsTrafficWeight, SupportsPromote, SupportsAbort, SupportsRecreate):
    """One service in one environment, looked after by the agent of one root folder."""

    def __init__(self, *, options: LocalTargetOptions, service: ServiceName, environment: EnvironmentName) -> None:
        self._options = options
        self._service = service
        self._environment = environment
        self._client = AgentClient(options.root)
        self._path = f"/places/{service}/{environment}"
        self._artifacts = Artifacts()

    async def current(self) -> Running | None:
        """What runs now; None when nothing does. While traffic is split, the stable release."""
        status = await self._status()
        return None if status is None else _running(status, self._service)

    async def plan(self, *, release: Release) -> Plan:
        """What `apply` would do; raises `ProviderRejected` when the artifact could not be deployed."""
        location = Path(release.artifact.location)
        try:
            content = await asyncio.to_thread(self._artifacts.read, location)
        except ArtifactError as error:
            raise ProviderRejected(str(error), provider=PROVIDER) from None
        if content.digest != release.artifact.digest:
            raise ProviderRejected(
                f"The artifact {location} has changed since {release.version} was chosen.", provider=PROVIDER
            )
        status = await self._status()
        current = None if status is None else _running(status, self._service)
        return _plan(release, self._options.instances, current, status)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to replace what runs by ``release``, one instance after the other."""
        return await self._operate(self._request("apply", operation, release))

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The change that was begun under ``operation``, also one that is over or was superseded.

        None when the platform has no such change: it keeps the newest few hundred of a place, and what it has forgotten
        was superseded long ago.
        """
        # First the place, then its journal: a place that was emptied in between has a journal without the operation.
        status = await self._status()
        if status is None:
            return None
        try:
            journal: list[JournalEntry] = await self._client.get(f"{self._path}/journal")
        except NotThere:
            return None
        found = next((entry for entry in journal if entry["operation"] == operation), None)
        return (
            None if found is None else Handle(operation=operation, generation=f"{status['uid']}.{found['generation']}")
        )

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Begin to bring back what ran before, as it ran before; None stops every instance."""
        return await self._bring_back("restore", to, operation)

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Send ``percent`` (0 to 100) of the traffic to ``release`` and the rest to the stable one.

        Nothing of the stable one is stopped. At 0, all instances of ``release`` are started, and get no traffic.
        """
        return await self._operate({**self._request("weight", operation, release), "percent": percent})

    async def weight(self, *, release: Release) -> int | None:
        """How many per cent were given to ``release`` last, whether its instances are well or not."""
        status = await self._status()
        if status is None:
            return 0
        latest = status["operation"]
        if latest is not None and latest["phase"] == "running":
            return None
        return status["split"].get(release.artifact.digest, 0)

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to make ``release`` all that runs; raises `ProviderRejected` when it takes no part in the traffic.

        On the way it never gets less of the traffic than it has. What is started more of it is what runs already.
        """
        return await self._operate(self._request("promote", operation, release))

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Send all traffic to what ran before as soon as any of it is there, then stop everything else."""
        return await self._bring_back("take_back", to, operation)

    async def recreate(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to stop all that runs and then to start ``release``; in between nothing serves."""
        return await self._operate(self._request("recreate", operation, release))

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how the change goes, as it happens; outlives a restart of the agent."""
        status = await self._status()
        told: Progress | None = None
        while True:
            outcome = _outcome(status, handle)
            if outcome is not None:
                yield outcome
                return
            assert status is not None
            progress = _progress(status)
            if progress != told:
                told = progress
                yield progress
            status = await self._status(after=status["revision"])

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One fresh look at every instance of ``release``."""
        query = {"digest": release.artifact.digest, "path": check.path, "timeout": f"{check.timeout:g}"}
        try:
            answer: HealthAnswer = await self._client.get(
                f"{self._path}/health", query=query, timeout=check.timeout + 10.0
            )
        except NotThere:
            return Health(healthy=0, instances=self._options.instances, message="No instance of it runs.")
        return Health(healthy=answer["healthy"], instances=answer["instances"], message=answer["message"])

    async def _status(self, *, after: str | None = None) -> PlaceStatus | None:
        query = {} if after is None else {"after": after, "wait": f"{_WAIT:g}"}
        try:
            return cast("PlaceStatus", await self._client.get(self._path, query=query, timeout=_WAIT + 10.0))
        except NotThere:
            return None

    async def _bring_back(self, kind: Kind, to: Running | None, operation: OperationId) -> Handle:
        instances = to.details.get("instances", "") if to is not None else ""
        return await self._operate(
            {
                **self._request(kind, operation, to.release if to is not None else None),
                "build": to.details.get("build") if to is not None else None,
                "instances": int(instances) if instances.isdigit() else None,
            }
        )

    def _request(self, kind: Kind, operation: OperationId, release: Release | None) -> OperationRequest:
        return {
            "operation": operation,
            "kind": kind,
            "issued": time.monotonic_ns(),
            "release": _wire(release) if release is not None else None,
            "settings": self._settings(),
        }

    async def _operate(self, request: OperationRequest) -> Handle:
        try:
            answer: OperationAnswer = await self._client.post(
                f"{self._path}/operations", cast("dict[str, object]", request)
            )
        except NotThere as error:
            raise ProviderRejected(str(error), provider=PROVIDER) from None
        return Handle(operation=OperationId(answer["operation"]), generation=answer["generation"])

    def _settings(self) -> SettingsWire:
        options = self._options
        return {
            "instances": options.instances,
            "health_path": options.health_path,
            "start_timeout": options.start_timeout,
            "drain": options.drain,
            "variables": dict(options.variables),
            "port": options.port,
        }


def _wire(release: Release) -> ReleaseWire:
    return {
        "version": release.version,
        "digest": release.artifact.digest,
        "location": release.artifact.location,
    }


def _running(status: PlaceStatus, service: ServiceName) -> Running | None:
    stable = status["stable"]
    able = [instance for instance in status["instances"] if instance["state"] in _CAN_GET_TRAFFIC]
    if stable is not None:
        build, count, operation = stable["build"], stable["instances"], OperationId(stable["operation"])
        version, digest, location = stable["version"], stable["digest"], stable["location"]
    elif able:
        # A first deployment that is not over, or did not succeed.
        first = _commonest(able)
        build, count = first["build"], max(1, status["operation"]["total"] if status["operation"] else 1)
        version, digest, location = first["version"], first["digest"], first["location"]
        operation = None
    else:
        return None
    return Running(
        release=Release(service=service, version=version, artifact=Artifact(digest=digest, location=location)),
        healthy=sum(instance["build"] == build and instance["state"] == "ready" for instance in able),
        instances=count,
        operation=operation,
        details={"build": build, "instances": str(count)},
    )


def _commonest(instances: list[InstanceStatus]) -> InstanceStatus:
    builds = [instance["build"] for instance in instances]
    return max(instances, key=lambda instance: builds.count(instance["build"]))


def _plan(release: Release, wanted: int, current: Running | None, status: PlaceStatus | None) -> Plan:
    instances = "1 instance" if wanted == 1 else f"{wanted} instances"
    changes: list[str] = []
    warnings: list[str] = []
    if current is None:
        changes.append(f"Start {instances} of {release.version}; nothing runs now.")
    else:
        if not release.same_as(current.release) or release.version != current.release.version:
            # How it is done is the strategy's to say.
            changes.append(f"Replace {current.release.version} by {release.version}.")
        if current.instances != wanted:
            changes.append(f"Run {instances} instead of {current.instances}.")
        if not current.all_healthy:
            warnings.append(
                f"{current.healthy} of {current.instances} instances of {current.release.version} are healthy."
            )
    if status is not None:
        latest = status["operation"]
        if latest is not None and latest["phase"] == "running":
            warnings.append(f"Another change, {latest['id']}, is under way there now.")
        others = sorted(
            {
                instance["version"]
                for instance in status["instances"]
                if instance["state"] in _CAN_GET_TRAFFIC
                and current is not None
                and instance["build"] != current.details["build"]
            }
            - {release.version}
        )
        if others:
            changes.append(f"Stop what also runs: {', '.join(others)}.")
        warnings.extend(status["notes"])
    settled = status is not None and (latest := status["operation"]) is not None and latest["phase"] == "succeeded"
    no_change = not changes and settled and current is not None and current.all_healthy
    return Plan(current=current, changes=tuple(changes), warnings=tuple(warnings), no_change=no_change)


def _outcome(status: PlaceStatus | None, handle: Handle) -> Outcome | None:
    uid, _, number = handle.generation.partition(".")
    if status is None or status["uid"] != uid:
        return Outcome(
            kind=OutcomeKind.DELETED, message="The platform does not know the service any more; its folder was emptied."
        )
    latest = status["operation"]
    if latest is None or latest["number"] < int(number):
        return Outcome(kind=OutcomeKind.DELETED, message="The platform has lost its record of this change.")
    if latest["generation"] != handle.generation:
        return Outcome(kind=OutcomeKind.SUPERSEDED, message=f"Another change, {latest['id']}, took its place.")
    if latest["phase"] == "succeeded":
        return Outcome(kind=OutcomeKind.SUCCEEDED, message=latest["message"])
    if latest["phase"] == "failed":
        return Outcome(kind=OutcomeKind.FAILED, message=latest["message"])
    return None


def _progress(status: PlaceStatus) -> Progress:
    latest = status["operation"]
    assert latest is not None
    if latest["total"]:
        return Progress(done=latest["done"], total=latest["total"], message=latest["message"])
    left = sum(instance["pid"] is not None for instance in status["instances"])
    return Progress(done=0, total=max(1, left), message=latest["message"])
