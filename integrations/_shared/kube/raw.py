"""Looks into raw objects. What a cluster tells may have any shape; nothing here raises for it."""

from __future__ import annotations

from typing import Any, TypeAlias

from integrations._shared.failures import told

Object: TypeAlias = dict[str, Any]

_TOO_MANY = 2**53
"""No count, port or number of seconds of a cluster comes near; what does cannot be reckoned with."""


def at(one: object, *path: str) -> Any:
    """What stands at ``path`` in an object; None when nothing does."""
    for key in path:
        one = one.get(key) if isinstance(one, dict) else None
    return one


def items(one: object, *path: str) -> list[Object]:
    """The objects in the list at ``path``; none when there is no list."""
    found = at(one, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def texts(one: object, *path: str) -> dict[str, str]:
    """The strings by name at ``path``, as labels and annotations are."""
    found = at(one, *path)
    if not isinstance(found, dict):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def text(one: object, *path: str) -> str:
    """The string at ``path``; empty when there is none."""
    found = at(one, *path)
    return found if isinstance(found, str) else ""


def count(one: object, *path: str) -> int:
    """The number at ``path``; 0 when there is none, as clusters leave zeros out."""
    found = at(one, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < _TOO_MANY else 0


def name(one: object) -> str:
    """What it is called."""
    return text(one, "metadata", "name")


def called(one: object) -> str:
    """What it is called, as people may see it."""
    return told(name(one))[:253] or "something without a name"


def uid(one: object) -> str:
    """Which it is: one that is made anew under the same name has another."""
    return text(one, "metadata", "uid")


def version(one: object) -> int | None:
    """When it was written, counted in changes; None when the server does not count."""
    return number(at(one, "metadata", "resourceVersion"))


def number(value: object) -> int | None:
    """A resource version as a number, if it is one."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 40 else None
