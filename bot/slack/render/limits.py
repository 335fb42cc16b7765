"""Slack's limits: the documented ones, the ones nobody documents, and a way to make any message fit.

Renderers keep each foreign text short, so that a message fits by construction. `fit` is the net under them: what is
too long anywhere is cut with … rather than refused by Slack. Nothing here decides what a message says.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Block = dict[str, Any]

BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE = 10_000
"""Characters of all blocks as JSON. Slack says `msg_blocks_too_long` from about 13,200."""
WITH_BUTTON = 8
"""Lines with a button and its dialog that one message can hold, however long they are."""
TEXT = 3_000
"""Of the top-level text. Slack takes 40,000, but it is read aloud and shown in notifications."""
HEADER = 150
SECTION = 3_000
FIELD = 2_000
FIELDS = 10
BUTTON = 75
BUTTON_VALUE = 2_000
BUTTONS = 25
CONTEXT = 10
CONTEXT_TEXT = 2_000
CONFIRM_TITLE = 100
CONFIRM_TEXT = 300
CONFIRM_BUTTON = 30
OPTION_TEXT = 75
OPTION_VALUE = 150
OPTIONS = 100
PLACEHOLDER = 150
LABEL = 2_000
MODAL_TITLE = 24
IDENTIFIER = 255
METADATA = 3_000
NOTHING = "–"
"""Stands where a text is empty: Slack refuses an empty one, and the whole message with it."""

_OPEN_TOKEN = re.compile(r"(<[^<>]*|&[a-z]{0,4})$")


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters, never ending inside an entity or a ``<…>`` token."""
    if len(text) <= limit:
        return text
    return _OPEN_TOKEN.sub("", text[: max(0, limit - 1)]).rstrip() + "…"


def size(blocks: Sequence[Block]) -> int:
    """What the blocks weigh, in characters of JSON."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def fit(blocks: Sequence[Block], *, blocks_limit: int = BLOCKS, total: int | None = MESSAGE) -> list[Block]:
    """The blocks with everything too long cut, and the longest texts shortened until the whole weighs ``total``."""
    fitted: list[Block] = json.loads(json.dumps(list(blocks)[:blocks_limit]))
    for block in fitted:
        _fit_block(block)
    if total is None:
        return fitted
    while size(fitted) > total:
        longest = max(_texts(fitted), key=lambda text: len(text["text"]), default=None)
        if longest is None or len(longest["text"]) < 40:
            del fitted[-2 if len(fitted) > 1 else -1]  # The last block says which deployment it is.
            continue
        longest["text"] = cut(longest["text"], len(longest["text"]) * 2 // 3)
    return fitted


def problems(text: str, blocks: Sequence[Block], *, blocks_limit: int = BLOCKS) -> list[str]:
    """What Slack would refuse or cut, each with its place; empty when all is well."""
    found = []
    if not text.strip():
        found.append("/text: missing")
    if len(text) > TEXT:
        found.append(f"/text: {len(text)} > {TEXT}")
    if len(blocks) > blocks_limit:
        found.append(f"/blocks: {len(blocks)} > {blocks_limit}")
    if blocks_limit == BLOCKS and size(blocks) > MESSAGE:
        found.append(f"/blocks: {size(blocks)} characters > {MESSAGE}")
    for index, block in enumerate(blocks):
        before = json.dumps(block)
        copy = json.loads(before)
        _fit_block(copy)
        if json.dumps(copy) != before:
            found.append(f"/blocks/{index}: too long")
        if any(not entry["text"] for entry in _texts([block])):
            found.append(f"/blocks/{index}: empty text")
    return found


def _fit_block(block: Block) -> None:
    match block.get("type"):
        case "header":
            _fit_text(block.get("text"), HEADER)
        case "section":
            _fit_text(block.get("text"), SECTION)
            _fit_element(block.get("accessory", {}))
            if "fields" in block:
                block["fields"] = block["fields"][:FIELDS]
                for entry in block["fields"]:
                    _fit_text(entry, FIELD)
        case "context":
            block["elements"] = block["elements"][:CONTEXT]
            for entry in block["elements"]:
                _fit_text(entry, CONTEXT_TEXT)
        case "actions":
            block["elements"] = block["elements"][:BUTTONS]
            for element in block["elements"]:
                _fit_element(element)
        case "input":
            _fit_text(block.get("label"), LABEL)
            _fit_text(block.get("hint"), LABEL)
            _fit_element(block.get("element", {}))


def _fit_element(element: dict[str, Any]) -> None:
    _fit_text(element.get("text"), BUTTON)
    _fit_text(element.get("placeholder"), PLACEHOLDER)
    if "accessibility_label" in element:
        element["accessibility_label"] = cut(element["accessibility_label"], BUTTON)
    if (confirm := element.get("confirm")) is not None:
        _fit_text(confirm["title"], CONFIRM_TITLE)
        _fit_text(confirm["text"], CONFIRM_TEXT)
        _fit_text(confirm["confirm"], CONFIRM_BUTTON)
        _fit_text(confirm["deny"], CONFIRM_BUTTON)
    if "options" in element:
        element["options"] = element["options"][:OPTIONS]


def _fit_text(entry: dict[str, Any] | None, limit: int) -> None:
    if entry is not None:
        text = cut(entry["text"], limit)
        entry["text"] = text if text.strip() else NOTHING


def _texts(node: object) -> Iterator[dict[str, Any]]:
    """Every text object that may be shortened; labels of buttons and confirm dialogs are left alone."""
    if isinstance(node, dict):
        if node.get("type") in {"mrkdwn", "plain_text", "text"} and isinstance(node.get("text"), str):
            yield node
        for key, value in node.items():
            if key not in {"confirm", "accessory"} and node.get("type") != "button":
                yield from _texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
