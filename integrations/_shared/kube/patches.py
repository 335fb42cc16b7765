"""JSON Patches that change only what they looked at: each begins with tests, and a failed one changes nothing.

Never a merge of any kind for templates: one adds a container for a misspelt name, the other drops those left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderRejected
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations._shared.kube.raw import Object

Operation = dict[str, Any]

KINDS = ("containers", "initContainers")
_TEMPLATE = ("spec", "template")


def pointer(*parts: str | int) -> str:
    """The JSON Pointer to ``parts``, whatever characters they have."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def same_object(one: Object) -> list[Operation]:
    """Tests that it is still this very object, as it was when it was read: nobody changed what it should be."""
    operations: list[Operation] = [{"op": "test", "path": "/metadata/uid", "value": raw.uid(one)}]
    generation = raw.at(one, "metadata", "generation")
    if generation is not None:
        operations.append({"op": "test", "path": "/metadata/generation", "value": generation})
    return operations


def set_images(one: Object, images: Mapping[str, str]) -> list[Operation]:
    """Gives containers, by name and init containers too, other images. Raises `ProviderRejected` for unknown ones."""
    operations: list[Operation] = []
    left = dict(images)
    for kind in KINDS:
        for index, container in enumerate(raw.items(one, *_TEMPLATE, "spec", kind)):
            name = raw.text(container, "name")
            if name in left:
                at = ("spec", "template", "spec", kind, index)
                operations.append({"op": "test", "path": pointer(*at, "name"), "value": name})
                operations.append({"op": "replace", "path": pointer(*at, "image"), "value": left.pop(name)})
    if left:
        there = told(", ".join(images_of(one))) or "none"
        raise ProviderRejected(
            f"{raw.called(one)} has no container {told(', '.join(sorted(left)))}; it has: {there}.", provider=PROVIDER
        )
    return operations


def set_template(template: Object) -> list[Operation]:
    """Puts a whole template in the place of the one that is there."""
    return [{"op": "replace", "path": pointer(*_TEMPLATE), "value": template}]


def set_annotations(one: Object, annotations: Mapping[str, str]) -> list[Operation]:
    """Sets annotations of the object itself, never of its template: that would start pods anew."""
    operations: list[Operation] = []
    if not isinstance(raw.at(one, "metadata", "annotations"), dict):
        operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    operations += [
        {"op": "add", "path": pointer("metadata", "annotations", key), "value": value}
        for key, value in annotations.items()
    ]
    return operations


def images_of(one: Object) -> dict[str, str]:
    """The image of each container of its template, init containers too, by name."""
    return template_images(raw.at(one, *_TEMPLATE))


def template_images(template: object) -> dict[str, str]:
    """The image of each container of a template, by name."""
    return {
        raw.text(container, "name"): raw.text(container, "image")
        for kind in KINDS
        for container in raw.items(template, "spec", kind)
    }
