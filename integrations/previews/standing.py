"""How a service in a preview stands, from one look at its Deployment. Pure; by kubectl's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.ports.previews import Previewed
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import marks as carried
from integrations.previews import marks

if TYPE_CHECKING:
    from bot.domain.release import Release
    from integrations._shared.kube.raw import Object
    from integrations.previews.options import PreviewedOptions

_OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class View(NamedTuple):
    """One look. ``outcome`` is None as long as it is under way."""

    outcome: OutcomeKind | None
    message: str
    done: int = 0
    total: int = 0


def container_of(one: Object, wanted: PreviewedOptions) -> str:
    """The container that runs the service; raises `ProviderRejected` when that cannot be told."""
    there = [raw.text(each, "name") for each in raw.items(one, "spec", "template", "spec", "containers")]
    name = wanted.container or (there[0] if len(there) == 1 else None)
    if name not in there:
        which = f"no container {wanted.container}" if wanted.container else "several containers, and none is named"
        raise ProviderRejected(
            f"The Deployment {wanted.workload} of the template has {which}; it has: {told(', '.join(there))}.",
            provider=PROVIDER,
        )
    return name


def written(release: Release, operation: OperationId, by: str) -> dict[str, str]:
    """What stands on a Deployment beside the image. Raises `ProviderRejected` for an operation that cannot."""
    if not _OPERATION.fullmatch(operation):
        raise ProviderRejected(f"{told(operation)[:80]!r} cannot be written on a Deployment.", provider=PROVIDER)
    return {
        carried.CHANGE_CAUSE: f"{release.service} {release.version} for a preview, by {marks.who(by)}",
        carried.OPERATION: operation,
        carried.VERSION: release.version,
        carried.DIGEST: release.artifact.digest,
    }


def shown(one: Object | None, *, address: str, uid: str) -> Previewed:
    """The service as a preview tells of it."""
    if one is None:
        return Previewed(address=address, message="It has no Deployment.")
    noted = marks.notes_on(one) if marks.is_part_of(one, uid) else {}
    view = look(one)
    operation = noted.get(carried.OPERATION, "")
    version = told(noted[carried.VERSION])[:128] if noted.get(carried.VERSION) else None
    return Previewed(
        address=address,
        version=version,
        digest=noted.get(carried.DIGEST),
        operation=OperationId(operation) if _OPERATION.fullmatch(operation) else None,
        ready=view.outcome is OutcomeKind.SUCCEEDED,
        message=view.message,
    )


def follow(one: Object | None, before: Previewed, *, uid: str) -> View:
    """How the change stands that brought ``before`` there."""
    if one is None or not marks.is_part_of(one, uid):
        return View(OutcomeKind.DELETED, "The preview was closed, or somebody made the Deployment anew.")
    latest = marks.notes_on(one).get(carried.OPERATION)
    if latest != before.operation:
        return View(OutcomeKind.SUPERSEDED, f"{told(latest or 'Somebody')[:120]} has changed it meanwhile.")
    if before.digest is not None and not any(image.endswith(before.digest) for image in images_of(one).values()):
        return View(OutcomeKind.SUPERSEDED, "Somebody has set another image meanwhile.")
    return look(one)


def look(one: Object) -> View:
    """How a Deployment stands, whoever changed it last."""
    wanted = raw.count(one, "spec", "replicas") if raw.at(one, "spec", "replicas") is not None else 1
    if raw.count(one, "status", "observedGeneration") < raw.count(one, "metadata", "generation"):
        # All else in the status is about what was before.
        return View(None, "waiting for the cluster to take it up", 0, wanted)
    updated, there = raw.count(one, "status", "updatedReplicas"), raw.count(one, "status", "replicas")
    available = raw.count(one, "status", "availableReplicas")
    done = max(0, min(updated, available - max(0, there - updated)))
    said = f"{done} of {wanted} pods available"
    conditions = {raw.text(each, "type"): each for each in raw.items(one, "status", "conditions")}
    if raw.text(conditions.get("Progressing"), "reason") == "ProgressDeadlineExceeded":
        return View(OutcomeKind.FAILED, f"It makes no progress any more: {said}.", done, wanted)
    if raw.at(one, "spec", "paused") is True:
        return View(OutcomeKind.FAILED, "It is paused in the template, so nothing is rolled out.", done, wanted)
    if updated >= wanted and there <= updated and available >= updated:
        return View(OutcomeKind.SUCCEEDED, f"{said}." if wanted else "It is scaled to zero.", wanted, wanted)
    failure = conditions.get("ReplicaFailure")
    if raw.text(failure, "status") == "True":
        return View(None, f"the cluster lets no more pods be made: {told(raw.text(failure, 'message'))}", done, wanted)
    return View(None, said, done, wanted)
