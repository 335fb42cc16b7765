"""The forms that a button opens where a word is needed: a reason, and for broken glass the service's name by hand.

A form carries ids and names only, see `FormValue`; what it allows is decided when it is sent. It needs no look-up, so
that it opens while its trigger lives; with what is known it says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.slack.names import (
    BREAK_GLASS_FORM,
    OVERRIDE_FORM,
    REJECT_FORM,
    TAKE_OVER_FORM,
    FormField,
    FormValue,
    OrderValue,
)
from bot.slack.render import blocks as b
from bot.slack.render.text import clean, escape, instant, name, plain, sentence

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.errors import RequestRefused
    from bot.domain.policy.lock import StickyLock

    Block = b.Block

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What somebody wrote; empty where nothing was."""

    reason: str = ""
    confirm: str = ""


def reject(carried: FormValue, *, deployment: Deployment | None = None) -> dict[str, Any]:
    """The reason of a rejection."""
    lines = ["The deployment ends, and its requester is told who rejected it and why."]
    if deployment:
        lines.insert(0, f"*#{deployment.number} {_deployed(deployment)}*")
    return _form(REJECT_FORM, "Reject", "Reject", carried, lines, [_reason("What speaks against it")])


def take_over(carried: FormValue, *, lock: StickyLock | None = None) -> dict[str, Any]:
    """The reason why somebody takes a lock over."""
    lines = ["The lock becomes yours. Its owner is told at once that you took it, and why."]
    if lock:
        lines.insert(
            0,
            f"*{escape(lock.scope.subject, 120)}* is locked by {name(lock.owner)} since {instant(lock.at)}: "
            f"{escape(lock.reason, 300)}",
        )
    return _form(TAKE_OVER_FORM, "Take the lock over", "Take over", carried, lines, [_reason("Why it cannot wait")])


def override(carried: FormValue) -> dict[str, Any]:
    """The reason why one deployment should pass a freeze or a closed window."""
    passes = "One deployment of exactly this artifact may then pass freezes and closed windows, once."
    lines = [f"{passes} A second person must agree; both of you are on record, and it is announced."]
    if isinstance(carried.value, OrderValue):
        lines.insert(0, f"*{_ordered(carried.value)}*")
    return _form(OVERRIDE_FORM, "Request an override", "Request", carried, lines, [_reason("Why it cannot wait")])


def break_glass(carried: FormValue, *, reason: str = "") -> dict[str, Any]:
    """The reason, and the name of the service once more, for a deployment past approval, freezes and locks."""
    passes = "! *Emergency*: this deployment passes approval, freezes, windows and locks, once."
    told = "It is announced in the security channel, is on record under your name, and somebody must review it."
    lines = [f"{passes} {told}"]
    service = ""
    if isinstance(carried.value, OrderValue):
        lines.insert(0, f"*{_ordered(carried.value)}*")
        service = plain(carried.value.service, 80)
    confirm = {
        "type": "input",
        "block_id": FormField.CONFIRM.value,
        "label": b.plain(f"Type {service or 'the name of the service'} to confirm"),
        "element": {
            "type": "plain_text_input",
            "action_id": FormField.CONFIRM.action_id,
            "max_length": 200,
            "placeholder": b.plain("The name of the service"),
        },
    }
    blocks = [_reason("What is broken, and the incident", given=reason), confirm]
    return _form(BREAK_GLASS_FORM, "Break the glass", "Break the glass", carried, lines, blocks)


def filled(view: Mapping[str, Any]) -> Filled:
    """What somebody wrote, read from the ``view`` of a submission; what is missing is empty."""
    state = view.get("state")
    values = state.get("values") if isinstance(state, Mapping) else None
    return Filled(reason=_read(values, FormField.REASON), confirm=_read(values, FormField.CONFIRM))


def errors(refused: RequestRefused, *, at: FormField = FormField.REASON) -> dict[str, str]:
    """The refusal at an input of the form, as ``response_action: errors`` wants it."""
    text = sentence(refused.message) + (f" {sentence(refused.hint)}" if refused.hint else "")
    return {at.value: plain(text, 300) or "This cannot be done."}


def _form(
    callback: str, title: str, submit: str, carried: FormValue, lines: list[str], inputs: list[Block]
) -> dict[str, Any]:
    if isinstance(carried.value, OrderValue):
        carried = replace(carried, value=replace(carried.value, reason=""))  # it is asked for anew
    return {
        "type": "modal",
        "callback_id": callback,
        "title": b.plain(title),
        "submit": b.plain(submit),
        "close": b.plain("Cancel"),
        "private_metadata": carried.encode(),
        "blocks": [b.section("\n".join(lines)), *inputs],
    }


def _reason(placeholder: str, *, given: str = "") -> Block:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": FormField.REASON.action_id,
        "multiline": True,
        "max_length": LONGEST_REASON,
        "placeholder": b.plain(placeholder),
    }
    if text := clean(given):
        element["initial_value"] = plain(text, LONGEST_REASON)
    return {"type": "input", "block_id": FormField.REASON.value, "label": b.plain("Reason"), "element": element}


def _ordered(order: OrderValue) -> str:
    return f"{escape(order.service, 80)} {escape(order.version, 80)} to {escape(order.environment, 80)}"


def _deployed(deployment: Deployment) -> str:
    version = escape(deployment.release.version, 80)
    return f"{escape(deployment.service, 80)} {version} to {escape(deployment.environment, 80)}"


def _read(values: object, field: FormField) -> str:
    block = values.get(field.value) if isinstance(values, Mapping) else None
    element = block.get(field.action_id) if isinstance(block, Mapping) else None
    value = element.get("value") if isinstance(element, Mapping) else None
    return value.strip()[:2_000] if isinstance(value, str) else ""
