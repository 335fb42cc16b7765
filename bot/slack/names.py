"""Names by which Slack calls back: actions, blocks, views; and what a button or a form carries.

A button carries what it speaks of and what its presser saw, never a right to do anything: who may press is decided at
the click. What comes back from Slack is read with suspicion.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bot.domain.deployment import Resolution
from bot.domain.ids import DeploymentId

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND: Final = "/deploy"
METADATA_EVENT: Final = "deployment"
ROOT_KEY: Final = "root"


class ActionId(StrEnum):
    """Buttons; `carries` tells what each brings along."""

    ABORT = "deployment.abort"
    #: A new deployment of the earlier release; offered once this one has succeeded.
    ROLL_BACK = "deployment.roll_back"
    RETRY = "deployment.retry"
    MARK_SUCCEEDED = "deployment.mark_succeeded"
    #: The decision to bring back what ran before; offered while this one needs attention.
    PUT_BACK = "deployment.put_back"
    APPROVE = "deployment.approve"
    #: Opens a form that asks for the reason.
    REJECT = "deployment.reject"
    #: A held one tries again.
    START = "deployment.start"
    #: Carries the step that its presser saw, and the weight that it may go on to.
    PROMOTE = "deployment.promote"
    PROMOTE_FULL = "deployment.promote_full"
    HOLD = "deployment.hold"
    RESUME = "deployment.resume"
    CANCEL_COUNTDOWN = "countdown.cancel"
    SNOOZE = "countdown.snooze"
    ROLL_BACK_NOW = "countdown.now"

    #: *Queue behind it* or *Run when it opens*: the same order once more, and it waits.
    WAIT = "order.wait"
    #: Opens a form that asks for the reason.
    ASK_OVERRIDE = "override.ask"
    AGREE = "override.agree"
    REVIEW = "override.review"

    ASK_OWNER = "lock.ask"
    #: Opens a form that asks for the reason.
    TAKE_OVER = "lock.take_over"
    UNLOCK = "lock.unlock"
    KEEP = "lock.keep"

    UNFREEZE = "freeze.lift"

    CLOSE_PREVIEW = "preview.close"

    @property
    def carries(self) -> type[ButtonValue | OrderValue | IdValue]:
        """What the ``value`` of this button is read with."""
        if self in {ActionId.WAIT, ActionId.ASK_OVERRIDE}:
            return OrderValue
        return ButtonValue if self.startswith(("deployment.", "countdown.")) else IdValue


RESOLUTIONS: Final[Mapping[ActionId, Resolution]] = MappingProxyType(
    {
        ActionId.RETRY: Resolution.RETRY,
        ActionId.MARK_SUCCEEDED: Resolution.MARK_SUCCEEDED,
        ActionId.PUT_BACK: Resolution.ROLL_BACK,
    }
)


class FormField(StrEnum):
    """Inputs of the forms; each name is its block's id and, with ``form.`` in front, its action's."""

    SERVICE = "service"
    VERSION = "version"
    ENVIRONMENT = "environment"
    REASON = "reason"
    #: The name of the service once more, typed by hand: in the form that breaks the glass.
    CONFIRM = "confirm"

    @property
    def action_id(self) -> str:
        """The id of the element inside the block."""
        return f"form.{self.value}"


DEPLOY_FORM: Final = "form.deploy"
LOADING_FORM: Final = "form.loading"
REJECT_FORM: Final = "form.reject"
TAKE_OVER_FORM: Final = "form.take_over"
OVERRIDE_FORM: Final = "form.override"
BREAK_GLASS_FORM: Final = "form.break_glass"
HOME: Final = "home"

SUBJECT_DIGITS: Final = 16
"""Of the hash of what is approved: so many hexadecimal digits come back with a button."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUBJECT = re.compile(rf"[0-9a-f]{{{SUBJECT_DIGITS}}}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,30}")
_STAMP = re.compile(r"[0-9]{1,15}\.[0-9]{1,9}")
_EXTRA = re.compile(r"[A-Za-z0-9_:@#*./-]{1,200}")
_UNNAMEABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 2_000
_LONGEST_FORM = 3_000
_LONGEST_NAME = 200
_LAST_INSTANT = 253_402_300_799.0


def _encode(entries: Mapping[str, object]) -> str:
    """Compact JSON without what is empty."""
    return json.dumps({key: value for key, value in entries.items() if value not in (None, "")}, separators=(",", ":"))


def _decode(raw: object, longest: int = _LONGEST) -> dict[str, object] | None:
    """The object that ``raw`` holds or is; None when it is none."""
    if isinstance(raw, dict):
        return raw
    if not isinstance(raw, str) or len(raw) > longest:
        return None
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _matched(pattern: re.Pattern[str], found: object) -> str | None:
    return found if isinstance(found, str) and pattern.fullmatch(found) else None


def _named(found: object) -> str | None:
    if not isinstance(found, str) or not 1 <= len(found) <= _LONGEST_NAME or _UNNAMEABLE.search(found):
        return None
    return found


def _written(found: object) -> str | None:
    """Like a name, and in lines."""
    return found if isinstance(found, str) and _named(" ".join(found.split("\n"))) else None


