"""Block Kit validation: what Slack refuses is refused here, with a JSON pointer to each fault.

`message_faults` and `view_faults` only look; `name_blocks` gives ids to what came without, as Slack does.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from bot.sandbox.block_elements import (
    BUTTON,
    IMAGE,
    IN_ACTIONS,
    IN_CONTEXT,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    interactive,
)
from bot.sandbox.block_rules import (
    Faults,
    Rule,
    Shape,
    anything,
    boolean,
    items,
    one_of,
    plain,
    string,
    text,
    typed,
    url,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.sandbox.model import JsonDict

MOST_IN_MESSAGE, MOST_IN_VIEW = 50, 100
LONGEST_MARKDOWN = 12_000
BLOCK_ID = string(255)


def _block(props: dict[str, Rule], required: tuple[str, ...] = (), also: Rule | None = None) -> Shape:
    return Shape({"block_id": BLOCK_ID, **props}, required, also)


def _section(faults: Faults, block: Any, pointer: str) -> None:
    if not block.get("text") and not block.get("fields"):
        faults.add("missing required field: text", pointer)


def _image(faults: Faults, block: Any, pointer: str) -> None:
    if ("image_url" in block) == ("slack_file" in block):
        faults.add("must provide either image_url or slack_file", pointer)


def _card(faults: Faults, block: Any, pointer: str) -> None:
    if not any(block.get(name) for name in ("hero_image", "title", "body", "actions")):
        faults.add("must provide at least one of hero_image, title, body, actions", pointer)


def _container(faults: Faults, block: Any, pointer: str) -> None:
    if ("title" in block) == ("rich_text_title" in block):
        faults.add("must provide either title or rich_text_title", pointer)
    if block.get("has_header_divider") and block.get("is_collapsible"):
        faults.add("has_header_divider is not allowed with is_collapsible", pointer)


_STYLE = Shape(dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight"), boolean))
_ID = string(30)
_INLINE = typed(
    {
        "text": Shape({"text": string(30_000), "style": _STYLE}, ("text",)),
        "link": Shape({"url": url, "text": string(3000), "style": _STYLE, "unsafe": boolean}, ("url",)),
        "user": Shape({"user_id": _ID, "style": _STYLE}, ("user_id",)),
        "usergroup": Shape({"usergroup_id": _ID, "style": _STYLE}, ("usergroup_id",)),
        "channel": Shape({"channel_id": _ID, "style": _STYLE}, ("channel_id",)),
        "team": Shape({"team_id": _ID, "style": _STYLE}, ("team_id",)),
        "emoji": Shape(
            {"name": string(100), "unicode": string(100), "skin_tone": anything, "style": _STYLE}, ("name",)
        ),
        "date": Shape(
            {
                "timestamp": anything,
                "format": string(200),
                "url": url,
                "fallback": string(300),
                "style": _STYLE,
            },
            ("timestamp", "format"),
        ),
        "broadcast": Shape({"range": one_of("here", "channel", "everyone"), "style": _STYLE}, ("range",)),
        "color": Shape({"value": string(20)}, ("value",)),
    }
)
_INLINES = items(_INLINE, 0, 1000)
_RICH_SECTION = Shape({"elements": _INLINES}, ("elements",))
_RICH_PART = typed(
    {
        "rich_text_section": _RICH_SECTION,
        "rich_text_preformatted": Shape(
            {"elements": _INLINES, "border": anything, "language": string(50)}, ("elements",)
        ),
        "rich_text_quote": Shape({"elements": _INLINES, "border": anything}, ("elements",)),
        "rich_text_list": Shape(
            {
                "elements": items(typed({"rich_text_section": _RICH_SECTION}), 1, 1000),
                "style": one_of("bullet", "ordered"),
                "indent": anything,
                "offset": anything,
                "border": anything,
            },
            ("elements", "style"),
        ),
    }
)
RICH_TEXT = _block({"elements": items(_RICH_PART, 1, 100)}, ("elements",))
_RICH = typed({"rich_text": RICH_TEXT})
_SOURCE = Shape({"url": url, "text": string(300, 0), "title": string(300, 0)}, ("url",))
TASK_CARD = _block(
    {
        "task_id": string(255),
        "title": string(256),
        "status": one_of("pending", "in_progress", "complete", "error"),
        "details": _RICH,
        "output": _RICH,
        "sources": items(typed({"url": _SOURCE}), 0, 20),
    },
    ("task_id", "title"),
)
_CELL = typed(
    {
        "raw_text": Shape({"text": string(3000, 0)}, ("text",)),
        "raw_number": Shape({"value": anything, "text": string(100, 0)}, ()),
        "rich_text": RICH_TEXT,
    }
)
_CARD = _block(
    {
        "hero_image": typed({"image": IMAGE}),
        "icon": typed({"image": IMAGE}),
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "subtext": text(200),
        "actions": items(typed({"button": BUTTON}), 1, 5),
    },
    also=_card,
)
EVERYWHERE: dict[str, Rule] = {
    "actions": _block({"elements": items(IN_ACTIONS, 1, 25)}, ("elements",)),
    "context": _block({"elements": items(IN_CONTEXT, 1, 10)}, ("elements",)),
    "divider": _block({}),
    "header": _block({"text": plain(150), "level": anything}, ("text",)),
    "image": _block(
        {"image_url": url, "slack_file": anything, "alt_text": string(2000), "title": plain(2000)},
        ("alt_text",),
        _image,
    ),
    "input": _block(
        {
            "label": plain(2000),
            "element": IN_INPUT,
            "dispatch_action": boolean,
            "hint": plain(2000),
            "optional": boolean,
        },
        ("label", "element"),
    ),
    "rich_text": RICH_TEXT,
    "section": _block(
        {
            "text": text(3000),
            "fields": items(text(2000), 1, 10),
            "accessory": IN_SECTION,
            "expand": boolean,
        },
        also=_section,
    ),
    "video": _block(
        {
            "alt_text": string(2000),
            "author_name": string(50),
            "description": plain(200),
            "provider_icon_url": url,
            "provider_name": string(200),
            "title": plain(200),
            "title_url": url,
            "thumbnail_url": url,
            "video_url": url,
        },
        ("alt_text", "title", "thumbnail_url", "video_url"),
    ),
}
_FILE = _block({"external_id": string(255), "source": one_of("remote")}, ("external_id", "source"))
_TABLE = _block(
    {
        "rows": items(items(_CELL, 1, 20), 1, 100),
        "column_settings": items(Shape({"align": one_of("left", "center", "right"), "is_wrapped": boolean}), 0, 20),
    },
    ("rows",),
)
_CHILDREN = {
    name: EVERYWHERE[name]
    for name in ("actions", "context", "divider", "header", "image", "input", "rich_text", "section", "video")
}
IN_MESSAGE = typed(
    EVERYWHERE
    | {
        "file": _FILE,
        "markdown": _block({"text": string(LONGEST_MARKDOWN)}, ("text",)),
        "plan": _block({"title": string(256), "tasks": items(typed({"task_card": TASK_CARD}), 0, 50)}, ("title",)),
        "task_card": TASK_CARD,
        "table": _TABLE,
        "card": _CARD,
        "carousel": _block({"elements": items(typed({"card": _CARD}), 1, 10)}, ("elements",)),
        "container": _block(
            {
                "child_blocks": items(typed(_CHILDREN | {"file": _FILE, "table": _TABLE}), 1, 10),
                "title": text(150),
                "rich_text_title": _RICH,
                "subtitle": text(150),
                "width": one_of("narrow", "standard", "wide", "full"),
                "icon": anything,
                "is_collapsible": boolean,
                "default_collapsed": boolean,
                "has_header_divider": boolean,
            },
            ("child_blocks",),
            _container,
        ),
        "context_actions": _block({"elements": items(IN_CONTEXT_ACTIONS, 1, 5)}, ("elements",)),
    }
)
IN_MODAL = typed(
    EVERYWHERE
    | {
        "alert": _block(
            {"text": text(200), "level": one_of("default", "info", "warning", "error", "success")}, ("text",)
        )
    }
)
IN_HOME = typed(EVERYWHERE)


def message_faults(blocks: list[Any]) -> list[str]:
    """What is wrong with the blocks of a message; empty when Slack would take them."""
    faults = Faults()
    items(IN_MESSAGE, 0, MOST_IN_MESSAGE)(faults, blocks, "/blocks")
    _ids_are_unique(faults, blocks, "/blocks")
    kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
    if kinds.count("table") > 1:
        faults.add("only_one_table_allowed", "/blocks")
    if "plan" in kinds and "task_card" in kinds:
        faults.add("plan and task_card are mutually exclusive", "/blocks")
    written = sum(
        len(block.get("text", ""))
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "markdown" and isinstance(block.get("text"), str)
    )
    if written > LONGEST_MARKDOWN and not faults.messages:
        faults.add(f"markdown blocks must be less than {LONGEST_MARKDOWN + 1} characters in all", "/blocks")
    return faults.messages


_VIEW: dict[str, Rule] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_MODAL = Shape(
    {
        **_VIEW,
        "title": plain(24),
        "submit": plain(24),
        "close": plain(24),
        "blocks": items(IN_MODAL, 0, MOST_IN_VIEW),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
    ("title", "blocks"),
)
_HOME = Shape({**_VIEW, "blocks": items(IN_HOME, 0, MOST_IN_VIEW)}, ("blocks",))


def view_faults(view: JsonDict) -> list[str]:
    """What is wrong with a modal or a Home tab."""
    faults = Faults()
    typed({"modal": _MODAL, "home": _HOME})(faults, view, "/view")
    blocks = view.get("blocks")
    if isinstance(blocks, list):
        _ids_are_unique(faults, blocks, "/view/blocks")
        inputs = any(isinstance(block, dict) and block.get("type") == "input" for block in blocks)
        if inputs and view.get("type") == "modal" and not view.get("submit"):
            faults.add("missing required field: submit", "/view")
    return faults.messages


def options_faults(answer: JsonDict) -> list[str]:
    """What is wrong with an answer to block_suggestion."""
    from bot.sandbox.block_elements import OPTION_GROUPS, OPTIONS

    faults = Faults()
    Shape({"options": OPTIONS, "option_groups": OPTION_GROUPS})(faults, answer, "")
    if ("options" in answer) == ("option_groups" in answer):
        faults.add("must provide either options or option_groups", "")
    return faults.messages


def _ids_are_unique(faults: Faults, blocks: list[Any], pointer: str) -> None:
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        if not isinstance(block, dict):
            continue
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id:
            if block_id in seen:
                faults.add(f"block_id {block_id!r} already exists", f"{pointer}/{index}/block_id")
            seen.add(block_id)
        if block.get("type") in {"actions", "context_actions"} and isinstance(block.get("elements"), list):
            ids = [e.get("action_id") for e in block["elements"] if isinstance(e, dict)]
            for position, action_id in enumerate(ids):
                if action_id is not None and action_id in ids[:position]:
                    faults.add(
                        f"action_id {action_id!r} already exists",
                        f"{pointer}/{index}/elements/{position}/action_id",
                    )


def name_blocks(blocks: list[JsonDict]) -> None:
    """Give every block a block_id and every element an action_id, where there is none. Blocks must be valid."""
    for block in _all(blocks):
        if not block.get("block_id"):
            block["block_id"] = _name()
    for _, element in interactive(blocks):
        if not element.get("action_id"):
            element["action_id"] = _name()


def _all(blocks: list[JsonDict]) -> Iterator[JsonDict]:
    for block in blocks:
        yield block
        yield from _all(block.get("child_blocks") or [])
        if block.get("type") == "carousel":
            yield from _all(block.get("elements") or [])


def _name() -> str:
    return secrets.token_urlsafe(4)[:5]
