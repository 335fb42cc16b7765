"""What Alertmanager and Datadog send, as far as we need it. What is not needed is not looked at.

Nothing here believes what it reads: whatever is too long, of another type or no time of our age is unreadable, and one
unreadable alert does not take the others with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StrictStr, ValidationError

from bot.domain.alert import Alert, AlertOutcome, AlertSource, AlertStatus
from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 500
"""Alerts that one delivery may have."""
_LABELS = 200
_NAME = 300
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Unreadable(Exception):
    """The delivery is not what it should be; says why, without a word of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read of a delivery."""

    alerts: tuple[Alert, ...]
    others: Mapping[AlertOutcome, int]
    """How many were left out, and why."""


def _of_our_age(at: datetime) -> datetime:
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time of our age") from None
    if not _EARLIEST <= at <= _LATEST:
        raise ValueError("no time of our age")
    return at


_Instant = Annotated[AwareDatetime, Field(strict=True), AfterValidator(_of_our_age)]
_Short = Annotated[StrictStr, Field(max_length=200)]
_Number = Annotated[int, Field(strict=True, ge=0, le=10**30)]
_Fingerprint = Annotated[StrictStr, Field(pattern=r"^[!-~]{1,200}$")]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Group(_Payload):
    """Alertmanager's delivery, version 4: a group of alerts, of which some may be over."""

    alerts: list[Any] = Field(max_length=MOST)


class _Grouped(_Payload):
    """One alert of a group."""

    status: Literal["firing", "resolved"]
    labels: dict[StrictStr, StrictStr] = Field(max_length=_LABELS)
    startsAt: _Instant  # noqa: N815 - their name
    fingerprint: _Fingerprint


class _Event(_Payload):
    """What a Datadog webhook sends that is set up as ``docs/alerts.md`` says."""

    alert_transition: StrictStr = Field(max_length=100)
    alert_cycle_key: _Short | _Number
    alert_title: StrictStr = ""
    date: _Short | _Number
    tags: StrictStr = Field(max_length=20_000)


def alertmanager(body: bytes, *, at: datetime) -> Read:
    """The alerts of an Alertmanager's delivery; raises `Unreadable`."""
    try:
        group = _Group.model_validate_json(body)
    except ValidationError as error:
        raise Unreadable(_why(error)) from None
    found, broken = [], 0
    for each in group.alerts:
        try:
            one = _Grouped.model_validate_json(_json(each)) if isinstance(each, dict) else None
        except ValueError:  # also what no JSON can carry, such as a number of ten thousand digits
            one = None
        if one is None:
            broken += 1
            continue
        found.append(
            Alert(
                source=AlertSource.ALERTMANAGER,
                fingerprint=one.fingerprint,
                status=AlertStatus(one.status),
                name=one.labels.get("alertname", "").strip()[:_NAME] or "an alert without a name",
                service=ServiceName(one.labels.get("service", "")),
                environment=EnvironmentName(one.labels.get("environment", "")),
                starts_at=one.startsAt,
                received_at=at,
            )
        )
    if broken and not found:
        raise Unreadable("No alert in it can be read.")
    return Read(alerts=tuple(found), others={AlertOutcome.UNREADABLE: broken} if broken else {})


def datadog(body: bytes, *, at: datetime) -> Read:
    """The alert of a Datadog delivery; raises `Unreadable`.

    Only *Triggered* begins an alert: what Datadog tells again carries the time of its telling, from which nobody could
    see that the alert is older than the deployment.
    """
    try:
        event = _Event.model_validate_json(body)
        when = _of_our_age(datetime.fromtimestamp(int(event.date) / 1000, UTC))
    except ValidationError as error:
        raise Unreadable(_why(error)) from None
    except (ValueError, OverflowError, OSError):
        raise Unreadable("date is no number of milliseconds since 1970.") from None
    status = {"triggered": AlertStatus.FIRING, "recovered": AlertStatus.RESOLVED}.get(event.alert_transition.lower())
    if status is None:
        return Read(alerts=(), others={AlertOutcome.OTHER: 1})
    cycle = str(event.alert_cycle_key).strip()
    if not (cycle.isascii() and cycle.isalnum() and len(cycle) <= 200):
        raise Unreadable("alert_cycle_key is none: it must be $ALERT_CYCLE_KEY.")
    tags = _tags(event.tags)
    alert = Alert(
        source=AlertSource.DATADOG,
        fingerprint=cycle,
        status=status,
        name=event.alert_title.strip()[:_NAME] or "an alert without a name",
        service=ServiceName(tags.get("service", "")),
        environment=EnvironmentName(tags.get("environment") or tags.get("env", "")),
        starts_at=when,
        received_at=at,
    )
    return Read(alerts=(alert,), others={})


def _tags(text: str) -> dict[str, str]:
    """Tags by name; one that is there with several values says nothing."""
    found: dict[str, set[str]] = {}
    for tag in text.split(","):
        name, _, value = tag.strip().partition(":")
        found.setdefault(name, set()).add(value)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _json(value: object) -> bytes:
    # Strict types know a time from a text only where it comes as JSON.
    return json.dumps(value).encode("utf-8", "replace")


def _why(error: ValidationError) -> str:
    """What is wrong, without what stands there."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    kind = str(first["type"])
    if kind == "json_invalid":
        return "It is no JSON."
    where = ".".join(str(part) for part in first["loc"][:1]) or "the body"
    if kind == "too_long" and where == "alerts":
        return f"It has more than {MOST} alerts: set max_alerts of the receiver."
    return f"{where} {'is missing' if kind == 'missing' else 'is not what it should be'}."