def _whole(found: object, *, least: int = 1) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and least <= found < 2**63 else None


@dataclass(frozen=True, slots=True)
class ButtonValue:
    """What a button of a deployment carries."""

    deployment: DeploymentId
    version: int
    """Of the deployment as its presser saw it."""
    subject: str = ""
    """The first `SUBJECT_DIGITS` hexadecimal digits of the hash of what is approved; empty where nothing is."""
    step: int | None = None
    """The step of the rollout that its presser saw, counted from 0."""
    to: int | None = None
    """The weight that it may go on to."""

    def encode(self) -> str:
        """Compact JSON for the button's ``value``."""
        return _encode({"d": self.deployment, "v": self.version, "s": self.subject, "n": self.step, "t": self.to})

    @classmethod
    def decode(cls, raw: object) -> ButtonValue | None:
        """Read a ``value`` that came back; None when it is not one of ours."""
        if (data := _decode(raw)) is None:
            return None
        deployment, version = _matched(_ID, data.get("d")), _whole(data.get("v"))
        subject = "" if data.get("s") is None else _matched(_SUBJECT, data["s"])
        step = None if data.get("n") is None else _whole(data["n"], least=0)
        to = None if data.get("t") is None else _whole(data["t"])
        lost = (step is None) != (data.get("n") is None) or (to is None) != (data.get("t") is None)
        if deployment is None or version is None or subject is None or lost:
            return None
        return cls(DeploymentId(deployment), version, subject, step, to)


@dataclass(frozen=True, slots=True)
class OrderValue:
    """What a button under a refusal carries: the order that was refused, for its presser to ask for once more.

    Names so strange that they would not come back whole are not offered a button: see `comes_back`.
    """

    service: str
    version: str
    """As it was typed, or what it was resolved to."""
    environment: str
    at: float | None = None
    """When it was to start, in seconds since 1970; None for as soon as it can."""
    reason: str = ""
    """Why, as it was given; at most 200 characters."""
    force: bool = False

    def encode(self) -> str:
        """Compact JSON for the button's ``value``."""
        return _encode(
            {
                "s": self.service,
                "v": self.version,
                "e": self.environment,
                "a": self.at,
                "r": self.reason,
                "f": self.force or None,
            }
        )

    @property
    def comes_back(self) -> bool:
        """Whether `decode` gives it back."""
        return OrderValue.decode(self.encode()) == self

    @classmethod
    def decode(cls, raw: object) -> OrderValue | None:
        """Read a ``value`` that came back; None when it is not one of ours. Nothing says that its names exist."""
        if (data := _decode(raw)) is None:
            return None
        service, version, environment = (_named(data.get(key)) for key in ("s", "v", "e"))
        reason = "" if data.get("r") is None else _written(data["r"])
        at, force = data.get("a"), data.get("f", False)
        if service is None or version is None or environment is None or reason is None or not isinstance(force, bool):
            return None
        if at is not None and (isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= _LAST_INSTANT):
            return None
        return cls(service, version, environment, None if at is None else float(at), reason, force)


@dataclass(frozen=True, slots=True)
class IdValue:
    """What the button of a lock, a freeze or an override carries."""

    id: str
    extra: str = ""
    """What else has to be known, such as a scope or whom it is about; empty where nothing is."""

    def encode(self) -> str:
        """Compact JSON for the button's ``value``."""
        return _encode({"i": self.id, "x": self.extra})

    @property
    def comes_back(self) -> bool:
        """Whether `decode` gives it back."""
        return IdValue.decode(self.encode()) == self

    @classmethod
    def decode(cls, raw: object) -> IdValue | None:
        """Read a ``value`` that came back; None when it is not one of ours."""
        if (data := _decode(raw)) is None:
            return None
        found = _matched(_ID, data.get("i"))
        extra = "" if data.get("x") is None else _matched(_EXTRA, data["x"])
        return None if found is None or extra is None else cls(found, extra)


@dataclass(frozen=True, slots=True)
class FormValue:
    """What a form brings back in its ``private_metadata``: the value of the button that opened it, and where it was.

    Ids only: what is shown in the form is looked up anew when it is sent.
    """

    value: ButtonValue | OrderValue | IdValue
    channel: str = ""
    """The id of the channel whose button opened it; empty on the Home tab."""
    message: str = ""
    """The ``ts`` of the message whose button opened it."""

    def encode(self) -> str:
        """Compact JSON for ``private_metadata``."""
        return _encode({"b": json.loads(self.value.encode()), "c": self.channel, "t": self.message})

    @classmethod
    def decode(cls, raw: object, carried: type[ButtonValue | OrderValue | IdValue]) -> FormValue | None:
        """Read a ``private_metadata`` that came back; None when it is not one of ours or carries something else."""
        if (data := _decode(raw, _LONGEST_FORM)) is None:
            return None
        value = carried.decode(data.get("b"))
        channel = "" if data.get("c") is None else _matched(_CHANNEL, data["c"])
        message = "" if data.get("t") is None else _matched(_STAMP, data["t"])
        if value is None or channel is None or message is None:
            return None
        return cls(value, channel, message)
