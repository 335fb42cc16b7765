"""The content of a message as a call brings it: text, blocks, metadata; checked as Slack checks them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.sandbox import blocks as block_kit
from bot.sandbox.model import SlackError

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict
    from bot.sandbox.webapi._base import Args

LONGEST_TEXT = 40_000
LONGEST_MARKDOWN = 12_000
LARGEST_BLOCKS = 13_200


@dataclass(slots=True)
class Content:
    text: str
    blocks: list[JsonDict] | None
    attachments: list[JsonDict]
    metadata: JsonDict | None
    has_text: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.has_text or self.blocks or self.attachments)

    def warn(self, answer: JsonDict) -> JsonDict:
        """Add what Slack would remark about the content to an answer."""
        if self.warnings:
            answer["warning"] = ",".join(self.warnings)
            answer["response_metadata"] = {
                "warnings": list(self.warnings),
                "messages": [
                    "[WARN] The top-level `text` argument is missing: notifications and screen readers need it"
                ],
            }
        return answer


def read(args: Args) -> Content:
    """Take the content out of a call's arguments; SlackError names what Slack would not take."""
    blocks = args.structure("blocks", "invalid_blocks_format")
    attachments = args.structure("attachments", "invalid_attachments") or []
    text, markdown = args.get("text"), args.get("markdown_text")
    if markdown is not None:
        if text is not None or blocks:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > LONGEST_MARKDOWN:
            raise SlackError("msg_too_long")
        text, blocks = markdown, [{"type": "markdown", "text": markdown}]
    if text is not None and len(text) > LONGEST_TEXT:
        raise SlackError("msg_too_long")
    if blocks is not None:
        check_blocks(blocks)
    content = Content(text or "", blocks, attachments, metadata(args), text is not None)
    if blocks and text is None:
        content.warnings.append("missing_text_in_message")
    return content


def check_blocks(blocks: Any) -> None:
    """Refuse blocks as chat.postMessage does: with the code and, for each fault, a JSON pointer."""
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    faults = block_kit.message_faults(blocks)
    if faults:
        raise SlackError("invalid_blocks", errors=faults, response_metadata={"messages": faults})
    if len(json.dumps(blocks, separators=(",", ":"), ensure_ascii=False)) > LARGEST_BLOCKS:
        raise SlackError("msg_blocks_too_long")
    block_kit.name_blocks(blocks)


def metadata(args: Args) -> JsonDict | None:
    """Message metadata; an empty object means: take the old away."""
    given = args.structure("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise SlackError("invalid_metadata_format")
    if not given:
        return {}
    if not isinstance(given.get("event_type"), str) or not isinstance(given.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    return given
