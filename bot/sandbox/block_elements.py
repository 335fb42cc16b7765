"""The elements inside blocks (buttons, menus, inputs) and the objects inside those: shapes, limits, and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.block_rules import (
    Faults,
    Rule,
    Shape,
    anything,
    boolean,
    integer,
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

ACTION_ID, VALUE = string(255), string(2000)

CONFIRM = Shape(
    {
        "title": plain(100),
        "text": text(300),
        "confirm": plain(30),
        "deny": plain(30),
        "style": one_of("primary", "danger"),
    },
    ("title", "text", "confirm", "deny"),
)
OPTION = Shape(
    {"text": plain(75), "value": string(150), "description": plain(75)},
    ("text", "value"),
)
RICH_OPTION = Shape(
    {"text": text(75), "value": string(150), "description": text(75)},
    ("text", "value"),
)
LINK_OPTION = Shape({"text": plain(75), "value": string(150), "description": plain(75), "url": url}, ("text", "value"))
OPTION_GROUP = Shape({"label": plain(75), "options": items(OPTION, 1, 100)}, ("label", "options"))
OPTIONS, OPTION_GROUPS = items(OPTION, 0, 100), items(OPTION_GROUP, 0, 100)


def _offers(faults: Faults, element: Any, pointer: str) -> None:
    """A static menu has options or groups, not both, and starts with one of them."""
    if ("options" in element) == ("option_groups" in element):
        faults.add("must provide either options or option_groups", pointer)
        return
    offered = element.get("options") or [
        option
        for group in element.get("option_groups") or []
        if isinstance(group, dict)
        for option in group.get("options") or []
    ]
    initial = element.get("initial_options") or [element[k] for k in ("initial_option",) if element.get(k)]
    for option in initial:
        if option not in offered:
            faults.add("initial option must exactly match a provided option", pointer)


def _menu(props: dict[str, Rule], required: tuple[str, ...] = (), also: Rule | None = None) -> Shape:
    common: dict[str, Rule] = {
        "action_id": ACTION_ID,
        "placeholder": plain(150),
        "confirm": CONFIRM,
        "focus_on_load": boolean,
    }
    return Shape(common | props, required, also)


def _field(props: dict[str, Rule], required: tuple[str, ...] = ()) -> Shape:
    common: dict[str, Rule] = {
        "action_id": ACTION_ID,
        "placeholder": plain(150),
        "focus_on_load": boolean,
        "dispatch_action_config": Shape(
            {"trigger_actions_on": items(one_of("on_enter_pressed", "on_character_entered"), 1, 2)}
        ),
    }
    return Shape(common | props, required)


_STATIC: dict[str, Rule] = {"options": items(OPTION, 1, 100), "option_groups": items(OPTION_GROUP, 1, 100)}
_MANY: dict[str, Rule] = {"max_selected_items": integer(1, 100)}
_FILTER = Shape(
    {
        "include": items(one_of("im", "mpim", "private", "public"), 1, 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    }
)
_CONVERSATIONS: dict[str, Rule] = {"default_to_current_conversation": boolean, "filter": _FILTER}
_CHOICE = {"options": items(RICH_OPTION, 1, 10)}
_IDS = items(string(30), 1, 100)

BUTTON = Shape(
    {
        "text": plain(75),
        "action_id": ACTION_ID,
        "url": url,
        "value": VALUE,
        "style": one_of("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
    },
    ("text",),
)
IMAGE = Shape(
    {
        "image_url": url,
        "slack_file": anything,
        "alt_text": string(2000),
        "image_bytes": anything,
        "image_width": anything,
        "image_height": anything,
    },
    ("alt_text",),
)
_FEEDBACK = Shape({"text": plain(75), "value": VALUE, "accessibility_label": string(75)}, ("text", "value"))

SELECTS: dict[str, Rule] = {
    "static_select": _menu({**_STATIC, "initial_option": OPTION}, also=_offers),
    "external_select": _menu({"initial_option": OPTION, "min_query_length": integer(0, 75)}),
    "users_select": _menu({"initial_user": string(30)}),
    "conversations_select": _menu(
        {"initial_conversation": string(30), "response_url_enabled": boolean, **_CONVERSATIONS}
    ),
    "channels_select": _menu({"initial_channel": string(30), "response_url_enabled": boolean}),
    "multi_static_select": _menu({**_STATIC, **_MANY, "initial_options": items(OPTION, 1, 100)}, also=_offers),
    "multi_external_select": _menu(
        {**_MANY, "initial_options": items(OPTION, 1, 100), "min_query_length": integer(0, 75)}
    ),
    "multi_users_select": _menu({**_MANY, "initial_users": _IDS}),
    "multi_conversations_select": _menu({**_MANY, **_CONVERSATIONS, "initial_conversations": _IDS}),
    "multi_channels_select": _menu({**_MANY, "initial_channels": _IDS}),
}
PICKERS: dict[str, Rule] = {
    "datepicker": _menu({"initial_date": string(10, 10)}),
    "timepicker": _menu({"initial_time": string(5, 5), "timezone": string(100)}),
    "datetimepicker": _menu({"initial_date_time": integer(0, 9_999_999_999)}),
    "checkboxes": _menu({**_CHOICE, "initial_options": items(RICH_OPTION, 1, 10)}, ("options",), _offers),
    "radio_buttons": _menu({**_CHOICE, "initial_option": RICH_OPTION}, ("options",), _offers),
}
PRESSED: dict[str, Rule] = {
    "button": BUTTON,
    "overflow": Shape({"action_id": ACTION_ID, "options": items(LINK_OPTION, 1, 5), "confirm": CONFIRM}, ("options",)),
    "workflow_button": Shape(
        {
            "text": plain(75),
            "action_id": ACTION_ID,
            "workflow": anything,
            "style": one_of("primary", "danger"),
            "accessibility_label": string(75),
        },
        ("text", "workflow"),
    ),
}
FIELDS: dict[str, Rule] = {
    "plain_text_input": _field(
        {
            "initial_value": string(3000, 0),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        }
    ),
    "number_input": _field(
        {
            "is_decimal_allowed": boolean,
            "initial_value": string(100, 0),
            "min_value": string(100, 0),
            "max_value": string(100, 0),
        },
        ("is_decimal_allowed",),
    ),
    "email_text_input": _field({"initial_value": string(3000, 0)}),
    "url_text_input": _field({"initial_value": string(3000, 0)}),
    "rich_text_input": _field({"initial_value": anything}),
    "file_input": Shape(
        {
            "action_id": ACTION_ID,
            "filetypes": items(string(20), 1, 100),
            "max_files": integer(1, 10),
        }
    ),
}
IN_ACTIONS = typed(PRESSED | SELECTS | PICKERS)
IN_SECTION = typed(PRESSED | SELECTS | PICKERS | {"image": IMAGE})
IN_INPUT = typed(SELECTS | PICKERS | FIELDS)
IN_CONTEXT = typed(
    {
        "image": IMAGE,
        "plain_text": Shape({"text": string(3000), "emoji": boolean}, ("text",)),
        "mrkdwn": Shape({"text": string(3000), "verbatim": boolean}, ("text",)),
    }
)
IN_CONTEXT_ACTIONS = typed(
    {
        "feedback_buttons": Shape(
            {"action_id": ACTION_ID, "positive_button": _FEEDBACK, "negative_button": _FEEDBACK},
            ("positive_button", "negative_button"),
        ),
        "icon_button": Shape(
            {
                "icon": one_of("trash"),
                "text": plain(75),
                "action_id": ACTION_ID,
                "value": VALUE,
                "confirm": CONFIRM,
                "accessibility_label": string(75),
                "visible_to_user_ids": _IDS,
            },
            ("icon", "text"),
        ),
    }
)

# What an element's state is called, where it starts from, and what stands there when nothing is chosen.
STATE: dict[str, tuple[str, str, Any]] = {
    "plain_text_input": ("value", "initial_value", None),
    "number_input": ("value", "initial_value", None),
    "email_text_input": ("value", "initial_value", None),
    "url_text_input": ("value", "initial_value", None),
    "rich_text_input": ("rich_text_value", "initial_value", None),
    "file_input": ("files", "", []),
    "static_select": ("selected_option", "initial_option", None),
    "external_select": ("selected_option", "initial_option", None),
    "radio_buttons": ("selected_option", "initial_option", None),
    "users_select": ("selected_user", "initial_user", None),
    "conversations_select": ("selected_conversation", "initial_conversation", None),
    "channels_select": ("selected_channel", "initial_channel", None),
    "datepicker": ("selected_date", "initial_date", None),
    "timepicker": ("selected_time", "initial_time", None),
    "datetimepicker": ("selected_date_time", "initial_date_time", None),
    "checkboxes": ("selected_options", "initial_options", []),
    "multi_static_select": ("selected_options", "initial_options", []),
    "multi_external_select": ("selected_options", "initial_options", []),
    "multi_users_select": ("selected_users", "initial_users", []),
    "multi_conversations_select": ("selected_conversations", "initial_conversations", []),
    "multi_channels_select": ("selected_channels", "initial_channels", []),
}


def interactive(blocks: list[JsonDict]) -> Iterator[tuple[JsonDict, JsonDict]]:
    """Every element that a person can act on, with the block that it is in, in reading order."""
    for block in blocks:
        match block.get("type"):
            case "input":
                yield block, block["element"]
            case "section" if isinstance(block.get("accessory"), dict):
                yield block, block["accessory"]
            case "actions" | "context_actions":
                for element in block.get("elements", []):
                    yield block, element
            case "card":
                for element in block.get("actions") or []:
                    yield block, element
            case "carousel":
                yield from interactive(block.get("elements") or [])
            case "container":
                yield from interactive(block.get("child_blocks") or [])


def initial_values(blocks: list[JsonDict]) -> dict[str, dict[str, JsonDict]]:
    """The `state.values` of freshly shown blocks."""
    values: dict[str, dict[str, JsonDict]] = {}
    for block, element in interactive(blocks):
        kind = element.get("type", "")
        if kind in STATE:
            key, initial, empty = STATE[kind]
            start = element.get(initial) if initial else None
            state = {"type": kind, key: (list(empty) if isinstance(empty, list) else empty) if start is None else start}
            values.setdefault(block["block_id"], {})[element["action_id"]] = state
    return values
