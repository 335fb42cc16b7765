"""Changes to what Flagger analyses. What is allowed is written down before anything is changed, so that Flagger is
never let further than was said, wherever the bot dies.

Never writes a Canary's status, and of its spec only whether the analysis is left out.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from bot.domain.gate import Gate, Goal, Hook
from bot.domain.ids import ServiceName
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Running
from integrations._shared.kube import patches, raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads import changing, image, marks
from integrations._shared.workloads.running import TEMPLATE
from integrations.flagger import hooks, judging, ticket
from integrations.flagger.canary import ASKED_FOR_ROLLBACK, TERMINAL, Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.domain.ids import OperationId
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload
    from integrations.flagger.place import Place, Seen

    Build = Callable[[Workload, Object], list[Operation]]

_LOOKS, _LOOK_AGAIN = 16, 0.5
RETRY = marks.PREFIX + "retry"
"""Among the annotations of the template: makes it another one for Flagger, which analyses none twice."""


async def forward(place: Place, goal: Goal, *, percent: int, release: Release, operation: OperationId) -> Handle:
    """Let Flagger go up to ``percent``, or to the end; begin the analysis if none of ``release`` goes on."""
    seen, canary, one = await place.there()
    gate = await place.gate()
    if (made := await found(place, gate, one, operation)) is not None:
        return made
    whole = goal is not Goal.WEIGHT
    if _goes_on(place, gate, one, release):
        allowed = await place.turn(
            lambda now: replace(
                now,
                goal=goal,
                operation=operation,
                percent=percent,
                ceiling=percent,
                promote=whole,
                rollback=False,
                past=ticket.handing_over(now),
            )
        )
        return ticket.handle(operation, ticket.of(allowed))
    if goal is Goal.PROMOTE:
        raise ProviderRejected(
            f"Flagger does not analyse {release.version}, so it cannot be promoted.", provider=PROVIDER
        )
    seen, canary, one = await _let_go(place, gate)
    _check_ready(place, canary, one)
    changing.check(one, place.workload, owned=place.options.owned_elsewhere)
    theirs = canary.going_on and not _is_ours(place, one)
    again = theirs or _same_images(place, one, release) or place.digest(seen.primary) == release.artifact.digest
    if gate.unskip:  # a restore that nobody has followed to its end
        await place.skip(skip=False)
    wanted = Gate(
        key=place.key,
        held=True,
        goal=goal,
        operation=operation,
        base=operation,
        digest=release.artifact.digest,
        uid=raw.uid(one),
        percent=percent,
        ceiling=percent,
        promote=whole,
        steps=canary.steps,
        before=canary.before,
    )

    def build(workload: Workload, now: Object) -> list[Operation]:
        changing.check(now, workload, owned=place.options.owned_elsewhere)
        change = changing.deploy_patch(workload, now, release=release, operation=operation)
        return [*change, *_again(now, operation)] if again else change

    return await _change(place, wanted, build, operation)


async def at_once(place: Place, *, release: Release, operation: OperationId) -> Handle:
    """Have Flagger promote ``release`` without analysis.

    In the midst of one it would promote what it analyses now; then what ran before still serves, and nothing presses.
    """
    _, _, one = await place.there()
    gate = await place.gate()
    if (made := await found(place, gate, one, operation)) is not None:
        return made
    seen, canary, one = await _let_go(place, gate)
    if canary.going_on:
        return await forward(place, Goal.APPLY, percent=100, release=release, operation=operation)
    _check_ready(place, canary, one)

    def build(workload: Workload, now: Object) -> list[Operation]:
        changing.check(now, workload, owned=place.options.owned_elsewhere)
        return changing.deploy_patch(workload, now, release=release, operation=operation)

    changing.check(one, place.workload, owned=place.options.owned_elsewhere)
    return await _unanalysed(place, seen, canary, one, digest=release.artifact.digest, build=build, operation=operation)


async def back(place: Place, *, to: Running | None, operation: OperationId) -> Handle:
    """Have Flagger stop the canary; where the stable release is another one already, make what ran before stable."""
    seen, canary, one = await place.there()
    gate = await place.gate()
    if (made := await found(place, gate, one, operation)) is not None:
        return made
    stable = seen.primary is not None and (to is None or place.digest(seen.primary) == to.release.artifact.digest)
    asks = canary.phase in ASKED_FOR_ROLLBACK and Hook.ROLLBACK not in hooks.missing(canary, place.door, place.key)
    rests = canary.phase in TERMINAL and not canary.weight
    unseen = rests and gate.held and not (gate.seen is not None and gate.seen.begun)
    if stable and (asks or rests):
        taken = await place.turn(
            lambda now: replace(
                now.closed(),
                held=True,
                goal=Goal.BACK,
                operation=operation,
                base=operation,
                digest=place.digest(seen.primary),
                uid=raw.uid(one),
                past=ticket.handing_over(now),
                rollback=True,
                before=(ticket.UNSEEN if unseen else canary.phase, canary.applied, canary.decided_at),
                to=pack(to),
                checksum=now.checksum if now.proven else "",  # else anybody could have set it, against Flagger
            )
        )
        return ticket.handle(operation, ticket.of(taken))
    return await _restore(place, seen, canary, one, to=to, operation=operation)


async def put_back(place: Place, one: Object, *, operation: OperationId) -> None:
    """Put the template of before back, once. Raises `ProviderError`."""
    if operation in marks.history(one):
        return
    gate = await place.gate()
    if gate.operation != operation:
        return  # another one has taken its place
    to = unpack(gate.to)

    def build(workload: Workload, now: Object) -> list[Operation]:
        changing.check(now, workload, owned="warn", restoring=True)
        return changing.restore_patch(workload, now, to=to, operation=operation)

    await changing.change([place.workload], operation, build)


async def finish(place: Place, *, operation: OperationId) -> None:
    """Allow nothing more under ``operation``, and have Flagger analyse again. Raises `ProviderError`."""
    gate = await place.gate()
    if gate.operation != operation:
        return
    if gate.unskip:
        await place.skip(skip=False)
    await place.turn(lambda now: replace(now.closed(), unskip=False) if now.operation == operation else now)


async def found(place: Place, gate: Gate, one: Object, operation: OperationId) -> Handle | None:
    """The handle of what was begun under ``operation``; None when certainly nothing was. Raises `ProviderError`."""
    mine = ticket.handle(operation, ticket.of(gate)) if gate.operation == operation else None
    told = dict(gate.past).get(operation)
    if mine is None and told is not None:
        mine = Handle(operation=operation, generation=told)
    if mine is not None:
        says = ticket.read(mine)
        if says.base != operation or says.goal is Goal.BACK:
            return mine  # to let Flagger go on, or back, nothing has to be written on the Deployment
    if operation not in marks.history(one) and await changing.find([place.workload], operation) is None:
        return None
    # The gate's own books know the newest only; of all others it can still be told that something took their place.
    over = Gate(
        key=place.key,
        goal=Goal.APPLY,
        operation=operation,
        base=operation,
        uid=raw.uid(one),
        percent=100,
        digest=place.digest(one),
    )
    return mine or ticket.handle(operation, ticket.of(over))


def pack(to: Running | None) -> str:
    """What ran before, as the gate keeps it."""
    if to is None:
        return ""
    release = to.release
    parts = [release.service, release.version, release.artifact.digest, release.artifact.location]
    return json.dumps([*parts, to.details.get(TEMPLATE, "")])


def unpack(text: str) -> Running | None:
    """What `pack` has kept."""
    if not text:
        return None
    service, version, digest, location, template = json.loads(text)
    release = Release(
        service=ServiceName(service), version=version, artifact=Artifact(digest=digest, location=location)
    )
    details: Mapping[str, str] = {TEMPLATE: template} if template else {}
    return Running(release=release, healthy=0, instances=0, details=details)


async def _restore(
    place: Place, seen: Seen, canary: Canary, one: Object, *, to: Running | None, operation: OperationId
) -> Handle:
    if canary.suspended:
        raise ProviderRejected(_suspended(place), provider=PROVIDER)
    digest = to.release.artifact.digest if to is not None else _digest_before(place, one)

    def build(workload: Workload, now: Object) -> list[Operation]:
        changing.check(now, workload, owned="warn", restoring=True)
        return changing.restore_patch(workload, now, to=to, operation=operation)

    return await _unanalysed(place, seen, canary, one, digest=digest, build=build, operation=operation)


async def _unanalysed(
    place: Place, seen: Seen, canary: Canary, one: Object, *, digest: str, build: Build, operation: OperationId
) -> Handle:
    """Have Flagger promote what ``build`` brings, as fast as its pods come up."""
    # What was promoted last, and what was applied last, Flagger would leave as it is.
    again = canary.phase != "Succeeded" or place.digest(seen.primary) == digest
    gate = await place.gate()
    wanted = Gate(
        key=place.key,
        held=True,
        goal=Goal.RESTORE,
        operation=operation,
        base=operation,
        digest=digest,
        uid=raw.uid(one),
        percent=100,
        ceiling=100,
        promote=True,
        steps=canary.steps,
        before=canary.before,
        unskip=gate.unskip or not canary.skips,
    )

    def built(workload: Workload, now: Object) -> list[Operation]:
        change = build(workload, now)
        return _with_retry(now, change, operation) if again else change

    return await _change(place, wanted, built, operation, skip=not canary.skips)


async def _change(place: Place, wanted: Gate, build: Build, operation: OperationId, *, skip: bool = False) -> Handle:
    """Write down what is allowed, then change the template; what is refused is allowed no more."""
    # Blind: what was seen before is about something else.
    gate = await place.turn(lambda now: replace(wanted, version=now.version, past=ticket.handing_over(now)), blind=True)
    try:
        if skip:
            await place.skip(skip=True)
        await changing.change([place.workload], operation, build)
    except ProviderRejected:
        await finish(place, operation=operation)
        raise
    return ticket.handle(operation, ticket.of(gate))


async def _let_go(place: Place, gate: Gate) -> tuple[Seen, Canary, Object]:
    """A look once Flagger has taken back what it was told to: what it is given in the midst of that it never analyses.

    Raises `ProviderUnavailable` when that takes longer.
    """
    for _ in range(_LOOKS):
        seen, canary, one = await place.there()
        if not (gate.held and gate.rollback and canary.going_on):
            return seen, canary, one
        await asyncio.sleep(_LOOK_AGAIN)
    raise ProviderUnavailable(
        f"Flagger is taking back what {canary.name} was to run before; wait until it is done.",
        provider=PROVIDER,
        retry_after=5.0,
    )


def _goes_on(place: Place, gate: Gate, one: Object, release: Release) -> bool:
    """Whether it is ``release`` that Flagger analyses, or has promoted, since we brought it there."""
    ours = gate.held and gate.goal in (Goal.WEIGHT, Goal.PROMOTE, Goal.APPLY)
    if not (ours and gate.digest == release.artifact.digest and marks.operation(one) == gate.base):
        return False
    # Also when Flagger has ended it meanwhile: whoever follows it is told how.
    return _same_images(place, one, release)


def _same_images(place: Place, one: Object, release: Release) -> bool:
    wanted = image.location(release)
    images = patches.images_of(one)
    return wanted is not None and all(
        image.same(images.get(name, ""), wanted) for name in place.workload.containers(one)
    )


def _check_ready(place: Place, canary: Canary, one: Object) -> None:
    if canary.suspended:
        raise ProviderRejected(_suspended(place), provider=PROVIDER)
    if canary.going_on and (_is_ours(place, one) or _waits_for_us(place, canary)):
        return  # it gives way
    if canary.phase not in TERMINAL:
        what = "is in the middle of an analysis" if canary.going_on else "has not made the primary of it yet"
        raise ProviderRejected(
            f"Flagger {what} ({canary.phase or 'no phase'}) for {canary.name}; wait until it is done.",
            provider=PROVIDER,
        )


def _is_ours(place: Place, one: Object) -> bool:
    latest = marks.operation(one)
    return latest is not None and not judging.superseded(one, latest, place)


def _waits_for_us(place: Place, canary: Canary) -> bool:
    """Whether what somebody else brought gets no traffic until a gate of ours opens, which none ever does for it.

    Who told people to wait for the end of that would have them wait for ever.
    """
    if canary.skips or hooks.lacks(canary, place.door, place.key):
        return False
    return canary.phase == "Waiting" or (canary.phase == "Progressing" and canary.has_weights and canary.weight == 0)


def _suspended(place: Place) -> str:
    return (
        f"The Canary {place.options.canary} is suspended (spec.suspend), so Flagger would do nothing; set it to false."
    )


def _again(one: Object, operation: OperationId) -> list[Operation]:
    """Makes the template another one for Flagger."""
    at = ("spec", "template", "metadata", "annotations")
    parents: list[Operation] = []
    if not isinstance(raw.at(one, *at[:3]), dict):
        parents.append({"op": "add", "path": patches.pointer(*at[:3]), "value": {}})
    if not isinstance(raw.at(one, *at), dict):
        parents.append({"op": "add", "path": patches.pointer(*at), "value": {}})
    return [*parents, {"op": "add", "path": patches.pointer(*at, RETRY), "value": operation}]


def _with_retry(one: Object, change: list[Operation], operation: OperationId) -> list[Operation]:
    """The change with the mark in the template that it leads to, be it a new one or the one that is there."""
    whole = next((each for each in change if each.get("path") == patches.pointer("spec", "template")), None)
    after = one if whole is None else {"spec": {"template": whole["value"]}}
    return [*change, *_again(after, operation)]


def _digest_before(place: Place, one: Object) -> str:
    """The digest that was there before the last change, as our own marks tell."""
    before = marks.previous(one)
    digests = {image.digest_of(before.get(name, "")) or "" for name in place.workload.containers(one)}
    return digests.pop() if len(digests) == 1 else ""
