"""The three kinds of patches that change an object in place: JSON Patch, merge patch and strategic merge patch.

Follows RFC 6902, RFC 7386 and kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch. On
a real 1.36 server it was seen that a failed ``test`` is an uninformative 422, that a merge patch replaces a list of
containers, and that a strategic merge with a misspelt container name adds a container. Server-side apply is in
`apply`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import failures
from .copying import deepcopy
from .resources import SETS, strategic_key

if TYPE_CHECKING:
    from .resources import Object

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

_MISSING = object()


def json_patch(document: Object, operations: Any) -> Object:
    """``document`` after the operations, all of them or none.

    Raises:
        ApiFailure: 400 for what is no JSON Patch, 422 for one that does not fit the document.
    """
    if not isinstance(operations, list) or not all(isinstance(each, dict) and "op" in each for each in operations):
        raise failures.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    result: Any = deepcopy(document)
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            raise failures.patch_failed() from None
    return dict(result)


def _operate(document: Any, operation: Object) -> Any:
    what, path = operation["op"], _pointer(operation["path"])
    match what:
        case "test":
            found = _find(document, path)
            if found is _MISSING or not _same(found, operation.get("value")):
                raise ValueError("test failed")
        case "add":
            document = _add(document, path, deepcopy(operation["value"]))
        case "replace":
            if _find(document, path) is _MISSING:
                raise KeyError("replace of what is missing")
            document = _set(document, path, deepcopy(operation["value"]))
        case "remove":
            _remove(document, path)
        case "move" | "copy":
            source = _pointer(operation["from"])
            value = _find(document, source)
            if value is _MISSING:
                raise KeyError("nothing to take")
            if what == "move":
                _remove(document, source)
            document = _add(document, path, deepcopy(value))
        case _:
            raise ValueError("unknown operation")
    return document


def _same(one: Any, other: Any) -> bool:
    return (
        type(one) is type(other) and one == other if isinstance(one, bool) or isinstance(other, bool) else one == other
    )


def _pointer(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise ValueError("a pointer begins with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(part: str, length: int) -> int:
    if not part.isdigit() or int(part) > length:
        raise IndexError(part)
    return int(part)


def _find(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, list):
            if not part.isdigit() or int(part) >= len(document):
                return _MISSING
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return _MISSING
    return document


def _parent(document: Any, path: list[str]) -> Any:
    parent = _find(document, path[:-1])
    if not isinstance(parent, dict | list):
        raise KeyError("no parent")
    return parent


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _parent(document, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        parent.insert(len(parent) if path[-1] == "-" else _index(path[-1], len(parent)), value)
    return document


def _set(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _parent(document, path)
    parent[path[-1] if isinstance(parent, dict) else int(path[-1])] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    if _find(document, path) is _MISSING or not path:
        raise KeyError("nothing to remove")
    parent = _parent(document, path)
    del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, objects are merged, all else (lists too) is replaced."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(document: Any, patch: Any, path: tuple[str, ...] = ()) -> Any:
    """Like `merge_patch`, but the items of lists with a merge key are told apart by it and merged one by one."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    patch = dict(patch)
    if (directive := patch.pop("$patch", None)) == "replace":
        return {key: value for key, value in deepcopy(patch).items() if value is not None}
    if directive == "delete":
        return {}
    retained = patch.pop("$retainKeys", None)
    result = deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name, []) if item not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merge_list(result.get(key), value, (*path, key))
        else:
            result[key] = strategic_merge(result.get(key), value, (*path, key))
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    return result


def _merge_list(present: Any, patch: list[Any], path: tuple[str, ...]) -> list[Any]:
    present = list(present) if isinstance(present, list) else []
    if path[-1] in SETS:
        return [*present, *(item for item in patch if item not in present)]
    key = strategic_key(path)
    if key is None:
        return deepcopy(patch)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [deepcopy(item) for item in patch if item.get("$patch") != "replace"]
    result = deepcopy(present)
    new: list[Any] = []
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise failures.bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, each in enumerate(result) if each.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            new.append(strategic_merge({}, item, path))
        else:
            result[at] = strategic_merge(result[at], item, path)
    return [*new, *result]  # a real server puts what is new in front
