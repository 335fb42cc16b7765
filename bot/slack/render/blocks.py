"""The few blocks that the bot uses, as dicts. They shape; they neither escape nor shorten what they are given.

mrkdwn is always ``verbatim``, so that Slack makes no link or mention out of plain words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.slack.render import limits
from bot.slack.render.text import plain as cut_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.slack.names import ButtonValue, IdValue, OrderValue

Block = limits.Block


def plain(text: str) -> dict[str, Any]:
    """Literal text: no format, no mention, no emoji names."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn(text: str) -> dict[str, Any]:
    """Formatted text; everything foreign in it must be escaped already."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    """A heading; foreign text is fine."""
    return {"type": "header", "text": plain(cut_plain(text, limits.HEADER))}


def section(text: str, beside: dict[str, Any] | None = None) -> Block:
    """A paragraph, with a button beside it."""
    block: Block = {"type": "section", "text": mrkdwn(text)}
    if beside:
        block["accessory"] = beside
    return block


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """Short facts in two columns, each with its bold label."""
    return {"type": "section", "fields": [mrkdwn(f"*{label}*\n{value}") for label, value in pairs]}


def context(*texts: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def divider() -> Block:
    """A line across."""
    return {"type": "divider"}


def literal(text: str) -> Block:
    """Lines of a log, shown exactly as they are."""
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}],
    }


def confirm(title: str, text: str, *, yes: str, no: str, danger: bool) -> dict[str, Any]:
    """The dialog that a click must pass; texts are literal, so foreign words are fine."""
    dialog: dict[str, Any] = {
        "title": plain(cut_plain(title, limits.CONFIRM_TITLE)),
        "text": plain(cut_plain(text, limits.CONFIRM_TEXT)),
        "confirm": plain(cut_plain(yes, limits.CONFIRM_BUTTON)),
        "deny": plain(cut_plain(no, limits.CONFIRM_BUTTON)),
    }
    if danger:
        dialog["style"] = "danger"
    return dialog


def button(
    label: str,
    *,
    action_id: str,
    value: ButtonValue | OrderValue | IdValue,
    spoken: str,
    style: str | None = None,
    ask: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A button; ``spoken`` is what a screen reader says, with service and environment in it."""
    element: dict[str, Any] = {
        "type": "button",
        "action_id": action_id,
        "text": plain(cut_plain(label, limits.BUTTON)),
        "value": value.encode(),
        "accessibility_label": cut_plain(spoken, limits.BUTTON),
    }
    if style:
        element["style"] = style
    if ask:
        element["confirm"] = ask
    return element


def actions(buttons: Sequence[dict[str, Any]]) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}
