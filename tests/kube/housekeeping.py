"""What a cluster cleans up by itself: dependents whose owners are gone, and namespaces that are being deleted.

Follows kubernetes.io/docs/concepts/architecture/garbage-collection and /tasks/administer-cluster/namespaces (a
namespace ends only when it is empty; what has finalizers keeps it in Terminating).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .apply import Manager
from .failures import ApiFailure
from .resources import BY_PLURAL, RESOURCES

if TYPE_CHECKING:
    from .resources import Object, Resource
    from .server import KubeServer

MANAGER = Manager("kube-controller-manager")


class Housekeeper:
    """The garbage collector and the namespace controller."""

    def __init__(self, server: KubeServer) -> None:
        self._server, self._registry = server, server.registry

    async def run(self) -> None:
        """Clean up after every change, until cancelled."""
        seen = -1
        while True:
            await self._server.store.news(seen)
            seen = len(self._server.store.changes)
            self.tidy()

    def tidy(self) -> None:
        """Everything that is due now."""
        while any([self._collect(), self._empty()]):
            pass

    def _collect(self) -> bool:
        store, did = self._server.store, False
        everything = store.peek()
        alive = {each["metadata"]["uid"] for _, each in everything}
        for resource, each in everything:
            meta = each["metadata"]
            owners = meta.get("ownerReferences") or []
            if owners and not any(owner["uid"] in alive for owner in owners) and not meta.get("deletionTimestamp"):
                did |= self._delete(resource, each)
        for resource, each in everything:
            if each["metadata"].get("deletionTimestamp"):
                did |= self._finish(resource, each, everything)
        return did

    def _finish(self, resource: Resource, going: Object, everything: list[tuple[Resource, Object]]) -> bool:
        """Foreground deletion waits for the dependents; orphaning lets them go first."""
        meta = going["metadata"]
        finalizers = meta.get("finalizers") or []
        mine = [(kind, each) for kind, each in everything if _owned(each, meta["uid"])]
        if "orphan" in finalizers:
            for kind, each in mine:
                self._write(
                    kind,
                    each,
                    {"ownerReferences": [o for o in each["metadata"]["ownerReferences"] if o["uid"] != meta["uid"]]},
                )
            return self._release(resource, going, "orphan")
        if "foregroundDeletion" in finalizers:
            if not mine:
                return self._release(resource, going, "foregroundDeletion")
            return (
                sum(self._delete(kind, each) for kind, each in mine if not each["metadata"].get("deletionTimestamp"))
                > 0
            )
        return False

    def _release(self, resource: Resource, going: Object, finalizer: str) -> bool:
        left = [each for each in going["metadata"]["finalizers"] if each != finalizer]
        return self._write(resource, going, {"finalizers": left})

    def _write(self, resource: Resource, found: Object, meta: Object) -> bool:
        def change(live: Object) -> Object:
            live["metadata"] |= meta
            live["metadata"] = {key: value for key, value in live["metadata"].items() if value != []}
            return live

        with suppress(ApiFailure):
            self._registry.update(
                resource, found["metadata"].get("namespace"), found["metadata"]["name"], change, manager=MANAGER
            )
            return True
        return False

    def _delete(self, resource: Resource, found: Object) -> bool:
        with suppress(ApiFailure):
            meta = found["metadata"]
            self._registry.delete(
                resource, meta.get("namespace"), meta["name"], {"preconditions": {"uid": meta["uid"]}}
            )
            return True
        return False

    def _empty(self) -> bool:
        spaces, did = BY_PLURAL["namespaces"], False
        for space in self._server.store.all(spaces):
            if not space["metadata"].get("deletionTimestamp") or not space["spec"].get("finalizers"):
                continue
            name, left = space["metadata"]["name"], []
            for resource in RESOURCES:
                for each in self._server.store.all(resource, name) if resource.namespaced else []:
                    if not each["metadata"].get("deletionTimestamp"):
                        did |= self._delete(resource, each)
                left += self._server.store.all(resource, name) if resource.namespaced else []
            did |= self._stuck(space, left) if left else self._finalize(name)
        return did

    def _finalize(self, name: str) -> bool:
        def change(live: Object) -> Object:
            live["spec"]["finalizers"] = []
            return live

        with suppress(ApiFailure):
            self._registry.update(
                BY_PLURAL["namespaces"], None, name, change, manager=Manager(MANAGER.name, "Update", "finalize")
            )
            return True
        return False

    def _stuck(self, space: Object, left: list[Object]) -> bool:
        """Say in the status what keeps the namespace."""
        kinds = sorted({each["kind"] for each in left})
        names = sorted({finalizer for each in left for finalizer in each["metadata"].get("finalizers") or []})
        said = "Some resources are remaining: " + ", ".join(
            f"{kind.lower()}s has {sum(e['kind'] == kind for e in left)} resource instances" for kind in kinds
        )
        conditions = [
            {"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain", "message": said}
        ]
        if names:
            more = "Some content in the namespace has finalizers remaining: " + ", ".join(names)
            conditions.append(
                {
                    "type": "NamespaceFinalizersRemaining",
                    "status": "True",
                    "reason": "SomeFinalizersRemain",
                    "message": more,
                }
            )
        if space["status"].get("conditions") == conditions:
            return False

        def change(live: Object) -> Object:
            live["status"]["conditions"] = conditions
            return live

        with suppress(ApiFailure):
            by = Manager(MANAGER.name, "Update", "status")
            self._registry.update(BY_PLURAL["namespaces"], None, space["metadata"]["name"], change, manager=by)
            return True
        return False


def _owned(found: Object, uid: str) -> bool:
    return any(each["uid"] == uid for each in found["metadata"].get("ownerReferences") or [])
