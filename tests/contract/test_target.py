"""What every target must keep, whatever platform is behind it. A new provider is one more entry in `TARGETS`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from kube import flagger_world
from kube.deployments import DeploymentController
from kube.manifests import deployment
from kube.server import KubeServer

from bot.bootstrap import provider_models
from bot.catalog.load import parse
from bot.domain.catalog import HealthCheck
from bot.domain.errors import BadCommand, RevisionNotFound
from bot.domain.ids import EnvironmentName, OperationId, ServiceName
from bot.domain.rollout import Outcome, OutcomeKind, Progress
from bot.domain.strategy.powers import Power
from bot.ports import target as ports
from bot.ports.images import Images as ImagesPort
from bot.ports.target import SupportsAbort, SupportsPromote, SupportsRecreate, SupportsTrafficWeight
from bot.sandbox.samples import write_artifacts
from integrations import registry
from integrations._shared.kube.api import Kube
from integrations.local import LocalPlatform
from integrations.local.images import LocalImages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from bot.domain.ids import OperationId as Name
    from bot.domain.release import Release
    from bot.domain.rollout import Handle
    from bot.ports.images import Images
    from bot.ports.target import Target

pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.long]

CHECKOUT, STAGING = ServiceName("checkout"), EnvironmentName("staging")


@dataclass(frozen=True)
class Subject:
    """A target with nothing of ours running; two good versions (v1.1, v1.2) and a bad one (v1.5-rc1) to bring there."""

    target: Target
    images: Images
    again: Callable[[], Target]
    """The same target, built anew as after a restart of the bot."""
    begins_empty: bool = True
    """Whether nothing runs there at first; else somebody made it before the bot came, with a release of their own."""


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[Subject]:
    write_artifacts(folder / "artifacts")
    text = """
version: 1
channel: "#x"
environments: { staging: {} }
services:
  checkout:
    target: { type: local, root: platform, instances: 1, start_timeout: 3 }
    images: { type: local, folder: artifacts/checkout }
roles:
  nobody: { members: [U0ADA], allow: [{ actions: [deploy] }] }
"""
    service = parse(text, str(folder / "config.yaml"), provider_models()).service("checkout")

    def build() -> Target:
        return registry.build_target(service.targets[STAGING], service=CHECKOUT, environment=STAGING)

    try:
        yield Subject(build(), registry.build_images(service.images, service=CHECKOUT), build)
    finally:
        await LocalPlatform(folder / "platform").stop_all()


@dataclass(frozen=True)
class Pinned(ImagesPort):
    """What lies in folders, as images in a registry."""

    found: ImagesPort

    async def resolve(self, *, version: str) -> Release:
        release = await self.found.resolve(version=version)
        location = f"ghcr.io/acme/checkout@{release.artifact.digest}"
        return replace(release, artifact=replace(release.artifact, location=location))

    async def has(self, *, release: Release) -> bool:
        return release.same_as(await self.found.resolve(version=release.version))

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        return await self.found.versions(prefix=prefix, limit=limit)


@asynccontextmanager
async def kubernetes(folder: Path) -> AsyncIterator[Subject]:
    """A Deployment in the strict fake of a cluster. Time passes there only when a rollout is stuck."""
    write_artifacts(folder / "artifacts")
    text = """
version: 1
channel: "#x"
clusters: { main: { type: in_cluster } }
environments: { staging: {} }
services:
  checkout:
    target: { type: kubernetes, cluster: main, namespace: shop, workload: checkout, container: web }
    images: { type: oci, repository: ghcr.io/acme/checkout }
roles:
  nobody: { members: [U0ADA], allow: [{ actions: [deploy] }] }
