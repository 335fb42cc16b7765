"""The Deployment controller's own round: which ReplicaSets there are, how they are scaled, and what the status says.

Follows kubernetes' pkg/controller/deployment/{sync,rolling,recreate,progress}.go (v1.36), and the recording of a real
1.36 control plane: after it has told of a new or returning ReplicaSet, a round ends there (its next write would
conflict), so that ``NewReplicaSetCreated`` and the new revision are seen while ``observedGeneration`` is still the
old one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from . import clock as times
from .actor import Actor, condition, drop_condition, owner_reference, set_condition
from .copying import deepcopy
from .failures import ApiFailure
from .resources import BY_PLURAL
from .revisions import (
    DESIRED,
    HASH,
    MAXIMUM,
    REVISION,
    bare,
    fenceposts,
    find_new,
    notes,
    revision,
    template_hash,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .resources import Object


class _Requeue(Exception):
    """The object was changed under this round; it begins anew."""


class Deployments(Actor):
    """Syncs every Deployment that is there."""

    component = "deployment-controller"

    def tick(self) -> bool:
        """One round over all; whether anything was written."""
        before = len(self.store.changes)
        for found in self.store.see(BY_PLURAL["deployments"]):
            self.sync(found)
        return len(self.store.changes) > before

    def sync(self, found: Object) -> None:
        try:
            self._sync(found)
        except _Requeue:
            return
        except ApiFailure as failure:
            if failure.code not in (403, 404, 409):
                raise

    def _sync(self, found: Object) -> None:
        sets = self.owned("replicasets", found)
        if found["metadata"].get("deletionTimestamp"):
            return
        self._check_paused(found)
        if found["spec"].get("paused") or self._is_scaling(found, sets):
            new, old = self._split(found, sets, create=False)
            self._scale_all(found, new, old)
            self._tell(found, new, old, progress=False)
        elif found["spec"]["strategy"]["type"] == "Recreate":
            self._recreate(found, sets)
        else:
            self._roll(found, sets)

    def _roll(self, found: Object, sets: list[Object]) -> None:
        new, old = self._split(found, sets, create=True)
        assert new is not None
        if (
            not self._grow(found, new, old)
            and not self._shrink(found, new, old)
            and self._complete(found, found["status"])
        ):
            self._clean(found, old)
        self._tell(found, new, old)

    def _recreate(self, found: Object, sets: list[Object]) -> None:
        new, old = self._split(found, sets, create=False)
        if sum(self._scale(found, each, 0) for each in old if each["spec"]["replicas"]) or any(
            self.owned("pods", each) for each in old
        ):
            self._tell(found, new, old)
            return
        if new is None:
            new, old = self._split(found, sets, create=True)
            assert new is not None
        self._scale(found, new, found["spec"]["replicas"])
        if self._complete(found, found["status"]):
            self._clean(found, old)
        self._tell(found, new, old)

    def _split(self, found: Object, sets: list[Object], *, create: bool) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the template (made where it is missing) and the others."""
        new = find_new(found["spec"]["template"], sets)
        old = [each for each in sets if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]
        number = max((revision(each) for each in old), default=0) + 1
        if new is None:
            return (self._make(found, old, number), old) if create else (None, old)
        present = new["metadata"].get("annotations") or {}
        wanted = notes(found, present, number, found["spec"]["replicas"], self._most(found))
        wait = found["spec"].get("minReadySeconds", 0)
        if wanted != present or new["spec"].get("minReadySeconds", 0) != wait:

            def remember(live: Object) -> None:
                live["metadata"]["annotations"] = wanted
                live["spec"] |= {"minReadySeconds": wait} if wait else {}

            new = self.write("replicasets", new, remember) or new
        said: Object | None = None
        if self._has_deadline(found) and condition(found["status"], "Progressing") is None:
            said = self._progressing("True", "FoundNewReplicaSet", f'Found new replica set "{new["metadata"]["name"]}"')
        self._announce(found, wanted[REVISION], said)
        return new, old

    def _make(self, found: Object, old: list[Object], number: int) -> Object:
        meta, spec, template = found["metadata"], found["spec"], bare(found["spec"]["template"])
        told = template_hash(template, found["status"].get("collisionCount", 0))
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = told
        selector = deepcopy(spec["selector"])
        selector.setdefault("matchLabels", {})[HASH] = told
        surge, _ = fenceposts(spec)
        room = max(0, spec["replicas"] + surge - sum(each["spec"]["replicas"] for each in old))
        count = spec["replicas"] if spec["strategy"]["type"] == "Recreate" else min(spec["replicas"], room)
        wait = {"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}
        new = self.create("replicasets", meta["namespace"], {
            "metadata": {
                "name": f"{meta['name']}-{told}", "namespace": meta["namespace"],
                "labels": template["metadata"]["labels"],
                "annotations": notes(found, {}, number, spec["replicas"], self._most(found)),
                "ownerReferences": [owner_reference(found)],
            },
            "spec": {"replicas": count, "selector": selector, "template": template, **wait},
        })  # fmt: skip
        if count:
            self.event(found, "ScalingReplicaSet", f"Scaled up replica set {new['metadata']['name']} from 0 to {count}")
        said = None
        if self._has_deadline(found):
            said = self._progressing(
                "True", "NewReplicaSetCreated", f'Created new replica set "{new["metadata"]["name"]}"'
            )
        self._announce(found, str(number), said)
        return new

    def _announce(self, found: Object, number: str, said: Object | None) -> None:
        """Write the revision and what is new; if that was a write, this round's knowledge is stale from here on."""
        if (found["metadata"].get("annotations") or {}).get(REVISION) == number and said is None:
            return

        def change(live: Object) -> None:
            live["metadata"].setdefault("annotations", {})[REVISION] = number
            if said is not None:
                set_condition(live["status"], said)

        self.write("deployments", found, change, status=True)
        raise _Requeue

    def _check_paused(self, found: Object) -> None:
        now = condition(found["status"], "Progressing")
        if not self._has_deadline(found) or (now and now["reason"] == "ProgressDeadlineExceeded"):
            return
        paused, told = bool(found["spec"].get("paused")), bool(now and now["reason"] == "DeploymentPaused")
        if paused == told:
            return
        said = (
            ("DeploymentPaused", "Deployment is paused") if paused else ("DeploymentResumed", "Deployment is resumed")
        )
        self.write(
            "deployments",
            found,
            lambda live: set_condition(live["status"], self._progressing("Unknown", *said)),
            status=True,
        )
        raise _Requeue

    def _is_scaling(self, found: Object, sets: list[Object]) -> bool:
        wanted = str(found["spec"]["replicas"])
        return any(
            (each["metadata"].get("annotations") or {}).get(DESIRED, wanted) != wanted
            for each in sets
            if each["spec"]["replicas"]
        )

    def _scale_all(self, found: Object, new: Object | None, old: list[Object]) -> None:
        """To a new size in the midst of it: what is alone or complete takes it all, otherwise each its share."""
        size = found["spec"]["replicas"]
        everyone = [*old, *([new] if new else [])]
        active = [each for each in everyone if each["spec"]["replicas"]]
        alone = active[0] if len(active) == 1 else new if not active else None
        if alone is not None:
            self._scale(found, alone, size)
            return
        if not active:
            return
        surge, _ = fenceposts(found["spec"])
        total, most = sum(each["spec"]["replicas"] for each in active), size + surge if size else 0
        for each in sorted(active, key=lambda one: -one["spec"]["replicas"]):
            self._scale(found, each, round(each["spec"]["replicas"] * most / total))

    def _grow(self, found: Object, new: Object, old: list[Object]) -> bool:
        wanted, have = found["spec"]["replicas"], new["spec"]["replicas"]
        if have == wanted:
            return False
        if have > wanted:
            return self._scale(found, new, wanted)
        surge, _ = fenceposts(found["spec"])
        room = wanted + surge - have - sum(each["spec"]["replicas"] for each in old)
        return room > 0 and self._scale(found, new, have + min(room, wanted - have))

    def _shrink(self, found: Object, new: Object, old: list[Object]) -> bool:
        active = [each for each in old if each["spec"]["replicas"]]
        least = found["spec"]["replicas"] - self._unavailable(found)
        everyone = [*active, new]
        lacking = new["spec"]["replicas"] - new["status"].get("availableReplicas", 0)
        spare = sum(each["spec"]["replicas"] for each in everyone) - least - lacking
        if not active or spare <= 0:
            return False
        did = False
        for each in active:  # first what does not serve anyway
            sick = min(spare, each["spec"]["replicas"] - each["status"].get("availableReplicas", 0))
            if sick > 0:
                spare -= sick
                did |= self._scale(found, each, each["spec"]["replicas"] - sick)
        spare = sum(each["status"].get("availableReplicas", 0) for each in everyone) - least
        for each in active:
            down = min(spare, each["spec"]["replicas"])
            if down > 0:
                spare -= down
                did |= self._scale(found, each, each["spec"]["replicas"] - down)
        return did

    def _scale(self, found: Object, which: Object, size: int) -> bool:
        told = {DESIRED: str(found["spec"]["replicas"]), MAXIMUM: str(self._most(found))}
        before, name = which["spec"]["replicas"], which["metadata"]["name"]
        if before == size and told.items() <= (which["metadata"].get("annotations") or {}).items():
            return False

        def change(live: Object) -> None:
            live["spec"]["replicas"] = size
            live["metadata"]["annotations"] = (live["metadata"].get("annotations") or {}) | told

        which |= self.write("replicasets", which, change) or {}
        if before != size:
            way = "up" if size > before else "down"
            self.event(found, "ScalingReplicaSet", f"Scaled {way} replica set {name} from {before} to {size}")
        return bool(before != size)

    def _clean(self, found: Object, old: list[Object]) -> None:
        """Old ReplicaSets beyond the revisionHistoryLimit."""
        idle = [each for each in old if not each["spec"]["replicas"] and not each["status"].get("replicas")]
        limit = found["spec"].get("revisionHistoryLimit", 10)
        for each in sorted(idle, key=revision)[: max(0, len(idle) - limit)]:
            self.delete("replicasets", each)

    def _tell(self, found: Object, new: Object | None, old: list[Object], *, progress: bool = True) -> None:
        status = self._status(found, new, old)
        if not self._has_deadline(found):
            drop_condition(status, "Progressing")
        elif progress:
            self._tell_progress(found, status, new)
        failure = self._failure([*([new] if new else []), *old])
        if failure:
            set_condition(status, failure)
        elif progress:
            drop_condition(status, "ReplicaFailure")
        if status != found["status"]:
            self.write("deployments", found, lambda live: live.update(status=status), status=True)

    def _tell_progress(self, found: Object, status: Object, new: Object | None) -> None:
        now, before = condition(found["status"], "Progressing"), found["status"]
        if (
            status.get("replicas") == status.get("updatedReplicas")
            and now
            and now["reason"] == "NewReplicaSetAvailable"
        ):
            return
        what = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{found["metadata"]["name"]}"'
        if self._complete(found, status):
            set_condition(
                status, self._progressing("True", "NewReplicaSetAvailable", f"{what} has successfully progressed.")
            )
        elif _progressed(before, status):
            said = self._progressing("True", "ReplicaSetUpdated", f"{what} is progressing.")
            if now and now["status"] == "True":
                said["lastTransitionTime"] = now["lastTransitionTime"]
            drop_condition(status, "Progressing")
            set_condition(status, said)
        elif self._timed_out(found, status):
            set_condition(
                status, self._progressing("False", "ProgressDeadlineExceeded", f"{what} has timed out progressing.")
            )

    def _timed_out(self, found: Object, status: Object) -> bool:
        now = condition(status, "Progressing")
        if now is None or now["reason"] == "NewReplicaSetAvailable":
            return False
        deadline = timedelta(seconds=found["spec"]["progressDeadlineSeconds"])
        late = times.read(now["lastUpdateTime"]) + deadline < self.clock.now()
        return now["reason"] == "ProgressDeadlineExceeded" or late

    def _status(self, found: Object, new: Object | None, old: list[Object]) -> Object:
        everyone = [*([new] if new else []), *old]

        def total(key: str, which: Iterable[Object]) -> int:
            return sum(each.get("status", {}).get(key, 0) for each in which)

        available = total("availableReplicas", everyone)
        counts = {
            "replicas": total("replicas", everyone),
            "updatedReplicas": total("replicas", [new] if new else []),
            "readyReplicas": total("readyReplicas", everyone),
            "availableReplicas": available,
            "unavailableReplicas": max(0, sum(each["spec"]["replicas"] for each in everyone) - available),
        }
        status: Object = {"observedGeneration": found["metadata"]["generation"]}
        status |= {key: count for key, count in counts.items() if count}
        status["terminatingReplicas"] = total("terminatingReplicas", everyone)
        status["conditions"] = deepcopy(found["status"].get("conditions") or [])
        if "collisionCount" in found["status"]:
            status["collisionCount"] = found["status"]["collisionCount"]
        enough = available >= found["spec"]["replicas"] - self._unavailable(found)
        now = self.clock.stamp()
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        set_condition(status, {
            "type": "Available", "status": str(enough), "lastUpdateTime": now, "lastTransitionTime": now,
            "reason": reason,
            "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        })  # fmt: skip
        return status

    def _failure(self, sets: list[Object]) -> Object | None:
        now = self.clock.stamp()
        for each in sets:
            if found := condition(each.get("status", {}), "ReplicaFailure"):
                return {**found, "lastUpdateTime": now, "lastTransitionTime": found["lastTransitionTime"]}
        return None

    def _progressing(self, status: str, reason: str, message: str) -> Object:
        now = self.clock.stamp()
        times_ = {"lastUpdateTime": now, "lastTransitionTime": now}
        return {"type": "Progressing", "status": status, **times_, "reason": reason, "message": message}

    def _complete(self, found: Object, status: Object) -> bool:
        wanted = found["spec"]["replicas"]
        counted = all(status.get(key, 0) == wanted for key in ("updatedReplicas", "replicas", "availableReplicas"))
        return counted and status.get("observedGeneration", 0) >= found["metadata"]["generation"]

    def _unavailable(self, found: Object) -> int:
        return min(fenceposts(found["spec"])[1], int(found["spec"]["replicas"]))

    def _most(self, found: Object) -> int:
        return int(found["spec"]["replicas"]) + fenceposts(found["spec"])[0]

    def _has_deadline(self, found: Object) -> bool:
        return found["spec"].get("progressDeadlineSeconds") not in (None, 2**31 - 1)


def _progressed(before: Object, now: Object) -> bool:
    old = [each.get("replicas", 0) - each.get("updatedReplicas", 0) for each in (before, now)]
    grown = any(
        now.get(key, 0) > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old[0] > old[1]
