"""Lists and watches, as the API server gives them.

Follows kubernetes.io/docs/reference/using-api/api-concepts: consistent chunks with ``limit`` and ``continue``, and
watches with ADDED, MODIFIED, DELETED, BOOKMARK and ERROR. An object that begins to match a selector is ADDED, one
that ceases to is DELETED. Seen on a real 1.36 server: a resourceVersion that is too large is told as an ERROR 504
inside the stream.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import failures
from .selectors import Matches, by_fields, by_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .resources import Object, Resource
    from .store import Change, Store


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects are asked for."""

    resource: Resource
    namespace: str | None
    labels: Matches
    fields: Matches

    @classmethod
    def of(cls, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Scope:
        """Raises ApiFailure (400) for selectors that are none."""
        return cls(
            resource,
            namespace,
            by_labels(query.get("labelSelector", "")),
            by_fields(query.get("fieldSelector", ""), resource),
        )

    def holds(self, found: Object | None) -> bool:
        if found is None or (self.namespace and found["metadata"].get("namespace") != self.namespace):
            return False
        return self.labels(found) and self.fields(found)


def number(text: str | None, what: str) -> int | None:
    """Raises ApiFailure (400) for what is no number."""
    if text in (None, ""):
        return None
    if not str(text).isdigit():
        raise failures.bad_request(
            f"{what}: Invalid value: {text!r}: strconv.ParseUint: parsing {text!r}: invalid syntax"
        )
    return int(str(text))


def listed(store: Store, scope: Scope, query: Mapping[str, str], *, gone: bool = False) -> Object:
    """A list object. Raises ApiFailure: 400, 410, 504."""
    limit = number(query.get("limit"), "limit") or 0
    token, start = query.get("continue"), ""
    asked = number(query.get("resourceVersion"), "resourceVersion")
    version = store.version
    if token:
        if asked:
            raise failures.bad_request("specifying resource version is not allowed when using continue")
        try:
            told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            version, start = int(told["rv"]), str(told["start"])
        except (ValueError, KeyError, TypeError):
            raise failures.bad_request("continue key is not valid") from None
        if gone:
            raise failures.continue_too_old()
    elif asked is not None and asked > version:
        raise failures.too_large(asked, version)
    elif asked and query.get("resourceVersionMatch") == "Exact":
        version = asked
    found = [each for each in store.at(scope.resource, version) if scope.holds(each)] if version != store.version else [
        *store.all(scope.resource, scope.namespace, scope.holds)
    ]  # fmt: skip
    found = [each for each in found if _key(each) > start]
    meta: Object = {"resourceVersion": str(version)}
    if limit and len(found) > limit:
        told = {"v": "meta.k8s.io/v1", "rv": version, "start": _key(found[limit - 1])}
        meta["continue"] = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        if not (query.get("labelSelector") or query.get("fieldSelector")):
            meta["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    items = (
        found
        if scope.resource.custom
        else [{k: v for k, v in each.items() if k not in ("kind", "apiVersion")} for each in found]
    )
    return {
        "kind": f"{scope.resource.kind}List",
        "apiVersion": scope.resource.api_version,
        "metadata": meta,
        "items": items,
    }


def _key(found: Object) -> str:
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def event(scope: Scope, change: Change) -> tuple[str, Object] | None:
    """How ``change`` looks to a watch of ``scope``; None when it does not concern it."""
    if change.resource is not scope.resource:
        return None
    now = scope.holds(change.object) and change.kind != "DELETED"
    before = scope.holds(change.before)
    if now:
        return ("MODIFIED" if before else "ADDED"), change.object
    if before and change.before is not None:
        gone = {**change.before, "metadata": {**change.before["metadata"], "resourceVersion": str(change.version)}}
        return "DELETED", gone
    return None


def bookmark(resource: Resource, version: int) -> Object:
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
