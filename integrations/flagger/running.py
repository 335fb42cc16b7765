"""What runs now: what the primary runs, which gets the traffic, by the name that the changed Deployment has for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from integrations._shared.kube import patches, raw
from integrations._shared.workloads import image, marks
from integrations._shared.workloads import running as plain
from integrations._shared.workloads.workload import HASH

if TYPE_CHECKING:
    from bot.domain.ids import ServiceName
    from bot.domain.rollout import Running
    from integrations._shared.kube.raw import Object
    from integrations.flagger.place import Place


async def current(place: Place, service: ServiceName) -> Running | None:
    """What most pods of the primary run; before Flagger has made one, what the Deployment itself runs."""
    one = await place.workload.read()
    if one is None:
        return None
    primary = await place.primary.read()
    if primary is None:
        return await plain.running([await plain.look(place.workload, one)], service)
    found = await plain.running([await plain.look(place.primary, primary)], service)
    digest = found.release.artifact.digest
    source = await _source(place, one, digest)
    # Flagger makes the primary's template of the Deployment's, with other names in it: only the latter can be put back.
    template = _template(source) if source is not None else _with_images_of(primary, one)
    version = marks.version(source) if source is not None and marks.of(source).get(marks.DIGEST) == digest else None
    return replace(
        found,
        release=replace(found.release, version=version or found.release.version),
        operation=marks.operation(source) if version is not None and source is not None else None,
        details={plain.TEMPLATE: json.dumps({place.workload.name: template}, separators=(",", ":"))},
    )


async def _source(place: Place, one: Object, digest: str) -> Object | None:
    """Where the primary's template is from: the Deployment, or after a failed analysis an older ReplicaSet of its."""
    if place.digest(one) == digest:
        return one
    for each in await place.workload.replica_sets(one):
        images = patches.images_of(each)
        if any(image.digest_of(images.get(name, "")) == digest for name in place.workload.containers(one)):
            return each
    return None


def _template(source: Object) -> Object:
    """The template without what controllers add."""
    template: Object = raw.at(source, "spec", "template") or {}
    labels = {key: value for key, value in raw.texts(template, "metadata", "labels").items() if key != HASH}
    return {**template, "metadata": {**(raw.at(template, "metadata") or {}), "labels": labels}}


def _with_images_of(primary: Object, one: Object) -> Object:
    """The Deployment's template with the images that the primary has."""
    template, images = _template(one), patches.images_of(primary)
    spec = dict(raw.at(template, "spec") or {})
    for kind in patches.KINDS:
        if isinstance(spec.get(kind), list):
            spec[kind] = [
                {**each, "image": images.get(raw.text(each, "name"), raw.text(each, "image"))}
                for each in raw.items(spec, kind)
            ]
    return {**template, "spec": spec}
