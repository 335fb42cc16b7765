"""What is told to somebody apart from the message of a deployment: about locks, freezes and exceptions."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.domain.notice import NoticeKind
from bot.domain.policy.scope import scope_of
from bot.slack.names import COMMAND, ActionId, ButtonValue, IdValue
from bot.slack.render import blocks as b
from bot.slack.render import controls
from bot.slack.render.message import Message, compose
from bot.slack.render.previews import address
from bot.slack.render.text import escape, instant, name_plain, plain, sentence

if TYPE_CHECKING:
    from bot.domain.notice import Notice

    Block = b.Block

_TITLES = {
    NoticeKind.LOCK_TAKEN: ("!", "Your lock was taken over"),
    NoticeKind.LOCK_NAG: ("?", "Is your lock still needed"),
    NoticeKind.LOCK_ENDED: ("✓", "Your lock has ended"),
    NoticeKind.LOCK_ASKED: ("?", "Somebody waits for your lock"),
    NoticeKind.LOCKED: ("‖", "Locked for an incident"),
    NoticeKind.UNLOCKED: ("✓", "Unlocked"),
    NoticeKind.FROZEN: ("‖", "Frozen"),
    NoticeKind.UNFROZEN: ("✓", "Freeze lifted"),
    NoticeKind.OVERRIDE_ASKED: ("?", "Override asked for"),
    NoticeKind.OVERRIDE_AGREED: ("!", "Override agreed"),
    NoticeKind.GLASS_BROKEN: ("!", "Glass broken"),
    NoticeKind.FREED: ("✓", "Free to start"),
    NoticeKind.PREVIEW_ASKED: ("●", "Preview"),
    NoticeKind.PREVIEW_MADE: ("●", "Preview made"),
    NoticeKind.PREVIEW_READY: ("✓", "Preview ready"),
    NoticeKind.PREVIEW_FAILED: ("✗", "Preview in trouble"),
    NoticeKind.PREVIEW_OVER: ("–", "Preview closed"),
}
_NEXT = {
    NoticeKind.LOCK_TAKEN: "What you protected with it is not protected by you any more.",
    NoticeKind.LOCK_NAG: "Unlock it, or say that you keep it; else it stays until its time is over or somebody acts.",
    NoticeKind.OVERRIDE_ASKED: "A second person must agree: neither who asks for it nor who deploys.",
    NoticeKind.GLASS_BROKEN: "Somebody must look at it and mark it as reviewed.",
    NoticeKind.OVERRIDE_AGREED: "Ask for the same deployment once more: now it passes them.",
    NoticeKind.FREED: "Its gates are asked again when it is started.",
}
METADATA_EVENT = "notice"
_LONGEST_LINK = 500
_LONGEST_COMMENT = 2_500
"""A longer one is not shown at all: the half of a table is none."""
_LINK = re.compile(r"https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9._~/%?#&=+,;:-]*)?")


def notice(told: Notice) -> Message:
    """What happened, and the buttons that fit."""
    symbol, title = _TITLES[told.kind]
    what = sentence(escape(told.sentence, 1_500)) or "It has happened."
    what = f"{what} {_until(told)}".strip()
    if link := address(told.facts.get("address", "")):
        what = f"{what} {link}"
    if link := _link(told.facts.get("link", "")):
        what = f"{what} {link}"
    mark = "?" if symbol == "?" and not title.startswith(("Somebody", "Override")) else ""
    lines = [f"{symbol} *{title}{mark}*", what]
    if advice := _NEXT.get(told.kind):
        lines.append(f"→ {advice}")
    if told.kind is NoticeKind.UNFROZEN and told.facts.get("held", "").strip():
        lines.append("→ Each of them is started in its own message, if it is still wanted.")
    content: list[Block] = [b.section("\n".join(lines))]
    if 0 < len(comment := told.facts.get("comment", "")) <= _LONGEST_COMMENT:
        content += [b.context("To be put on the pull request, as it is:"), b.literal(comment)]
    if row := _row(told):
        content.append(b.actions(row))
    metadata = {"event_type": METADATA_EVENT, "event_payload": {"key": plain(told.key, 200)}}
    return compose(f"{title}{mark or ':'} {what}", content, metadata)


def _row(told: Notice) -> list[dict[str, Any]]:
    lock, freeze, override = (_id(told, fact) for fact in ("lock", "freeze", "override"))
    place = _place(told)
    about = told.deployment or ""
    match told.kind:
        case NoticeKind.LOCK_NAG | NoticeKind.LOCK_ASKED if lock:
            return [controls.unlock(lock, place), controls.keep(lock, place)]
        case NoticeKind.LOCKED if lock:
            return [controls.unlock(lock, place)]
        case NoticeKind.FROZEN if freeze:
            return [controls.unfreeze(freeze, place)]
        case NoticeKind.OVERRIDE_ASKED if override:
            return [controls.agree(override, place, asker=name_plain(told.by), about=about)]
        case NoticeKind.GLASS_BROKEN if override:
            return [controls.review(override, about=about)]
        case NoticeKind.FREED if told.deployment:
            return _start(told)
    return []


def _start(told: Notice) -> list[dict[str, Any]]:
    """*Start*, without the version that its presser saw: a notice does not follow the deployment."""
    assert told.deployment is not None
    value = ButtonValue(told.deployment, 1)
    if ButtonValue.decode(value.encode()) is None:
        return []
    number = told.facts.get("number", "")
    what = f"#{plain(number.lstrip('#'), 20)}" if number else "the deployment"
    return [
        b.button(
            "Start",
            action_id=ActionId.START,
            value=value,
            spoken=f"Start {what}",
            style="primary",
            ask=b.confirm(
                f"Start {what}?",
                f"Every gate is asked again; if one still stops it, it is held again. {COMMAND} status shows it.",
                yes="Start",
                no="Not now",
                danger=False,
            ),
        )
    ]


def _place(told: Notice) -> str:
    """What it is about, literal: a scope in words, or what is to be deployed."""
    if scope := told.facts.get("scope"):
        try:
            return scope_of(scope).words
        except ValueError:
            return scope
    version, service, environment = (told.facts.get(fact, "") for fact in ("version", "service", "environment"))
    return f"{service} {version} to {environment}" if service and environment else "it"


def _link(given: str) -> str:
    """A link for mrkdwn that shows where it leads; empty for what is no plain address of a page over HTTPS."""
    return f"<{given.replace('&', '&amp;')}>" if len(given) <= _LONGEST_LINK and _LINK.fullmatch(given) else ""


def _until(told: Notice) -> str:
    """When what it tells of ends, if that is known."""
    try:
        until = datetime.fromisoformat(told.facts.get("until", ""))
    except ValueError:
        return ""
    return "" if until.tzinfo is None else f"Until {instant(until)}."


def _id(told: Notice, fact: str) -> str:
    found = told.facts.get(fact, "")
    return found if IdValue(found).comes_back else ""
