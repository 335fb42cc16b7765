"""What the bodies of all rows are made of: JSON in ASCII, instants in UTC, actors, words that may be newer than we.

Must not know what any one row is about.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bot.domain.actor import Actor, ActorKind
from bot.domain.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

Json = dict[str, Any]
_E = TypeVar("_E", bound="StrEnum")
_T = TypeVar("_T")


def dump(value: Json) -> str:
    """A body as text of ASCII."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def load(body: str, what: str) -> Json:
    """The body of a row; raises `StoreError` that names ``what`` when it is damaged."""
    try:
        value: Json = json.loads(body)
    except ValueError:
        raise StoreError(f"The database's {what} cannot be read: it is damaged.") from None
    return value


def enum_of(kind: type[_E], value: str, what: str) -> _E:
    """The member that ``value`` names; raises `StoreError` when only a newer build knows it."""
    try:
        return kind(value)
    except ValueError:
        raise StoreError(
            f"The database knows the {what} {value!r}, this build does not: a newer one wrote it. Upgrade this one."
        ) from None


def maybe(value: Any, convert: Callable[[Any], _T]) -> _T | None:
    """``convert(value)``; None for None."""
    return None if value is None else convert(value)


def instant_out(value: datetime) -> str:
    """An instant within a body; raises `TypeError` for a naive one."""
    if value.tzinfo is None:
        raise TypeError("A time without a time zone cannot be stored.")
    return value.astimezone(UTC).isoformat()


def instant_in(value: str) -> datetime:
    """An instant from within a body."""
    return datetime.fromisoformat(value)


def actor_out(actor: Actor) -> Json:
    """An actor within a body."""
    return {"kind": actor.kind.value, "workspace": actor.workspace, "id": actor.id, "name": actor.name}


def actor_in(value: Mapping[str, Any]) -> Actor:
    """An actor from within a body."""
    kind = enum_of(ActorKind, value.get("kind", ActorKind.PERSON.value), "kind of actor")
    return Actor(kind=kind, workspace=value.get("workspace", ""), id=value["id"], name=value.get("name", value["id"]))
