"""A message as it will be shown. Pure: it is neither posted nor remembered here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.slack.render import limits
from bot.slack.render.blocks import context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.slack.render.limits import Block


@dataclass(frozen=True, slots=True)
class Message:
    """What Slack is given: blocks, and a full sentence that stands for them where blocks are not shown."""

    text: str
    blocks: list[Block]
    metadata: dict[str, Any] = field(default_factory=dict)
    sense: str = ""
    """What of it counts: while this stays, it is not shown anew because of the rest. Empty: all of it counts."""

    @property
    def digest(self) -> str:
        """Of what people see: two messages of one digest look the same. Metadata is not part of it."""
        counts = self.sense or [self.text, self.blocks]
        content = json.dumps(counts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def compose(text: str, blocks: Sequence[Block], metadata: dict[str, Any] | None = None) -> Message:
    """A message within all limits."""
    return Message(limits.cut(text, limits.TEXT).strip() or limits.NOTHING, limits.fit(blocks), metadata or {})


def explained(message: Message, why: str) -> Message:
    """``message`` with small print on top: why it is told here. ``why`` is mrkdwn, escaped already."""
    whole = compose(message.text, [context(why), *message.blocks], message.metadata)
    return replace(whole, text=message.text)
