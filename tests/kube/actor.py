"""What the simulated controllers have in common: their name on what they write, conditions, and events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from .apply import Manager
from .failures import ApiFailure
from .patches import merge_patch
from .resources import BY_PLURAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock
    from .resources import Object
    from .server import KubeServer


class Actor:
    """Reads and writes past HTTP, through the same rules as everybody."""

    manager = "kube-controller-manager"
    component = "controller"

    def __init__(self, server: KubeServer, clock: Clock) -> None:
        self.server, self.clock = server, clock
        self.registry, self.store = server.registry, server.store

    def write(
        self, kind: str, found: Object, change: Callable[[Object], Any], *, status: bool = False
    ) -> Object | None:
        """Change the object as it is now, in place by ``change``; None when it has gone."""

        def apply(live: Object) -> Object:
            change(live)
            return live

        meta = found["metadata"]
        by = Manager(self.manager, "Update", "status" if status else "")
        try:
            return self.registry.update(BY_PLURAL[kind], meta.get("namespace"), meta["name"], apply, manager=by)
        except ApiFailure as failure:
            if failure.code == 404:
                return None
            raise

    def change(self, kind: str, found: Object, patch: Object) -> Object | None:
        """A merge patch."""
        return self.write(kind, found, lambda live: live.update(merge_patch(live, patch)))

    def create(self, kind: str, namespace: str, wanted: Object) -> Object:
        return self.registry.create(BY_PLURAL[kind], namespace, wanted, manager=Manager(self.manager))

    def delete(self, kind: str, found: Object, **options: Any) -> None:
        meta = found["metadata"]
        try:
            self.registry.delete(BY_PLURAL[kind], meta.get("namespace"), meta["name"], options)
        except ApiFailure as failure:
            if failure.code != 404:
                raise

    def owned(self, kind: str, owner: Object) -> list[Object]:
        """What ``owner`` controls, oldest first."""
        found = self.store.see(BY_PLURAL[kind], of=owner["metadata"]["uid"])
        return sorted(found, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))

    def event(self, about: Object, reason: str, message: str, kind: str = "Normal") -> None:
        """Tell it in an Event, or count it once more when it was told already."""
        meta, now = about["metadata"], self.clock.stamp()

        def same(each: Object) -> bool:
            return bool(each["reason"] == reason and each["message"] == message)

        for each in filter(same, self.store.see(BY_PLURAL["events"], of=meta["uid"])):
            self.write("events", each, lambda live: live.update(count=live["count"] + 1, lastTimestamp=now))
            return
        involved = {
            "kind": about["kind"], "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"],
            "apiVersion": about["apiVersion"], "resourceVersion": meta["resourceVersion"],
        }  # fmt: skip
        if meta["namespace"] in self._going():
            return
        self.create("events", meta["namespace"], {
            "metadata": {"name": f"{meta['name']}.{self.registry.suffix(16)}", "namespace": meta["namespace"]},
            "involvedObject": involved, "reason": reason, "message": message, "type": kind, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "source": {"component": self.component},
            "reportingComponent": self.component,
        })  # fmt: skip

    def _going(self) -> set[str]:
        spaces = self.store.see(BY_PLURAL["namespaces"])
        return {each["metadata"]["name"] for each in spaces if each["metadata"].get("deletionTimestamp")}


class Paced(Actor):
    """One that goes on by itself inside ``async with``."""

    _running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """For ever."""
        raise NotImplementedError

    def start(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Stand still; `start` goes on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def owner_reference(owner: Object) -> Object:
    meta = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def condition(status: Object, kind: str) -> Object | None:
    return next((each for each in status.get("conditions") or [] if each["type"] == kind), None)


def drop_condition(status: Object, kind: str) -> None:
    if "conditions" in status:
        status["conditions"] = [each for each in status["conditions"] if each["type"] != kind]


def set_condition(status: Object, new: Object) -> None:
    """As the Deployment controller does: the moment of change is that of the status."""
    now = condition(status, new["type"])
    if now and (now["status"], now["reason"]) == (new["status"], new["reason"]):
        return
    if now and now["status"] == new["status"]:
        new = {**new, "lastTransitionTime": now["lastTransitionTime"]}
    drop_condition(status, new["type"])
    status.setdefault("conditions", []).append(new)
