"""Judges Datadog monitors as one number: how many of them alert. The muted ones do not count; silence is no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from datadog_api_client.v1.api.monitors_api import MonitorsApi

from integrations._shared.numbers import no_data, reading
from integrations.datadog.api import as_dict, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bot.domain.metric import Reading
    from integrations.datadog.api import Api

_PAGE = 500
_MOST_PAGES = 10
_UNKNOWN = {"No Data", "Unknown"}
_FINE = {"OK", "Warn"}


class _State(NamedTuple):
    monitor: str
    status: str


async def read_monitors(api: Api, tags: str, *, at: datetime) -> Reading:
    """How many monitors that have all of ``tags`` alert now, each group of a monitor counted; muted ones left out."""
    monitors = await _all(api, tags)
    try:
        states = [state for monitor in monitors for state in _states(monitor, at.timestamp())]
    except (TypeError, AttributeError):
        raise unreadable() from None
    alerting = [state for state in states if state.status == "Alert"]
    unknown = [state for state in states if state.status in _UNKNOWN]
    fine = [state for state in states if state.status in _FINE]
    known = len(alerting) + len(fine)
    if alerting:
        return reading(float(len(alerting)), at=at, samples=known, why=f"alerting: {_names(alerting)}")
    if unknown:
        return no_data(f"no data: {_names(unknown)}", at=at, samples=known)
    if not fine:
        return no_data(f"no monitor that is not muted has the tags {tags}", at=at, samples=0)
    return reading(0.0, at=at, samples=known)


async def _all(api: Api, tags: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(_MOST_PAGES):
        page = await api.call(
            MonitorsApi,
            "list_monitors",
            group_states="all",
            monitor_tags=tags,
            with_downtimes=True,
            page=number,
            page_size=_PAGE,
        )
        if not isinstance(page, list):
            raise unreadable()
        found += map(as_dict, page)
        if len(page) < _PAGE:
            break
    return found


def _states(monitor: dict[str, Any], moment: float) -> Iterator[_State]:
    """The states of a monitor that count: of each of its groups, or its own if it has none."""
    name = str(monitor.get("name") or monitor.get("id") or "a monitor without a name")
    muted = list(_muted(monitor, moment))
    own = set(map(str, monitor.get("tags") or ()))
    groups = (monitor.get("state") or {}).get("groups") or {}
    if not groups:
        if not any(scope <= own for scope in muted):
            yield _State(name, str(monitor.get("overall_state") or "Unknown"))
        return
    for group, state in groups.items():
        tags = {part.strip() for part in str(group).split(",")}
        if not any(scope <= tags | own for scope in muted):
            yield _State(f"{name} ({group})" if group != "*" else name, str((state or {}).get("status") or "Unknown"))


def _muted(monitor: dict[str, Any], moment: float) -> Iterator[set[str]]:
    """The scopes in which the monitor is muted now, each as the tags that all must be there; none for all."""
    silenced = (monitor.get("options") or {}).get("silenced") or {}
    for scope, end in silenced.items():
        if end is None or end > moment:
            yield _tags(str(scope).split(","))
    for downtime in monitor.get("matching_downtimes") or ():
        start, end = downtime.get("start") or 0, downtime.get("end")
        if start <= moment and (end is None or end > moment):
            yield _tags(map(str, downtime.get("scope") or ("*",)))


def _tags(parts: Any) -> set[str]:
    return {part.strip() for part in parts} - {"*"}


def _names(states: list[_State]) -> str:
    shown = ", ".join(state.monitor[:60] for state in states[:3])
    return shown if len(states) <= 3 else f"{shown} and {len(states) - 3} more"
