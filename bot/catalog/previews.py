"""Whether what previews name exists, and whether each service and each name of a preview is one kind's only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalog.checks import block, named, unknown
from bot.catalog.problems import nearest, quoted
from bot.catalog.pulling import previewed_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem


def previewed(root: Node, source: Source, unpullable: Mapping[str, bool]) -> Iterator[Problem]:
    """The problems between previews and the rest of a document whose defaults are merged already.

    ``unpullable`` are the types of images that lie where the bot runs. Looks only at what has the right shape.
    """
    kinds = block(root, "previews")
    yield from named(kinds, "kind of previews", source)
    clusters, services = block(root, "clusters"), block(root, "services")
    taken: dict[str, Node] = {}
    called: dict[tuple[str, str], str] = {}
    for kind in kinds.values():
        yield from _placed(kind.get("cluster"), clusters, source)
        yield from _of_services(kind.get("services"), services, taken, source)
        yield from previewed_images(kind.get("services"), services, unpullable, source)
    for name, kind in kinds.items():
        where, pattern = _text(kind.get("cluster")), kind.get("namespaces")
        if where is None or pattern is None or not isinstance(pattern.value, str):
            continue
        other = called.setdefault((where, pattern.value), name)
        if other != name:
            message = f"previews of {other} on the cluster {where} are called {quoted(pattern.value)} already"
            yield source.problem(pattern.at, pattern.path, message)


def _placed(node: Node | None, clusters: dict[str, Node], source: Source) -> Iterator[Problem]:
    name = _text(node)
    if node is None or name is None or name in clusters:
        return
    if clusters:
        yield unknown(node, name, "cluster", tuple(clusters), source)
    else:
        message = f"there is no cluster {quoted(name)}; say under 'clusters' how it is reached"
        yield source.problem(node.at, node.path, message)


def _of_services(
    listed: Node | None, services: dict[str, Node], taken: dict[str, Node], source: Source
) -> Iterator[Problem]:
    for name, node in listed.items().items() if listed else ():
        if name not in services:
            guess = nearest(name, tuple(services))
            message = f"there is no service {quoted(name)}"
            yield source.problem(node.key_at, node.path, message, allowed=tuple(services), nearest=guess)
        elif name in taken:
            line, _ = source.place(taken[name].key_at)
            message = f"{name} has previews in line {line} already; a service has one kind of previews"
            yield source.problem(node.key_at, node.path, message)
        else:
            taken[name] = node


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and isinstance(node.value, str) else None
