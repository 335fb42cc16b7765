"""What we keep on a Rollout beside the usual marks: up to where each operation lets it go.

Read from a cluster, so anybody may have written it: what has not the right shape is left out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.ids import OperationId
from integrations._shared.workloads import marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integrations._shared.kube.raw import Object

GOALS = marks.PREFIX + "goals"
_OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_TEXT = re.compile(r"[!-~]{0,128}")
_REMEMBERED = 20


class Entry(NamedTuple):
    """One operation."""

    operation: OperationId
    goal: int
    version: str
    digest: str


def read(holder: Object) -> list[Entry]:
    """The operations that changed it, oldest first."""
    try:
        found = json.loads(marks.of(holder).get(GOALS, "[]")[:16384])
    except (ValueError, RecursionError):
        return []
    entries = []
    for each in found if isinstance(found, list) else []:
        match each:
            case [str(operation), int(goal), str(version), str(digest)] if (
                _OPERATION.fullmatch(operation) and _TEXT.fullmatch(version) and _TEXT.fullmatch(digest)
            ):
                entries.append(Entry(OperationId(operation), goal, version, digest))
    return entries


def find(holder: Object, operation: str) -> Entry | None:
    """What that operation was; None when it did not change this."""
    return next((entry for entry in read(holder) if entry.operation == operation), None)


def wanted_before(holder: Object, operation: str) -> bool:
    """Whether another operation wanted the same of the same release before that one, with nothing else between them.

    The way on never wants anything twice, so somebody has seen what became of it and wants it tried again.
    """
    found = read(holder)
    mine = next((entry for entry in found if entry.operation == operation), None)
    if mine is None:
        return False
    for entry in reversed(found[: found.index(mine)]):
        if entry.digest != mine.digest:
            return False
        if entry.goal == mine.goal:
            return True
    return False


def version_of(holder: Object, digest: str) -> str:
    """What the image with that digest was called when we brought it; empty when we did not."""
    return next((entry.version for entry in reversed(read(holder)) if entry.digest == digest), "")


def written(holder: Object, entry: Entry) -> str:
    """The annotation's value with ``entry`` as the newest."""
    kept: Sequence[Entry] = [each for each in read(holder) if each.operation != entry.operation]
    return json.dumps([list(each) for each in [*kept, entry][-_REMEMBERED:]], separators=(",", ":"))
