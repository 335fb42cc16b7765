"""The rules of writing: what the API server does between a request and the store, whoever asks, a client or a
controller.

Follows kubernetes.io/docs/reference/using-api/api-concepts, apiserver's pkg/registry/generic/registry and the
strategies of apps/v1. Seen on a real 1.36 server and kept: a change that changes nothing is no write and no new
generation; on a Deployment a change of annotations alone is a new generation; ``status`` in a write of the main
endpoint is ignored with 200 where there is a status subresource, and ``/status`` ignores the spec; a Deployment's
``/status`` may write annotations.
"""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import apply, failures, kinds
from .copying import deepcopy
from .resources import BY_PLURAL, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .apply import Manager
    from .resources import Object, Resource
    from .store import Store

OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields")
"""Metadata that only the server writes."""
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Registry:
    """Reads and writes that keep the rules."""

    def __init__(self, store: Store, *, now: Callable[[], datetime] | None = None, seed: int = 7) -> None:
        self.store = store
        self.now = now or (lambda: datetime.now(UTC))
        self._random = random.Random(seed)

    def stamp(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def suffix(self, length: int = 5) -> str:
        return "".join(self._random.choice(LETTERS) for _ in range(length))

    def read(self, resource: Resource, namespace: str | None, name: str) -> Object:
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise failures.not_found(resource, name)
        return found

    def create(
        self, resource: Resource, namespace: str | None, wanted: Object, *, manager: Manager, dry_run: bool = False
    ) -> Object:
        """Raises ApiFailure: 400, 403 (namespace going, quota), 404 (no namespace), 409, 422."""
        new = deepcopy(wanted)
        meta = new.setdefault("metadata", {})
        _check_type(resource, new)
        if meta.get("resourceVersion"):
            raise failures.bad_request("resourceVersion should not be set on objects to be created")
        if resource.namespaced:
            if meta.setdefault("namespace", namespace) != namespace:
                raise failures.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            meta.pop("namespace", None)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self.suffix()
        name = meta.get("name") or ""
        if not name:
            raise failures.invalid(
                resource,
                "",
                ("FieldValueRequired", "metadata.name", "Required value: name or generateName is required"),
            )
        if resource.namespaced:
            self._admit_namespace(resource, str(namespace), name)
        if self.store.get(resource, namespace, name) is not None:
            raise failures.already_exists(resource, name)
        applied = meta.get("managedFields") if manager.operation == "Apply" else None
        for owned in OWNED:
            meta.pop(owned, None)
        if STATUS in resource.subresources and resource.kind != "Namespace":
            new.pop("status", None)
        meta |= {"uid": str(uuid.UUID(int=self._random.getrandbits(128), version=4)), "creationTimestamp": self.stamp()}
        if resource.generation:
            meta["generation"] = 1
        kinds.fill(resource, new)
        kinds.check(resource, new, None)
        if resource.kind == "Pod":
            self._admit_pod(resource, str(namespace), name)
        if applied is not None:
            meta["managedFields"] = applied
            apply.stamp(new, self.stamp())
        else:
            apply.record(resource, None, new, manager, self.stamp())
        if dry_run:
            return new
        return self.store.put(resource, (meta.get("namespace", ""), name), new)

    def update(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        change: Callable[[Object], Object],
        *,
        manager: Manager,
        dry_run: bool = False,
    ) -> Object:
        """Write what ``change`` makes of the object. Raises ApiFailure: 400, 404, 409, 422, and as ``change`` does."""
        live = self.read(resource, namespace, name)
        new = change(deepcopy(live))
        self._keep_identity(resource, live, new)
        if manager.subresource == STATUS:
            new = _status_only(resource, live, new)
        elif STATUS in resource.subresources and manager.subresource != "finalize":
            new.pop("status", None)
            if "status" in live:
                new["status"] = deepcopy(live["status"])
        if manager.subresource != STATUS:
            kinds.fill(resource, new)
            kinds.check(resource, new, live)
        if resource.generation and manager.subresource != STATUS and _wants_more(resource, live, new):
            new["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
        if manager.operation == "Apply":
            apply.stamp(new, self.stamp())
        else:
            apply.record(resource, live, new, manager, self.stamp())
        if new == live or dry_run:
            return new
        if (
            new["metadata"].get("deletionTimestamp")
            and not new["metadata"].get("finalizers")
            and not _held(resource, new)
        ):
            return self.store.remove(resource, (new["metadata"].get("namespace", ""), name))
        return self.store.put(resource, (new["metadata"].get("namespace", ""), name), new)

    def server_side_apply(
        self, resource: Resource, namespace: str | None, name: str, applied: Object, *, manager: Manager, force: bool,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:  # fmt: skip
        """The object, and whether it was created. Raises ApiFailure as `update`, and 409 for fields of others."""
        _check_type(resource, applied, strict=True)
        if applied.get("metadata", {}).get("managedFields"):
            raise failures.bad_request("metadata.managedFields must be nil")
        if self.store.get(resource, namespace, name) is None:
            meta: Object = {"name": name} | ({"namespace": namespace} if resource.namespaced else {})
            seed: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}
            new = apply.merged(resource, seed, applied, manager, force=force)
            return self.create(resource, namespace, new, manager=manager, dry_run=dry_run), True

        def change(live: Object) -> Object:
            return apply.merged(resource, live, applied, manager, force=force)

        return self.update(resource, namespace, name, change, manager=manager, dry_run=dry_run), False

    def _keep_identity(self, resource: Resource, live: Object, new: Object) -> None:
        _check_type(resource, new, strict=True)
        meta, was = new.setdefault("metadata", {}), live["metadata"]
        name = was["name"]
        if meta.setdefault("name", name) != name:
            raise failures.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            )
        if resource.namespaced and meta.setdefault("namespace", was["namespace"]) != was["namespace"]:
            raise failures.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if meta.get("uid") and meta["uid"] != was["uid"]:
            said = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            raise failures.conflict(resource, name, said)
        if meta.get("resourceVersion") and meta["resourceVersion"] != was["resourceVersion"]:
            raise failures.conflict(resource, name, failures.MODIFIED)
        applied = meta.get("managedFields")
        for owned in OWNED:
            meta.pop(owned, None)
            if owned in was:
                meta[owned] = deepcopy(was[owned])
        if applied is not None:  # `apply` has written it; a client's own is overwritten by `record`
            meta["managedFields"] = applied
        meta["resourceVersion"] = was["resourceVersion"]

    def _admit_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        spaces = BY_PLURAL["namespaces"]
        found = self.store.get(spaces, None, namespace)
        if found is None:
            raise failures.not_found(spaces, namespace)
        if found["metadata"].get("deletionTimestamp"):
            said = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
            raise failures.forbidden(resource, name, said, causes=[cause | {"field": "metadata.namespace"}])

    def _admit_pod(self, resource: Resource, namespace: str, name: str) -> None:
        quotas = self.store.all(BY_PLURAL["resourcequotas"], namespace)
        used = len(self.store.all(resource, namespace)) if quotas else 0
        for quota in quotas:
            hard = quota.get("spec", {}).get("hard", {})
            for key in ("pods", "count/pods"):
                if key in hard and used + 1 > int(hard[key]):
                    said = (
                        f"exceeded quota: {quota['metadata']['name']}, requested: {key}=1, used: {key}={used},"
                        f" limited: {key}={hard[key]}"
                    )
                    raise failures.forbidden(resource, name, said)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        options: Object | None = None,
        *,
        dry_run: bool = False,
    ) -> Object:
        """What a DELETE answers: a Status when it is gone, the object while it goes. Raises ApiFailure: 404, 409."""
        options = options or {}
        live = self.read(resource, namespace, name)
        meta = live["metadata"]
        _check_preconditions(resource, live, options.get("preconditions") or {})
        finalizers = list(meta.get("finalizers") or [])
        added = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(options.get("propagationPolicy") or "")
        if added and added not in finalizers:
            finalizers.append(added)
        grace = 0
        if resource.graceful and live.get("spec", {}).get("nodeName"):
            asked = options.get("gracePeriodSeconds")
            grace = live["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else int(asked)
        place = (meta.get("namespace", ""), name)
        if not finalizers and not grace and not _held(resource, live):
            gone = live if dry_run else self.store.remove(resource, place)
            return _deleted(resource, gone)
        if meta.get("deletionTimestamp") and grace >= meta.get("deletionGracePeriodSeconds", 0):
            return live
        meta["deletionTimestamp"] = (
            (self.now() + timedelta(seconds=grace)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        meta["deletionGracePeriodSeconds"] = grace
        if finalizers:
            meta["finalizers"] = finalizers
        if resource.generation:
            meta["generation"] = meta.get("generation", 1) + 1
        if resource.kind == "Namespace":
            live["status"]["phase"] = "Terminating"
        return live if dry_run else self.store.put(resource, place, live)


def _check_type(resource: Resource, found: Object, *, strict: bool = False) -> None:
    if not isinstance(found, dict):
        raise failures.bad_request("the object provided is unrecognized (must be of type " + resource.kind + ")")
    found.setdefault("apiVersion", "" if strict else resource.api_version)
    found.setdefault("kind", "" if strict else resource.kind)
    if (found["apiVersion"], found["kind"]) != (resource.api_version, resource.kind):
        raise failures.bad_request(
            f"{found['kind'] or 'object'} in version {found['apiVersion'] or 'unknown'!r} cannot be handled as a"
            f" {resource.kind}: the API version in the data ({found['apiVersion']}) does not match the expected API"
            f" version ({resource.api_version})"
        )


def _status_only(resource: Resource, live: Object, new: Object) -> Object:
    """What a write of ``/status`` may change."""
    result = deepcopy(live)
    if "status" in new:
        result["status"] = new["status"]
    else:
        result.pop("status", None)
    meta = result["metadata"]
    if not resource.custom:  # labels and spec are put back, annotations are not: the controller writes the revision so
        if "annotations" in new["metadata"]:
            meta["annotations"] = new["metadata"]["annotations"]
        else:
            meta.pop("annotations", None)
    return result


def _wants_more(resource: Resource, live: Object, new: Object) -> bool:
    if resource.custom:
        ignored = {"metadata", "status"} if STATUS in resource.subresources else {"metadata"}
        return {k: v for k, v in live.items() if k not in ignored} != {k: v for k, v in new.items() if k not in ignored}
    if live.get("spec") != new.get("spec"):
        return True
    notes = [each["metadata"].get("annotations") or {} for each in (live, new)]
    return resource.kind == "Deployment" and notes[0] != notes[1]


def _held(resource: Resource, found: Object) -> bool:
    """A namespace goes only when it is empty and its own finalizer is off."""
    return resource.kind == "Namespace" and bool(found.get("spec", {}).get("finalizers"))


def _check_preconditions(resource: Resource, live: Object, wanted: Object) -> None:
    meta = live["metadata"]
    if wanted.get("uid") and wanted["uid"] != meta["uid"]:
        said = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {meta['uid']}"
        raise failures.conflict(resource, meta["name"], said)
    if wanted.get("resourceVersion") and wanted["resourceVersion"] != meta["resourceVersion"]:
        said = (
            f"Precondition failed: ResourceVersion in precondition: {wanted['resourceVersion']}, ResourceVersion in"
            f" object meta: {meta['resourceVersion']}"
        )
        raise failures.conflict(resource, meta["name"], said)


def _deleted(resource: Resource, gone: Object) -> Object:
    if resource.graceful:
        return gone
    details: Object = {"name": gone["metadata"]["name"]}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "uid": gone["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
