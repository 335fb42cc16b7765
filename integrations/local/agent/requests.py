"""Reads what clients send. Everything that is not exactly right is refused with a sentence."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

from integrations.local.agent.model import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.local import wire

KINDS = ("apply", "restore", "weight", "promote", "take_back", "recreate")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
OPERATION = re.compile(r"[!-~]{1,200}")


def place_name(value: str, what: str) -> str:
    """A service or environment, safe to be part of a folder's name."""
    if NAME.fullmatch(value) is None:
        raise Refused("bad_request", f"{value[:64]!r} cannot be the name of {what}.")
    return value


def operation_request(value: object) -> wire.OperationRequest:
    """A mutation as typed by `wire`; raises `Refused`."""
    body = _object(value, "the request")
    kind = body.get("kind")
    _check(kind in KINDS, f"kind must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    _check(
        isinstance(body.get("operation"), str) and OPERATION.fullmatch(body["operation"]) is not None,
        "operation must be 1 to 200 printable characters",
    )
    _check(_whole(body.get("issued"), lambda number: number >= 0), "issued must be a whole number")
    release = body.get("release")
    if release is None:
        _check(kind in ("restore", "take_back"), "release is needed")
    else:
        release = _object(release, "release")
        for name in ("version", "digest", "location"):
            _check(isinstance(release.get(name), str) and release[name] != "", f"release.{name} must be a text")
    _settings(_object(body.get("settings"), "settings"))
    if kind == "weight":
        _check(_whole(body.get("percent"), lambda number: 0 <= number <= 100), "percent must be 0 to 100")
    if body.get("instances") is not None:
        _check(_whole(body["instances"], lambda number: 1 <= number <= 20), "instances must be 1 to 20")
    return cast("wire.OperationRequest", body)


def _settings(settings: dict[str, Any]) -> None:
    _check(_whole(settings.get("instances"), lambda number: 1 <= number <= 20), "settings.instances must be 1 to 20")
    path = settings.get("health_path")
    _check(isinstance(path, str) and path.startswith("/"), "settings.health_path must begin with /")
    for name in ("start_timeout", "drain"):
        _check(_number(settings.get(name)), f"settings.{name} must be 0 or more seconds")
    variables = _object(settings.get("variables"), "settings.variables")
    _check(all(isinstance(text, str) for text in variables.values()), "settings.variables must be texts")
    port = settings.get("port")
    _check(port is None or _whole(port, lambda number: 0 < number < 65536), "settings.port must be 1 to 65535")


def faults(value: object) -> wire.Faults:
    """Faults as typed by `wire`; raises `Refused`."""
    body = _object(value, "the request")
    _check(
        set(body) <= {"before", "after", "fail", "drop", "read"}, "only before, after, fail, drop and read are known"
    )
    _check(all(_number(number) for number in body.values()), "faults are numbers")
    return cast("wire.Faults", body)


def seconds(value: str | None, *, default: float, most: float) -> float:
    """A number of seconds in a query, at most ``most``."""
    try:
        return min(most, max(0.0, float(value))) if value is not None else default
    except ValueError:
        raise Refused("bad_request", f"{value!r} is not a number of seconds.") from None


def instant(value: str | None, *, default: float) -> float:
    """Seconds since the epoch in a query."""
    try:
        found = float(value) if value is not None else default
    except ValueError:
        found = math.nan
    _check(math.isfinite(found), "a time must be a number of seconds")
    return found


def _object(value: object, what: str) -> dict[str, Any]:
    _check(isinstance(value, dict), f"{what} must be an object")
    return cast("dict[str, Any]", value)


def _whole(value: object, right: Callable[[int], bool]) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and right(value)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _check(right: bool, message: str) -> None:
    if not right:
        raise Refused("bad_request", f"The request cannot be understood: {message}.")
