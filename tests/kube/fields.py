"""Who wrote which field: sets of paths, and their form in ``metadata.managedFields``.

Follows kubernetes.io/docs/reference/using-api/server-side-apply and sigs.k8s.io/structured-merge-diff v6 (fieldpath).
A path is a tuple of ``f:member``, ``k:{keys}`` and ``v:value``, as FieldsV1 writes them. Decides nothing: that is
`apply`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .resources import SETS, merge_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .resources import Object, Resource

Path = tuple[str, ...]
Fields = frozenset[Path]

UNTRACKED = frozenset(
    {
        "name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink",
        "deletionTimestamp", "deletionGracePeriodSeconds",
    }
)  # fmt: skip
DEFAULTS = {"protocol": "TCP"}


def leaves(resource: Resource, found: Object) -> dict[Path, Any]:
    """Every field of ``found`` that somebody may own, with its value. Items of keyed lists are fields themselves."""
    result: dict[Path, Any] = {}
    for member, value in found.items():
        if member in ("apiVersion", "kind"):
            continue
        if member == "metadata":
            value = {key: each for key, each in value.items() if key not in UNTRACKED}
            if not value:
                continue
        result.update(_leaves(value, (f"f:{member}",), (member,), resource.custom))
    return result


def _leaves(value: Any, path: Path, names: tuple[str, ...], custom: bool) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for member, each in value.items():
            yield from _leaves(each, (*path, f"f:{member}"), (*names, member), custom)
        return
    keys = None if custom and names[0] != "metadata" else merge_keys(names)
    if isinstance(value, list) and value and names[-1] in SETS:
        for item in value:
            yield (*path, f"v:{json.dumps(item)}"), item
    elif isinstance(value, list) and value and keys and all(isinstance(item, dict) for item in value):
        for item in value:
            inside = (*path, item_key(item, keys))
            yield inside, None
            for member, each in item.items():
                yield from _leaves(each, (*inside, f"f:{member}"), (*names, member), custom)
    else:
        yield path, value


def item_key(item: Object, keys: Iterable[str]) -> str:
    named = {key: item.get(key, DEFAULTS.get(key)) for key in sorted(keys)}
    return "k:" + json.dumps({key: value for key, value in named.items() if value is not None}, separators=(",", ":"))


def written(fields: Iterable[Path]) -> Object:
    """As FieldsV1."""
    root: Object = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return root


def read(tree: Object) -> Fields:
    """From FieldsV1."""

    def walk(node: Object, path: Path) -> Iterator[Path]:
        if path and (not node or "." in node):
            yield path
        for part, below in node.items():
            if part != ".":
                yield from walk(below, (*path, part))

    return frozenset(walk(tree, ()))


def told(path: Path) -> str:
    """As messages write it: ``.spec.template.spec.containers[name="web"].image``."""
    text = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "v":
            text += f"[={rest}]"
        else:
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
    return text


def remove(found: Any, path: Path) -> None:
    """Take the field at ``path`` out of ``found``, in place; what is empty after it stays."""
    for at, part in enumerate(path):
        last = at == len(path) - 1
        kind, _, rest = part.partition(":")
        if kind == "f":
            if not isinstance(found, dict) or rest not in found:
                return
            if last:
                del found[rest]
                return
            found = found[rest]
        else:
            wanted = json.loads(rest)
            index = next((i for i, item in enumerate(found) if _is(item, kind, wanted)), None)
            if index is None:
                return
            if last:
                del found[index]
                return
            found = found[index]


def _is(item: Any, kind: str, wanted: Any) -> bool:
    if kind == "v":
        return bool(item == wanted)
    return all(item.get(key, DEFAULTS.get(key)) == value for key, value in wanted.items())