"""
    service = parse(text, str(folder / "config.yaml"), provider_models()).service("checkout")
    images = Pinned(LocalImages(folder=folder / "artifacts" / "checkout", service=CHECKOUT))
    async with KubeServer.running() as server:
        made = deployment("checkout", {"web": "ghcr.io/acme/checkout:v1.0"}, replicas=1, progressDeadlineSeconds=20)
        server.add("deployments", "shop", made)
        controller = DeploymentController(server, pace=0.005)
        bad = (await images.resolve(version="v1.5-rc1")).artifact.digest
        controller.behaves(bad, "crash")
        kube = Kube(server.access())

        def build() -> Target:
            return registry.build_target(service.targets[STAGING], service=CHECKOUT, environment=STAGING, kube=kube)

        def stuck() -> bool:
            one = server.get("deployments", "shop", "checkout")
            status, image = one.get("status", {}), one["spec"]["template"]["spec"]["containers"][0]["image"]
            reasons = [each["reason"] for each in status.get("conditions", []) if each["type"] == "Progressing"]
            seen = status.get("observedGeneration") == one["metadata"]["generation"]
            return bad in image and seen and reasons == ["ReplicaSetUpdated"]

        async def time_passes() -> None:
            while True:
                await server.until(stuck, timeout=1000)
                controller.advance(21)
                with suppress(TimeoutError):  # there was a last step to be taken, and its time counts anew
                    await server.until(lambda: not stuck(), timeout=0.3)

        async with controller:
            passing = asyncio.create_task(time_passes())
            try:
                yield Subject(build(), images, build, begins_empty=False)
            finally:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)
                await kube.close()


@asynccontextmanager
async def flagger(folder: Path) -> AsyncIterator[Subject]:
    """A Canary in the same cluster, Flagger at work there, and the gates that it asks at."""
    write_artifacts(folder / "artifacts")
    images = Pinned(LocalImages(folder=folder / "artifacts" / "checkout", service=CHECKOUT))
    async with flagger_world.world(folder, stepWeights=[20, 50, 60]) as there:
        bad = (await images.resolve(version="v1.5-rc1")).artifact.digest
        there.deployments.behaves(bad, "crash")
        yield Subject(there.target(), images, there.target, begins_empty=False)


TARGETS = {"flagger": flagger, "kubernetes": kubernetes, "local": local}


_SLOW = {"flagger"}  # its rounds take their time


@pytest.fixture(params=[pytest.param(one, marks=[pytest.mark.long] * (one in _SLOW)) for one in sorted(TARGETS)])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with TARGETS[request.param](tmp_path) as found:
        yield found


async def ends(target: Target, handle: Handle) -> Outcome:
    outcomes = [seen async for seen in target.observe(handle=handle) if isinstance(seen, Outcome)]
    assert len(outcomes) == 1, "observing ends with exactly one outcome"
    return outcomes[0]


async def bring(subject: Subject, version: str, operation: str) -> Outcome:
    release = await subject.images.resolve(version=version)
    handle = await subject.target.apply(release=release, operation=OperationId(operation))
    return await ends(subject.target, handle)


def empty(subject: Subject) -> None:
    if not subject.begins_empty:
        pytest.skip("what it deploys to is made by others, and never empty")


async def test_nothing_runs_before_the_first_release(subject: Subject) -> None:
    empty(subject)
    assert await subject.target.current() is None
    plan = await subject.target.plan(release=await subject.images.resolve(version="v1.1"))
    assert plan.current is None
    assert plan.changes
    assert not plan.no_change
    assert await subject.target.current() is None, "planning changed something"


async def test_a_release_arrives_and_is_told_with_its_operation(subject: Subject) -> None:
    assert (await bring(subject, "v1.1", "one")).kind is OutcomeKind.SUCCEEDED
    running = await subject.target.current()
    assert running is not None
    assert (running.release.version, running.operation, running.all_healthy) == ("v1.1", "one", True)
    release = await subject.images.resolve(version="v1.1")
    assert (await subject.target.plan(release=release)).no_change
    assert (await subject.target.health(release=release, check=HealthCheck())).ok


async def test_the_same_operation_again_changes_nothing_also_after_a_restart(subject: Subject) -> None:
    release = await subject.images.resolve(version="v1.1")
    first = await subject.target.apply(release=release, operation=OperationId("one"))
    assert await subject.target.apply(release=release, operation=OperationId("one")) == first
    assert (await ends(subject.target, first)).kind is OutcomeKind.SUCCEEDED
    assert await subject.again().apply(release=release, operation=OperationId("one")) == first
    assert (await ends(subject.again(), first)).kind is OutcomeKind.SUCCEEDED, "observing can begin again"


async def test_a_bad_release_fails_in_words_and_the_one_before_it_still_serves(subject: Subject) -> None:
    await bring(subject, "v1.1", "one")
    outcome = await bring(subject, "v1.5-rc1", "two")
    assert outcome.kind is OutcomeKind.FAILED
    assert "v1.5-rc1" in outcome.message
    good = await subject.images.resolve(version="v1.1")
    assert (await subject.target.health(release=good, check=HealthCheck())).ok


async def test_what_ran_before_comes_back(subject: Subject) -> None:
    await bring(subject, "v1.1", "one")
    before = await subject.target.current()
    await bring(subject, "v1.2", "two")
    handle = await subject.target.restore(to=before, operation=OperationId("back"))
    assert await subject.target.restore(to=before, operation=OperationId("back")) == handle
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUCCEEDED
    running = await subject.target.current()
    assert running is not None
    assert running.release.version == "v1.1"


async def test_nothing_comes_back_when_nothing_ran(subject: Subject) -> None:
    empty(subject)
    await bring(subject, "v1.1", "one")
    handle = await subject.target.restore(to=None, operation=OperationId("back"))
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await subject.target.current() is None


async def test_success_is_judged_by_ones_own_change_only(subject: Subject) -> None:
    release = await subject.images.resolve(version="v1.1")
    mine = await subject.target.apply(release=release, operation=OperationId("mine"))
    await ends(subject.target, mine)
    assert (await bring(subject, "v1.2", "theirs")).kind is OutcomeKind.SUCCEEDED
    outcome = await ends(subject.target, mine)
    assert outcome.kind is OutcomeKind.SUPERSEDED
    assert "theirs" in outcome.message


async def test_a_change_is_found_by_its_operation_and_nothing_is_found_that_was_not_begun(subject: Subject) -> None:
    one = OperationId("one")
    assert await subject.target.find(operation=one) is None, "nothing was ever deployed there"
    handle = await subject.target.apply(release=await subject.images.resolve(version="v1.1"), operation=one)
    assert await subject.target.find(operation=one) == handle, "it has only just begun"
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUCCEEDED
    # Whoever never heard the answer: another process, which knows nothing but the name.
    found = await subject.again().find(operation=one)
    assert found == handle
    assert (await ends(subject.again(), found)).kind is OutcomeKind.SUCCEEDED
    assert await subject.target.find(operation=OperationId("on")) is None
    back = await subject.target.restore(to=None, operation=OperationId("back"))
    assert await subject.target.find(operation=OperationId("back")) == back, "restoring is a change too"


async def test_a_change_that_was_superseded_or_failed_is_found_as_well(subject: Subject) -> None:
    handle = await subject.target.apply(
        release=await subject.images.resolve(version="v1.1"), operation=OperationId("mine")
    )
    assert (await bring(subject, "v1.5-rc1", "theirs")).kind is OutcomeKind.FAILED
    assert await subject.target.find(operation=OperationId("mine")) == handle
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUPERSEDED
    theirs = await subject.target.find(operation=OperationId("theirs"))
    assert theirs is not None
    assert (await ends(subject.target, theirs)).kind is OutcomeKind.FAILED


async def test_looking_for_a_change_changes_nothing(subject: Subject) -> None:
    await bring(subject, "v1.1", "one")
    before = await subject.target.current()
    assert await subject.target.find(operation=OperationId("two")) is None
    assert await subject.target.current() == before
    # What was looked for in vain can still be begun, and is then found.
    assert (await bring(subject, "v1.2", "two")).kind is OutcomeKind.SUCCEEDED
    assert await subject.target.find(operation=OperationId("two")) is not None


async def test_progress_is_told_on_the_way(subject: Subject) -> None:
    release = await subject.images.resolve(version="v1.1")
    handle = await subject.target.apply(release=release, operation=OperationId("one"))
    seen = [step async for step in subject.target.observe(handle=handle)]
    assert all(isinstance(step, Progress) for step in seen[:-1])
    assert all(0 <= step.done <= step.total for step in seen[:-1] if isinstance(step, Progress))


async def test_versions_are_pinned_to_digests_and_unknown_ones_name_the_nearest(subject: Subject) -> None:
    release = await subject.images.resolve(version="v1.2")
    assert release.artifact.digest.startswith("sha256:")
    assert release == await subject.images.resolve(version="v1.2")
    with pytest.raises(RevisionNotFound) as refusal:
        await subject.images.resolve(version="v1.22")
    assert "v1.2" in refusal.value.suggestions
    versions = list(await subject.images.versions())
    assert versions.index("v1.2") < versions.index("v1.1"), "newest first"
    assert set(await subject.images.versions(prefix="v1.5")) == {"v1.5-rc1"}


@pytest.mark.parametrize("hostile", ["../v1.1", "v1.1/..", "", ".", "v1.1\x00", "/etc", "v" * 500])
async def test_versions_cannot_lead_elsewhere(subject: Subject, hostile: str) -> None:
    with pytest.raises(BadCommand):
        await subject.images.resolve(version=hostile)


# What a target may be able to do beyond that. Whoever has a power keeps to what is said here.


@dataclass(frozen=True)
class Split:
    """A target with v1.1 stable and v1.2 started beside it."""

    target: Target
    stable: Release
    canary: Release


def power(target: Target, protocol: type) -> Any:
    """The target, if it has that power; whoever has none of it has nothing to keep."""
    if not isinstance(target, protocol):
        pytest.skip(f"it does not claim {protocol.__name__}")
    return target


async def split(subject: Subject, percent: int) -> Split:
    target = power(subject.target, SupportsTrafficWeight)
    await bring(subject, "v1.1", "one")
    stable, canary = [await subject.images.resolve(version=version) for version in ("v1.1", "v1.2")]
    handle = await target.set_weight(release=canary, percent=percent, operation=OperationId(f"weight-{percent}"))
    assert (await ends(target, handle)).kind is OutcomeKind.SUCCEEDED
    return Split(target, stable, canary)


def change(name: Power, target: Any, one: Split, before: Any) -> Callable[[Name], Awaitable[Handle]]:
    """The change that a power is about, under an operation."""
    return {
        Power.TRAFFIC_WEIGHT: lambda o: target.set_weight(release=one.canary, percent=60, operation=o),
        Power.PROMOTE: lambda o: target.promote(release=one.canary, operation=o),
        Power.ABORT: lambda o: target.take_back(to=before, operation=o),
        Power.RECREATE: lambda o: target.recreate(release=one.canary, operation=o),
    }[name]


async def test_the_powers_that_are_told_are_those_that_it_has(subject: Subject, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["subject"]
    has = {name for name in Power if isinstance(subject.target, getattr(ports, name.protocol))}
    assert registry.TARGETS.power_of(kind) == has


async def test_a_weight_is_told_as_it_was_set_also_to_another_process(subject: Subject) -> None:
    one = await split(subject, 20)
    for target in (subject.target, subject.again()):
        target = power(target, SupportsTrafficWeight)
        assert await target.weight(release=one.canary) == 20
        assert await target.weight(release=one.stable) == 80
        running = await target.current()
        assert running is not None
        assert running.release.same_as(one.stable), "what runs is the stable release as long as nothing is promoted"


async def test_at_no_weight_a_release_is_there_and_well(subject: Subject) -> None:
    one = await split(subject, 0)
    assert await power(one.target, SupportsTrafficWeight).weight(release=one.canary) == 0
    for release in (one.stable, one.canary):
        assert (await one.target.health(release=release, check=HealthCheck())).ok


async def test_a_promoted_release_is_what_runs(subject: Subject) -> None:
    one = await split(subject, 50)
    target = power(subject.target, SupportsPromote)
    handle = await target.promote(release=one.canary, operation=OperationId("up"))
    assert (await ends(target, handle)).kind is OutcomeKind.SUCCEEDED
    running = await target.current()
    assert running.release.same_as(one.canary)
    assert running.operation == "up"
    assert await target.weight(release=one.canary) == 100


async def test_a_canary_is_taken_back_and_the_stable_release_was_never_touched(subject: Subject) -> None:
    one = await split(subject, 50)
    target, before = power(subject.target, SupportsAbort), await subject.target.current()
    handle = await target.take_back(to=before, operation=OperationId("back"))
    assert (await ends(target, handle)).kind is OutcomeKind.SUCCEEDED
    running = await target.current()
    assert running.release.same_as(one.stable)
    assert await target.weight(release=one.canary) == 0
    assert not (await target.health(release=one.canary, check=HealthCheck())).ok, "it runs no more"


async def test_a_canary_that_is_just_coming_is_taken_back(subject: Subject) -> None:
    await bring(subject, "v1.1", "one")
    target, before = power(subject.target, SupportsAbort), await subject.target.current()
    canary = await subject.images.resolve(version="v1.2")
    coming = await target.set_weight(release=canary, percent=20, operation=OperationId("weight"))
    back = await target.take_back(to=before, operation=OperationId("back"))
    assert (await ends(target, back)).kind is OutcomeKind.SUCCEEDED
    assert (await ends(target, coming)).kind is OutcomeKind.SUPERSEDED
    assert await target.weight(release=canary) == 0
    assert await target.set_weight(release=canary, percent=20, operation=OperationId("weight")) == coming
    assert await target.weight(release=canary) == 0, "a change that was overtaken does not come back"


async def test_what_runs_is_stopped_before_the_next_is_started(subject: Subject) -> None:
    await bring(subject, "v1.1", "one")
    target, canary = power(subject.target, SupportsRecreate), await subject.images.resolve(version="v1.2")
    handle = await target.recreate(release=canary, operation=OperationId("new"))
    assert (await ends(target, handle)).kind is OutcomeKind.SUCCEEDED
    running = await target.current()
    assert (running.release, running.operation) == (canary, "new")


@pytest.mark.parametrize("name", list(Power))
async def test_each_change_is_made_once_and_found_by_its_operation(subject: Subject, name: Power) -> None:
    one, x = await split(subject, 20), OperationId("x")
    before = await subject.target.current()
    make = change(name, power(subject.target, getattr(ports, name.protocol)), one, before)
    assert await subject.target.find(operation=x) is None
    handle = await make(x)
    assert await make(x) == handle, "while it is under way"
    assert await subject.again().find(operation=x) == handle
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await make(x) == handle, "when it is over"
    assert (await ends(subject.again(), handle)).kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize("name", list(Power))
async def test_each_change_gives_way_to_a_plain_one(subject: Subject, name: Power) -> None:
    one = await split(subject, 20)
    before = await subject.target.current()
    make = change(name, power(subject.target, getattr(ports, name.protocol)), one, before)
    handle = await make(OperationId("x"))
    assert (await bring(subject, "v1.3", "theirs")).kind is OutcomeKind.SUCCEEDED
    assert (await ends(subject.target, handle)).kind is OutcomeKind.SUPERSEDED
    assert await make(OperationId("x")) == handle, "sent again, it changes nothing any more"
    running = await subject.target.current()
    assert running is not None
    assert running.release.version == "v1.3"
    assert await power(subject.target, SupportsTrafficWeight).weight(release=one.canary) == 0
