"""Whether a cluster can pull what it is to run. Judges types of images by what is told of them, and pulls nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalog.checks import block
from bot.catalog.problems import quoted
from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem


def deployed_images(
    root: Node, source: Source, clustered: Mapping[str, bool], unpullable: Mapping[str, bool]
) -> Iterator[Problem]:
    """Services that run on a cluster, and whose versions lie where the bot runs. Defaults are merged already."""
    for name, service in block(root, "services").items():
        target, kind = _typed(service, "target"), _typed(service, "images")
        if target is None or kind is None or not (_is(clustered, target) and _is(unpullable, kind)):
            continue
        message = (
            f"a target of type {quoted(str(target.value))} runs on a cluster, and no cluster can pull images of type "
            f"{quoted(str(kind.value))}, which lie on the bot's own machine; {_instead(name)}"
        )
        yield source.problem(kind.at, kind.path, message)


def previewed_images(
    listed: Node | None, services: dict[str, Node], unpullable: Mapping[str, bool], source: Source
) -> Iterator[Problem]:
    """Services that are ``listed`` for previews, and whose versions lie where the bot runs."""
    for name, node in listed.items().items() if listed else ():
        kind = _typed(services[name], "images") if name in services else None
        if kind is None or not _is(unpullable, kind):
            continue
        line, _ = source.place(kind.at)
        message = (
            f"the images of {name} are of type {quoted(str(kind.value))} (line {line}), which lie on the bot's own "
            f"machine, and no cluster can pull them; {_instead(name)}, or take {name} out of these previews"
        )
        yield source.problem(node.key_at, node.path, message)


def _typed(service: Node, key: str) -> Node | None:
    """The type that a service's target or images are of, as far as it is one."""
    given = service.get(key)
    kind = given.get("type") if given is not None else None
    return kind if kind is not None and isinstance(kind.value, str) else None


def _is(told: Mapping[str, bool], kind: Node) -> bool:
    try:
        return told.get(str(kind.value), False)
    except ConfigurationError:
        return False  # such a type is told where it is named


def _instead(name: str) -> str:
    return f"write images: {{ type: oci, repository: registry.example.com/{name} }} with your registry"
