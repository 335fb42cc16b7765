"""Copies of JSON values; they hold nothing but dicts, lists and plain values, so this is several times quicker."""

from __future__ import annotations

from typing import Any, TypeVar, cast

Value = TypeVar("Value")


def deepcopy(value: Value) -> Value:
    """A copy that shares no dict and no list with ``value``."""
    return cast("Value", _copied(value))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value
