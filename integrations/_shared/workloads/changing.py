"""Changes to Deployments: each is one JSON Patch that holds only for the object that was looked at, made once.

Who repeats a change finds it in the object's own books, or in those of the ReplicaSet that it led to, and changes
nothing: whatever came after it stays.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from bot.domain.rollout import Handle
from integrations._shared.kube import patches, raw
from integrations._shared.kube.api import Conflict
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.owners import owned_elsewhere
from integrations._shared.workloads.running import recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from bot.domain.ids import OperationId
    from bot.domain.release import Release
    from bot.domain.rollout import Plan, Running
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload

_ROUNDS = 6
_LONGEST_ASKED_FOR = 10.0


def deploy_patch(workload: Workload, one: Object, *, release: Release, operation: OperationId) -> list[Operation]:
    """What brings ``release`` to a Deployment. Raises `ProviderRejected`."""
    location = image.location(release)
    if location is None:
        raise ProviderRejected(
            f"{release.version} is no image that is pinned to a digest, so a cluster cannot run it.", provider=PROVIDER
        )
    images = dict.fromkeys(workload.containers(one), location)
    return [
        *patches.same_object(one),
        *patches.set_images(one, images),
        *_marked(one, release, operation, f"Deploy {release.version}", {**patches.images_of(one), **images}),
    ]


def restore_patch(workload: Workload, one: Object, *, to: Running | None, operation: OperationId) -> list[Operation]:
    """What puts back what ran before: only images where only images differ, else the whole template."""
    template = recorded(to).get(workload.name) if to is not None else None
    now = patches.images_of(one)
    if template is not None:
        before = patches.template_images(template)
        if _without_images(template) == _without_images(raw.at(one, "spec", "template")):
            change = patches.set_images(one, {name: each for name, each in before.items() if now.get(name) != each})
        else:
            change = patches.set_template(template)
    else:
        before = _images_before(workload, one, to)
        change = patches.set_images(one, {name: each for name, each in before.items() if now.get(name) != each})
        before = {**now, **before}
    marked = _marked(one, to.release if to is not None else None, operation, "Put back what ran before", before)
    return [*patches.same_object(one), *change, *marked]


async def looked(look: Callable[[], Awaitable[Plan]]) -> Plan:
    """What ``look`` finds; it looks anew when somebody changed the object between its look and its trial.

    Raises `ProviderUnavailable` when that goes on and on.
    """
    last = ""
    for _ in range(_ROUNDS):
        try:
            return await look()
        except Conflict as error:
            last = error.message
    raise ProviderUnavailable(f"It is being changed by others all the time: {last}", provider=PROVIDER)


def image_changes(workload: Workload, one: Object, *, before: Object, tried: Object, release: Release) -> Iterator[str]:
    """A sentence for each container of ``one`` that runs another image after the patch that was tried.

    ``before`` has the images of now. Raises `ProviderRejected` when the cluster makes something else of the image.
    """
    wanted, was, after = image.location(release) or "", patches.images_of(before), patches.images_of(tried)
    for container in workload.containers(one):
        if not image.same(after.get(container, ""), wanted):
            raise ProviderRejected(
                f"The cluster makes {image.shown(after.get(container, ''))} of the image of {workload.name}, so what "
                f"would run is not {release.version}.",
                provider=PROVIDER,
            )
        if not image.same(was.get(container, ""), wanted):
            shown = image.shown(was.get(container, ""))
            yield f"{workload.name}: {container} runs {image.shown(wanted)} instead of {shown}."


def check(one: Object, workload: Workload, *, owned: str, restoring: bool = False) -> None:
    """Raise `ProviderRejected` when the Deployment must not be changed as it is."""
    if raw.at(one, "spec", "paused") is True:
        what = "put back" if restoring else "rolled out"
        raise ProviderRejected(
            f"{workload.name} is paused, so nothing would be {what}; kubectl rollout resume lets it go on.",
            provider=PROVIDER,
        )
    if restoring:
        return
    marks.check_strategy(one)
    marks.probe(one)
    owners = owned_elsewhere(one, workload.containers(one))
    if owners and owned == "refuse":
        raise ProviderRejected(" ".join(owners), provider=PROVIDER)


async def change(
    workloads: Sequence[Workload],
    operation: OperationId,
    build: Callable[[Workload, Object], list[Operation]],
) -> Handle:
    """Make the change that ``build`` makes of each Deployment, unless it was made before. Raises `ProviderError`.

    Several are tried out before the first is changed. When one is refused all the same after others were changed, the
    handle says so, and who follows it is told.
    """
    now = [await workload.there() for workload in workloads]
    found = [await _made(workload, one, operation) for workload, one in zip(workloads, now, strict=True)]
    begun = any(found)
    if len(workloads) > 1 and not begun:
        for workload, one in zip(workloads, now, strict=True):
            await _once(workload, one, operation, build, dry_run=True)
    segments: list[str] = []
    for workload, one, made in zip(workloads, now, found, strict=True):
        try:
            segments.append(made or await _once(workload, one, operation, build))
            begun = True
        except ProviderRejected:
            if not begun:
                raise
            segments.append(f"{raw.uid(await workload.there())}:0")
    return Handle(operation=operation, generation=",".join(segments))


async def find(workloads: Sequence[Workload], operation: OperationId) -> Handle | None:
    """The handle of a change that was made, or partly made; None when it certainly was not."""
    segments: list[str] = []
    begun = False
    for workload in workloads:
        one = await workload.read()
        made = await _made(workload, one, operation) if one is not None else None
        begun = begun or made is not None
        segments.append(made or f"{raw.uid(one)}:0")
    return Handle(operation=operation, generation=",".join(segments)) if begun else None


async def _made(workload: Workload, one: Object, operation: OperationId) -> str | None:
    """The uid and generation of the change, as its own answer said them; None when it was not made."""
    generation = marks.history(one).get(operation)
    if generation is None:
        # kubectl rollout undo brings old marks back with the old template; the new ones are where they led to.
        for each in await workload.replica_sets(one):
            generation = marks.history(each).get(operation)
            if generation is not None:
                break
    return None if generation is None else f"{raw.uid(one)}:{generation}"


async def _once(
    workload: Workload,
    one: Object,
    operation: OperationId,
    build: Callable[[Workload, Object], list[Operation]],
    *,
    dry_run: bool = False,
) -> str:
    wait = 0.05
    last: ProviderError | None = None
    for _ in range(_ROUNDS):
        if last is not None:
            one = await workload.there()
            # Whether it was made is asked, never assumed: its answer may have been lost.
            made = None if dry_run else await _made(workload, one, operation)
            if made is not None:
                return made
        try:
            answer = await workload.kube.patch(workload.path, build(workload, one), kind="json", dry_run=dry_run)
        except Conflict as error:
            last = error
        except ProviderError as error:
            if not error.retryable:
                raise
            last = error
        else:
            return f"{raw.uid(answer)}:{raw.count(answer, 'metadata', 'generation')}"
        asked = last.retry_after or 0.0
        if asked > _LONGEST_ASKED_FOR:
            raise last  # whoever called knows whether there is that much time
        await asyncio.sleep(asked or wait * random.uniform(0.7, 1.3))  # noqa: S311 - jitter, not a secret
        wait *= 2
    assert last is not None
    if isinstance(last, Conflict):
        raise ProviderUnavailable(
            f"{workload.name} is being changed by others all the time, or does not take the change: {last.message}",
            provider=PROVIDER,
        )
    raise last


def _marked(
    one: Object, release: Release | None, operation: OperationId, cause: str, after: dict[str, str]
) -> list[Operation]:
    now = patches.images_of(one)
    written = marks.written(
        one,
        operation=operation,
        cause=f"{cause} ({operation})",
        version=release.version if release is not None else "",
        digest=release.artifact.digest if release is not None else "",
        before=now,
        after=after,
    )
    return patches.set_annotations(one, written)


def _images_before(workload: Workload, one: Object, to: Running | None) -> dict[str, str]:
    """The images that were there before the last change, where nothing better was recorded."""
    if to is not None:
        return dict.fromkeys(workload.containers(one), to.release.artifact.location)
    has = patches.images_of(one)
    before = {name: each for name, each in marks.previous(one).items() if name in has}
    if not before:
        raise ProviderRejected(f"It was not recorded what {workload.name} ran before.", provider=PROVIDER)
    return before


def _without_images(template: object) -> object:
    """A template as it would be with no image in it, for telling whether anything else differs."""
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return template
    spec = dict(template["spec"])
    for kind in patches.KINDS:
        if isinstance(spec.get(kind), list):
            spec[kind] = [{**each, "image": None} if isinstance(each, dict) else each for each in spec[kind]]
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value is not None}
    return {**template, "metadata": metadata, "spec": spec}
