"""What runs for sure: the stable release, whatever share of the traffic something newer gets meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.domain.release import Release
from bot.domain.rollout import Running
from integrations._shared.kube import raw
from integrations._shared.kube.patches import template_images
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.running import TEMPLATE
from integrations._shared.workloads.workload import ready, replicas, runs
from integrations.argo_rollouts import books, steps
from integrations.argo_rollouts.workload import HASH

if TYPE_CHECKING:
    from bot.domain.ids import ServiceName
    from integrations._shared.kube.raw import Object
    from integrations.argo_rollouts.workload import RolloutWorkload


async def running(workload: RolloutWorkload, one: Object, holder: Object, service: ServiceName) -> Running | None:
    """What is stable now, with all that is needed to put exactly it back; None when nothing ever was."""
    stable = raw.text(one, "status", "stableRS")
    sets = await workload.replica_sets(one)
    source = next((each for each in sets if _hash(each) == stable), None) if stable else None
    if source is None:
        return None
    template = _template(source)
    if steps.stable(one) and steps.taken_up(one, holder):
        # Word for word: a ReplicaSet has the cluster's defaults in it too, and with those put back it is another
        # template, which would be rolled out as if it were something new.
        template = raw.at(holder, "spec", "template") or template
    container = workload.holder(one).containers(holder)[0]
    pods = [pod for pod in await workload.pods(one) if raw.text(pod, "metadata", "labels", HASH) == stable]
    up = [pod for pod in pods if ready(pod)]
    digest = next((found for pod in [*up, *pods] if (found := runs(pod, container))), None)
    artifact = image.artifact(template_images(template).get(container, ""), digest)
    version = books.version_of(holder, artifact.digest) or image.tag_of(artifact.location)
    latest = marks.operation(holder)
    ours = latest is not None and marks.of(holder).get(marks.DIGEST) == artifact.digest
    return Running(
        release=Release(
            service=service,
            version=version or artifact.digest.removeprefix("sha256:")[:12],
            artifact=artifact,
        ),
        healthy=min(len(up), replicas(one)),
        instances=replicas(one),
        operation=latest if ours else None,
        details={TEMPLATE: json.dumps({workload.holder(one).name: template}, separators=(",", ":"))},
    )


def _hash(one: Object) -> str:
    return raw.text(one, "metadata", "labels", HASH) or raw.text(one, "spec", "template", "metadata", "labels", HASH)


def _template(source: Object) -> Object:
    """The template as the Rollout has it: the hash is what its controller adds."""
    template: Object = raw.at(source, "spec", "template") or {}
    labels = {key: value for key, value in raw.texts(template, "metadata", "labels").items() if key != HASH}
    return {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}
