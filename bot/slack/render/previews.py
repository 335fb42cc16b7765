"""Previews as people see them: where they are, what runs in them, until when. Who may close one is decided later."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.ports.previews import PreviewState
from bot.slack.names import COMMAND, ActionId, IdValue
from bot.slack.render import blocks as b
from bot.slack.render.message import Message, compose
from bot.slack.render.text import clause, escape, instant, instant_plain, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.ids import ServiceName
    from bot.domain.release import Release
    from bot.ports.previews import Preview, Previewed

    Block = b.Block

SHOWN = 15
"""Previews that one list has; each is a paragraph with a button."""
_SERVICES = 8
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")


def address(text: str) -> str:
    """A link for mrkdwn; empty for what is no plain address of a page."""
    return f"<{text}>" if len(text) <= 500 and _ADDRESS.fullmatch(text) else ""


def begun(release: Release, number: int, until: datetime) -> Message:
    """What somebody asked for is under way."""
    what = f"{escape(release.service, 80)} {escape(release.version, 80)} in the preview of #{number}"
    line = f"● {what} is under way. Kept until {instant(until)}."
    lines = [line, "→ What comes of it is told in the channel, in the thread of the preview."]
    return compose(f"{what} is under way. Kept until {instant_plain(until)}.", [b.section("\n".join(lines))])


def closed(preview: Preview) -> Message:
    """Somebody closed it."""
    said = f"The preview of #{preview.number} is being deleted."
    return compose(said, [b.section(f"– {said}")])


def listed(previews: Sequence[Preview]) -> Message:
    """All of them, each with *Close*."""
    if not previews:
        said = f"There are no previews. {COMMAND} preview service version pr=123 opens one."
        return compose(said, [b.section(said)])
    content: list[Block] = [b.header("Previews")]
    content += [b.section("\n".join(_lines(preview)), _close(preview)) for preview in previews[:SHOWN]]
    if len(previews) > SHOWN:
        content.append(b.context(f"… and {len(previews) - SHOWN} more."))
    numbers = ", ".join(f"#{preview.number}" for preview in previews[:SHOWN])
    return compose(f"Previews: {numbers}.", content)


def _lines(preview: Preview) -> list[str]:
    if preview.state is PreviewState.CLOSING:
        head = f"– *#{preview.number}* is being deleted ({escape(preview.place, 80)})."
        return [head, *(f"! {sentence(escape(note, 300))}" for note in preview.notes[:2])]
    by = f", opened by {escape(preview.by, 80)}" if preview.by else ""
    until = f"until {instant(preview.until)}" if preview.until else "until somebody closes it"
    lines = [f"*#{preview.number}* in {escape(preview.place, 80)}{by}, {until}"]
    entries = list(preview.services.items())
    lines += [_service(name, one) for name, one in entries[:_SERVICES]]
    if len(entries) > _SERVICES:
        lines.append(f"… and {len(entries) - _SERVICES} more services")
    return lines


def _service(name: ServiceName, one: Previewed) -> str:
    version = escape(one.version, 80) if one.version else "as in the template"
    state = "ready" if one.ready else clause(one.message, 200) or "on its way"
    symbol = "✓" if one.ready else "●"
    return " ".join(filter(None, [f"{symbol} {escape(name, 80)} {version}: {state}.", address(one.address)]))


def _close(preview: Preview) -> dict[str, Any] | None:
    if preview.state is PreviewState.CLOSING or not preview.services:
        return None
    # Who may close it is asked about a service: one that was brought there, if there is one.
    service = next((name for name, one in preview.services.items() if one.version), next(iter(preview.services)))
    value = IdValue(preview.identity, f"{service}:{preview.number}")
    if not value.comes_back:
        return None
    place = plain(preview.place, 60)
    return b.button(
        "Close",
        action_id=ActionId.CLOSE_PREVIEW,
        value=value,
        spoken=f"Close the preview of #{preview.number}",
        ask=b.confirm(
            f"Close the preview of #{preview.number}?",
            f"{place} is deleted with all that is in it.",
            yes="Close it",
            no="Keep it",
            danger=True,
        ),
    )
