"""Who owns what after a write, and server-side apply.

Follows kubernetes.io/docs/reference/using-api/server-side-apply, structured-merge-diff's merge/update.go and
apiserver's managedfields (words of a conflict). Seen on a real 1.36 server: without force a field of another manager
is ``409 Apply failed with 1 conflict: conflict with "kubectl-create" …``; with force it is taken; applying again is
no write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import failures, fields
from .copying import deepcopy
from .resources import SETS, STATUS, merge_keys

if TYPE_CHECKING:
    from .fields import Fields
    from .resources import Object, Resource


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, how, and through which subresource."""

    name: str
    operation: str = "Update"
    subresource: str = ""

    def told(self, api_version: str) -> str:
        text = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return text if self.operation == "Apply" else f"{text} using {api_version}"


Owners = dict[Manager, "Fields"]


def owners(found: Object) -> Owners:
    """From ``metadata.managedFields``."""
    return {
        Manager(each["manager"], each["operation"], each.get("subresource", "")): fields.read(each["fieldsV1"])
        for each in found.get("metadata", {}).get("managedFields") or []
    }


def _entries(resource: Resource, now: Owners, before: list[Object], time: str) -> list[Object]:
    old = {(each["manager"], each["operation"], each.get("subresource", "")): each for each in before}
    result = []
    for manager, owned in now.items():
        if not owned:
            continue
        same = old.get((manager.name, manager.operation, manager.subresource))
        if same and fields.read(same["fieldsV1"]) == owned:
            result.append(same)
            continue
        entry: Object = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": resource.api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.written(owned),
        }
        result.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
    return result


def record(resource: Resource, before: Object | None, after: Object, manager: Manager, time: str) -> None:
    """Write into ``after`` that ``manager`` made it of ``before``, with a write that is no apply."""
    old, new = fields.leaves(resource, before or {}), fields.leaves(resource, after)
    foreign = "" if STATUS not in resource.subresources else "f:spec" if manager.subresource == STATUS else "f:status"
    changed = {path for path, value in new.items() if path[0] != foreign and (path not in old or old[path] != value)}
    gone = old.keys() - new.keys()
    now: Owners = {each: owned - changed - gone for each, owned in owners(before or {}).items()}
    now[manager] = (now.get(manager, frozenset()) | changed) - gone
    _write(resource, before, after, now, time)


def _write(resource: Resource, before: Object | None, after: Object, now: Owners, time: str) -> None:
    entries = _entries(resource, now, (before or {}).get("metadata", {}).get("managedFields") or [], time)
    after["metadata"].pop("managedFields", None)
    if entries:
        after["metadata"]["managedFields"] = entries


def merged(resource: Resource, live: Object, applied: Object, manager: Manager, *, force: bool) -> Object:
    """``live`` after ``manager`` applied ``applied``; its ``managedFields`` tell the owners, as yet without times.

    Raises:
        ApiFailure: 409 where another manager owns a field that would change, unless forced.
    """
    wanted, present = fields.leaves(resource, applied), fields.leaves(resource, live)
    held = owners(live)
    fought = [
        (other, path)
        for other, owned in held.items()
        if other != manager
        for path, value in sorted(wanted.items())
        if path in owned and path in present and present[path] != value
    ]
    if fought and not force:
        raise _conflict(resource, fought)
    result = _merge(live, applied, (), resource.custom)
    others: set[fields.Path] = set()
    for each, owned in held.items():
        if each != manager:
            others |= owned
    for path in sorted(held.get(manager, frozenset()) - wanted.keys(), key=len, reverse=True):
        if not any(other[: len(path)] == path for other in others) and not any(
            want[: len(path)] == path for want in wanted
        ):
            fields.remove(result, path)
    lost = {path for _, path in fought}
    now = {each: owned - lost if each != manager else owned for each, owned in held.items()}
    now[manager] = frozenset(wanted)
    left = fields.leaves(resource, result).keys()
    _write(resource, live, result, {each: owned & left for each, owned in now.items()}, "")
    return dict(result)


def stamp(found: Object, time: str) -> None:
    """Give the entries that `merged` changed their time, once it is certain that there is something to write."""
    for entry in found["metadata"].get("managedFields", []):
        entry["time"] = entry["time"] or time


def _merge(live: Any, applied: Any, names: tuple[str, ...], custom: bool) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict):
        result = deepcopy(live)
        for member, value in applied.items():
            result[member] = _merge(live.get(member), value, (*names, member), custom)
        return result
    if isinstance(applied, list) and isinstance(live, list) and names:
        if names[-1] in SETS:
            return [*live, *(item for item in applied if item not in live)]
        keys = None if custom and names[0] != "metadata" else merge_keys(names)
        if keys:
            wanted = {fields.item_key(item, keys): item for item in applied}
            there = [fields.item_key(item, keys) for item in live]
            items = [_merge(item, wanted.get(key, {}), names, custom) for key, item in zip(there, live, strict=True)]
            return [*items, *(deepcopy(item) for key, item in wanted.items() if key not in there)]
    return deepcopy(applied)


def _conflict(resource: Resource, fought: list[tuple[Manager, fields.Path]]) -> failures.ApiFailure:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager.told(resource.api_version)}",
            "field": fields.told(path),
        }
        for manager, path in fought
    ]
    if len(fought) == 1:
        (manager, path) = fought[0]
        said = f"Apply failed with 1 conflict: conflict with {manager.told(resource.api_version)}: {fields.told(path)}"
        return failures.apply_conflict(said, causes)
    lines = []
    for told in sorted({manager.told(resource.api_version) for manager, _ in fought}):
        lines.append(f"conflicts with {told}:")
        lines += [f"- {fields.told(path)}" for manager, path in fought if manager.told(resource.api_version) == told]
    return failures.apply_conflict(f"Apply failed with {len(fought)} conflicts: " + "\n".join(lines), causes)
