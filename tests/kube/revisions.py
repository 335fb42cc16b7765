"""Which ReplicaSet is which of a Deployment, and the annotations by which both remember.

Follows kubernetes' pkg/controller/deployment/util/deployment_util.go (v1.36): templates are compared without
``pod-template-hash``; a ReplicaSet that comes back gets a new revision number; annotations of the Deployment are
copied.
"""

from __future__ import annotations

import hashlib
import json
from math import ceil, floor
from typing import TYPE_CHECKING

from .copying import deepcopy
from .registry import LETTERS

if TYPE_CHECKING:
    from .resources import Object

HASH = "pod-template-hash"
ROLLOUT_HASH = "rollouts-pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset(
    {
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
    }
)


def bare(template: Object) -> Object:
    """Without the hash."""
    result = deepcopy(template)
    labels = result.get("metadata", {}).get("labels", {})
    labels.pop(HASH, None)
    labels.pop(ROLLOUT_HASH, None)
    return result


def template_hash(template: Object, collisions: int = 0) -> str:
    """Ten letters that stand for the template; not the real FNV hash, which nobody may count on."""
    text = json.dumps(bare(template), sort_keys=True) + str(collisions)
    return "".join(LETTERS[byte % len(LETTERS)] for byte in hashlib.sha256(text.encode()).digest()[:10])


def find_new(template: Object, sets: list[Object]) -> Object | None:
    """The oldest ReplicaSet of this very template."""
    return next((each for each in sets if bare(each["spec"]["template"]) == bare(template)), None)


def revision(found: Object) -> int:
    return int((found["metadata"].get("annotations") or {}).get(REVISION, 0))


def notes(deployment: Object, present: Object, number: int, wanted: int, most: int) -> Object:
    """Those of the new ReplicaSet: ``present`` are those it has."""
    own = deployment["metadata"].get("annotations") or {}
    result = present | {key: value for key, value in own.items() if key not in NOT_COPIED}
    old = int(result.get(REVISION, 0))
    if old < number:
        if old:
            history = [each for each in result.get(HISTORY, "").split(",") if each]
            if str(old) not in history:
                result[HISTORY] = ",".join([*history, str(old)])
        result[REVISION] = str(number)
    result.setdefault(DESIRED, str(wanted))
    result.setdefault(MAXIMUM, str(most))
    return result


def fenceposts(spec: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: per cent are rounded up and down; both zero means one unavailable."""
    strategy = spec.get("strategy", {})
    if strategy.get("type") != "RollingUpdate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}

    def resolved(value: int | str, rounding: object) -> int:
        if isinstance(value, str) and value.endswith("%"):
            share = int(value[:-1]) * spec["replicas"] / 100
            return int(ceil(share) if rounding is ceil else floor(share))
        return int(value)

    surge, unavailable = (
        resolved(rolling.get("maxSurge", "25%"), ceil),
        resolved(rolling.get("maxUnavailable", "25%"), floor),
    )
    return surge, 1 if surge == unavailable == 0 else unavailable
