"""What runs now: told by the digests of pods that run, not by what a template asks for."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.release import Artifact, Release
from bot.domain.rollout import Running
from integrations._shared.kube import raw
from integrations._shared.kube.patches import images_of, template_images
from integrations._shared.workloads import image, marks
from integrations._shared.workloads.workload import HASH, ready, replicas, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.ids import ServiceName
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload

TEMPLATE = "template"
"""Among the details: the whole raw template of each Deployment, by its name, as JSON."""


@dataclass(frozen=True, slots=True)
class Look:
    """One Deployment with its pods at one moment."""

    workload: Workload
    one: Object
    pods: Sequence[Object]
    container: str
    """The first of those that run the release."""

    @property
    def asked(self) -> str:
        """The image that its template asks for."""
        return images_of(self.one).get(self.container, "")

    def running(self) -> str | None:
        """The digest that most of its pods run, ready ones first; None when none has ever run or nobody can tell."""
        for pods in ([pod for pod in self.pods if ready(pod)], self.pods):
            digests = Counter(digest for pod in pods if (digest := runs(pod, self.container)) is not None)
            if digests:
                return digests.most_common(1)[0][0]
        return None


async def look(workload: Workload, one: Object) -> Look:
    """A look at a Deployment that was just read."""
    return Look(workload, one, await workload.pods(one), workload.containers(one)[0])


async def running(looks: Sequence[Look], service: ServiceName) -> Running:
    """What they run, as one release: that of the first of them. All that is needed to put exactly this back."""
    first = looks[0]
    digest = first.running()
    release = Release(service=service, version="", artifact=image.artifact(first.asked, None))
    operation, templates = None, {}
    for each in looks:
        source = await _source(each)
        templates[each.workload.name] = template = _template(source)
        if each is first:
            asked = template_images(template).get(first.container, first.asked)
            release = _release(source, service, image.artifact(asked, digest))
            operation = marks.operation(source) if _is_ours(source) else None
    healthy = sum(
        ready(pod) and (runs(pod, each.container) or release.artifact.digest) == release.artifact.digest
        for each in looks
        for pod in each.pods
    )
    return Running(
        release=release,
        healthy=healthy,
        instances=sum(replicas(each.one) for each in looks),
        operation=operation,
        details={TEMPLATE: json.dumps(templates, separators=(",", ":"))},
    )


def recorded(to: Running) -> dict[str, Object]:
    """The templates that were recorded, by the name of their Deployment."""
    try:
        found = json.loads(to.details.get(TEMPLATE, "{}"))
    except (ValueError, RecursionError):
        return {}
    return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


async def _source(each: Look) -> Object:
    """Where the template of the pods that run is from: while a rollout goes on or is stuck, an older ReplicaSet."""
    digest, asked = each.running(), image.digest_of(each.asked)
    if digest is None or asked is None or digest == asked:
        return each.one
    hashes = {raw.text(pod, "metadata", "labels", HASH) for pod in each.pods if runs(pod, each.container) == digest}
    for older in await each.workload.replica_sets(each.one):
        if raw.text(older, "spec", "template", "metadata", "labels", HASH) in hashes:
            return older
    return each.one


def _template(source: Object) -> Object:
    """The template as a Deployment has it: the hash is what its controller adds."""
    template: Object = raw.at(source, "spec", "template") or {}
    if not raw.text(template, "metadata", "labels", HASH):
        return template
    labels = {key: value for key, value in raw.texts(template, "metadata", "labels").items() if key != HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _release(one: Object, service: ServiceName, artifact: Artifact) -> Release:
    version = marks.version(one) if marks.of(one).get(marks.DIGEST) == artifact.digest else None
    tag = image.tag_of(artifact.location)
    digest = artifact.digest.removeprefix("sha256:")[:12]
    return Release(service=service, version=version or tag or digest, artifact=artifact)


def _is_ours(one: Object) -> bool:
    """Whether its images still are as the last operation left them."""
    now, left = images_of(one), marks.images(one)
    return bool(left) and all(image.same(now.get(name, ""), wanted) for name, wanted in left.items())
