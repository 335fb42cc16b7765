"""What the fake cluster holds, and every change of it in order: objects, resourceVersions, snapshots, and news for
watches.

Follows kubernetes.io/docs/reference/using-api/api-concepts (resource versions, watch, chunked lists). One counter for
everything, as in etcd; what is stored is never changed in place. Knows no rules of any kind: those are in `registry`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import failures
from .copying import deepcopy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .resources import Object, Resource

Place = tuple[str, str]
"""Namespace (empty: none) and name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    version: int
    kind: str
    """ADDED, MODIFIED or DELETED."""
    resource: Resource
    place: Place
    object: Object
    """As it is from now on, or as it was last, with the version of its deletion."""
    before: Object | None


class Store:
    """Objects by resource and place."""

    def __init__(self, first_version: int = 600) -> None:
        self._objects: dict[Resource, dict[Place, Object]] = {}
        self._of: dict[tuple[Resource, str], dict[Place, Object]] = {}
        self._first = self._version = first_version
        self._news = asyncio.Event()
        self.changes: list[Change] = []
        self.oldest = 0
        """Changes up to this version are forgotten: who asks for them is told 410."""

    @property
    def version(self) -> int:
        return self._version

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """A copy; None when it is not there."""
        found = self._objects.get(resource, {}).get((namespace or "", name))
        return deepcopy(found) if found is not None else None

    def all(
        self, resource: Resource, namespace: str | None = None, where: Callable[[Object], bool] | None = None
    ) -> list[Object]:
        """Copies, sorted by namespace and name; only those that ``where`` takes, which may look and not touch."""
        found = sorted(self._objects.get(resource, {}).items())
        near = [each for place, each in found if not namespace or place[0] == namespace]
        return [deepcopy(each) for each in near if where is None or where(each)]

    def see(self, resource: Resource, of: str | None = None) -> list[Object]:
        """What controllers go through in each of their rounds, sorted, and not to be changed within: no deep copies.

        ``of``: only what the object with this uid controls, or what is told about it.
        """
        found = self._objects.get(resource, {}) if of is None else self._of.get((resource, of), {})
        return [dict(each) for _, each in sorted(found.items())]

    def peek(self) -> list[tuple[Resource, Object]]:
        """Everything, to be looked at only: no copies."""
        return [(resource, each) for resource, found in self._objects.items() for each in found.values()]

    def put(self, resource: Resource, place: Place, new: Object) -> Object:
        before = self._objects.get(resource, {}).get(place)
        return self._record("ADDED" if before is None else "MODIFIED", resource, place, new, before)

    def remove(self, resource: Resource, place: Place) -> Object:
        before = self._objects[resource].pop(place)
        if (owner := _owner(before)) is not None:
            self._of[resource, owner].pop(place)
        return self._record("DELETED", resource, place, before, before)

    def _record(self, kind: str, resource: Resource, place: Place, new: Object, before: Object | None) -> Object:
        self._version += 1
        new = deepcopy(new)
        new["metadata"]["resourceVersion"] = str(self._version)
        if kind != "DELETED":
            self._objects.setdefault(resource, {})[place] = new
            was, owner = before and _owner(before), _owner(new)
            if was is not None and was != owner:
                self._of[resource, was].pop(place)
            if owner is not None:
                self._of.setdefault((resource, owner), {})[place] = new
        self.changes.append(Change(self._version, kind, resource, place, new, before))
        self._news.set()
        return deepcopy(new)

    def compact(self, version: int | None = None) -> None:
        """Forget the changes up to ``version`` (all so far)."""
        self.oldest = self._version if version is None else version

    def at(self, resource: Resource, version: int) -> list[Object]:
        """All objects as they were at ``version``. Raises ApiFailure (410) where that is forgotten."""
        if version < self.oldest:
            raise failures.continue_too_old()
        state: dict[Place, Object] = {}
        for change in self.changes:
            if change.version > version or change.resource is not resource:
                continue
            if change.kind == "DELETED":
                state.pop(change.place, None)
            else:
                state[change.place] = change.object
        return [deepcopy(each) for _, each in sorted(state.items())]

    def position(self, version: int) -> int:
        """How many changes there were up to ``version``."""
        return next((i for i, change in enumerate(self.changes) if change.version > version), len(self.changes))

    def wake(self) -> None:
        """Let all who wait for news look around."""
        self._news.set()

    async def news(self, seen: int, timeout: float | None = None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until there are more than ``seen`` changes, or ``stop`` is true after a `wake`, or time is up."""
        try:
            async with asyncio.timeout(timeout):
                while len(self.changes) <= seen and not stop():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return len(self.changes) > seen


def _owner(found: Object) -> str | None:
    """The uid of what controls it, or what it is about."""
    for each in found["metadata"].get("ownerReferences") or []:
        if each.get("controller"):
            return str(each["uid"])
    about = found.get("involvedObject", {}).get("uid")
    return None if about is None else str(about)
