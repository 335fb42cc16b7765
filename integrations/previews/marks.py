"""How a namespace of ours is told from all others, and what is written on it. Pure.

Everything here may have been written by somebody else. Ours is only what says so twice, carries its own uid, or was
written by us as the cluster's own books have it: a manifest that was copied from a preview makes no preview.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from integrations._shared.kube import raw
from integrations._shared.kube.api import MANAGER
from integrations._shared.workloads.marks import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations._shared.kube.raw import Object
    from integrations.previews.options import PreviewsOptions

OWNER = PREFIX + "owner"
TEMPLATE = PREFIX + "template"
PREVIEW = PREFIX + "preview"
"""The number of the pull request."""
UID = PREFIX + "uid"
"""On a namespace its own, once that is known; on what is in it that of its namespace."""
STATE = PREFIX + "state"
EXPIRES = PREFIX + "expires"
BY = PREFIX + "by"

CLAIMED, OPEN, CLOSING = "claimed", "open", "closing"

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_LONGEST_NAME = 100


def selector(options: PreviewsOptions) -> str:
    """What lists all that can be ours."""
    return f"{OWNER}={options.owner},{TEMPLATE}={options.template}"


def labels(options: PreviewsOptions, number: int) -> dict[str, str]:
    """The labels of a preview and of all that is in it."""
    return {OWNER: options.owner, TEMPLATE: options.template, PREVIEW: str(number)}


def namespace(
    options: PreviewsOptions, number: int, *, inherited: Mapping[str, str], until: datetime, by: str
) -> Object:
    """A preview that is not counted yet."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": options.namespace(number),
            "labels": {**inherited, **labels(options, number)},
            "annotations": {OWNER: options.owner, STATE: CLAIMED, EXPIRES: written(until), BY: who(by)},
        },
    }


def is_ours(one: Object, options: PreviewsOptions) -> bool:
    """Whether this namespace is one that we made, and no other that came to look like it."""
    said, noted = raw.texts(one, "metadata", "labels"), notes_on(one)
    number = options.number_of(raw.name(one))
    if number is None or noted.get(OWNER) != options.owner:
        return False
    if any(said.get(key) != value for key, value in labels(options, number).items()):
        return False
    recorded = noted.get(UID)
    return recorded == raw.uid(one) if recorded is not None else _written_by_us(one)


def notes_on(one: Object) -> dict[str, str]:
    """Those of the object itself."""
    return raw.texts(one, "metadata", "annotations")


def state(one: Object) -> str:
    """How far it is; closing too when the cluster is deleting it, whoever wanted that."""
    if raw.at(one, "metadata", "deletionTimestamp") is not None:
        return CLOSING
    return notes_on(one).get(STATE, OPEN)


def is_going(one: Object) -> bool:
    """Whether the cluster is deleting it."""
    return raw.at(one, "metadata", "deletionTimestamp") is not None


def is_part_of(one: Object, uid: str) -> bool:
    """Whether we put it into the namespace with that uid."""
    return notes_on(one).get(UID) == uid


def until(one: Object) -> datetime | None:
    """When it is over; None when that cannot be read."""
    try:
        return datetime.strptime(notes_on(one).get(EXPIRES, ""), _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def written(when: datetime) -> str:
    """A time as it is written on a namespace."""
    return when.astimezone(UTC).strftime(_FORMAT)


def who(by: str) -> str:
    """A name as it is written on a namespace: one short line."""
    return " ".join("".join(c if c.isprintable() else " " for c in by).split())[:_LONGEST_NAME]


def _written_by_us(one: Object) -> bool:
    for entry in raw.items(one, "metadata", "managedFields"):
        fields = raw.at(entry, "fieldsV1", "f:metadata", "f:annotations")
        if entry.get("manager") == MANAGER and isinstance(fields, dict) and f"f:{OWNER}" in fields:
            return True
    return False
