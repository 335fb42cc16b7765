"""Block Kit's limits, one by one: the last value that Slack takes and the first that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.block_elements import initial_values
from bot.sandbox.blocks import message_faults, name_blocks, options_faults, view_faults


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text)}


def option(label: str = "a", value: str = "a") -> dict[str, Any]:
    return {"text": plain(label), "value": value}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Go"), **more}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def confirm(**more: Any) -> dict[str, Any]:
    return {"title": plain("t"), "text": plain("x"), "confirm": plain("y"), "deny": plain("n"), **more}


def rich(text: str) -> dict[str, Any]:
    inner = [{"type": "text", "text": text}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": inner}]}


def select(count: int) -> dict[str, Any]:
    return {"type": "static_select", "options": [option(str(n), str(n)) for n in range(count)]}


TASK = {"type": "task_card", "task_id": "1", "title": "t"}
IMAGE = {"type": "image", "image_url": "https://i.example/a", "alt_text": "a"}
LIMITS: list[tuple[str, Any, int]] = [
    ("header", lambda n: {"type": "header", "text": plain("x" * n)}, 150),
    ("section text", lambda n: section("x" * n), 3000),
    ("section field", lambda n: {"type": "section", "fields": [mrkdwn("x" * n)]}, 2000),
    ("section fields", lambda n: {"type": "section", "fields": [mrkdwn("x")] * n}, 10),
    ("button text", lambda n: actions({"type": "button", "text": plain("x" * n)}), 75),
    ("button value", lambda n: actions(button(value="x" * n)), 2000),
    ("button url", lambda n: actions(button(url="https://" + "x" * (n - 8))), 3000),
    ("accessibility label", lambda n: actions(button(accessibility_label="x" * n)), 75),
    ("action_id", lambda n: actions(button(action_id="x" * n)), 255),
    ("block_id", lambda n: {"type": "divider", "block_id": "x" * n}, 255),
    ("actions", lambda n: actions(*[button(action_id=str(i)) for i in range(n)]), 25),
    ("context", lambda n: {"type": "context", "elements": [mrkdwn("x")] * n}, 10),
    ("option text", lambda n: actions({"type": "static_select", "options": [option("x" * n)]}), 75),
    ("option value", lambda n: actions({"type": "static_select", "options": [option("a", "x" * n)]}), 150),
    ("options", lambda n: actions(select(n)), 100),
    ("overflow", lambda n: actions({"type": "overflow", "options": [option()] * n}), 5),
    ("placeholder", lambda n: actions({**select(1), "placeholder": plain("x" * n)}), 150),
    ("confirm title", lambda n: actions(button(confirm=confirm(title=plain("x" * n)))), 100),
    ("confirm text", lambda n: actions(button(confirm=confirm(text=plain("x" * n)))), 300),
    ("confirm button", lambda n: actions(button(confirm=confirm(deny=plain("x" * n)))), 30),
    ("image alt", lambda n: {"type": "image", "image_url": "https://i.example/a", "alt_text": "x" * n}, 2000),
    ("markdown", lambda n: {"type": "markdown", "text": "x" * n}, 12_000),
    ("card body", lambda n: {"type": "card", "body": mrkdwn("x" * n)}, 200),
    ("carousel", lambda n: {"type": "carousel", "elements": [{"type": "card", "title": plain("t")}] * n}, 10),
    (
        "container",
        lambda n: {"type": "container", "title": plain("t"), "child_blocks": [{"type": "divider"}] * n},
        10,
    ),
    ("table rows", lambda n: {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * n}, 100),
    ("table cells", lambda n: {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * n]}, 20),
]


@pytest.mark.parametrize(
    ("make", "most"), [(make, most) for _, make, most in LIMITS], ids=[name for name, *_ in LIMITS]
)
def test_the_last_that_fits_and_the_first_that_does_not(make: Any, most: int) -> None:
    assert message_faults([make(most)]) == []
    (fault,) = message_faults([make(most + 1)])
    assert fault.startswith("[ERROR] ")
    assert "[json-pointer:/blocks/0" in fault


def test_fifty_blocks_in_a_message_and_a_hundred_in_a_view() -> None:
    assert message_faults([{"type": "divider"}] * 50) == []
    assert message_faults([{"type": "divider"}] * 51) == [
        "[ERROR] no more than 50 items allowed [json-pointer:/blocks]"
    ]
    home: dict[str, Any] = {"type": "home", "blocks": [{"type": "divider"}] * 100}
    assert view_faults(home) == []
    home["blocks"].append({"type": "divider"})
    assert view_faults(home) == ["[ERROR] no more than 100 items allowed [json-pointer:/view/blocks]"]


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([{"type": "shout"}], "unsupported type: shout [json-pointer:/blocks/0/type]"),
        (["text"], "must provide an object [json-pointer:/blocks/0]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
        ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "header", "text": mrkdwn("x")}], "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
        ([{**section("x"), "colour": "red"}], "invalid additional property: colour [json-pointer:/blocks/0]"),
        (
            [{"type": "section", "text": {**mrkdwn("x"), "emoji": True}}],
            "invalid additional property: emoji [json-pointer:/blocks/0/text]",
        ),
        (
            [actions(button(style="bold"))],
            "must be a valid enum value: primary, danger [json-pointer:/blocks/0/elements/0/style]",
        ),
        ([actions(button(url="nowhere"))], "Invalid URL [json-pointer:/blocks/0/elements/0/url]"),
        (
            [actions(button(action_id="a"), button(action_id="a"))],
            "action_id 'a' already exists [json-pointer:/blocks/0/elements/1/action_id]",
        ),
        (
            [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
            "block_id 'a' already exists [json-pointer:/blocks/1/block_id]",
        ),
        (
            [actions({**select(2), "initial_option": option("z", "z")})],
            "initial option must exactly match a provided option [json-pointer:/blocks/0/elements/0]",
        ),
        ([{"type": "alert", "text": plain("x")}], "unsupported type: alert [json-pointer:/blocks/0/type]"),
        (
            [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}] * 2,
            "only_one_table_allowed [json-pointer:/blocks]",
        ),
        (
            [{"type": "markdown", "text": "x" * 7000}] * 2,
            "markdown blocks must be less than 12001 characters in all [json-pointer:/blocks]",
        ),
        (
            [
                {
                    "type": "plan",
                    "title": "p",
                    "tasks": [{"type": "task_card", "task_id": "1", "title": "t", "status": "done"}],
                }
            ],
            "must be a valid enum value: pending, in_progress, complete, error [json-pointer:/blocks/0/tasks/0/status]",
        ),
        (
            [{"type": "plan", "title": "p"}, {"type": "task_card", "task_id": "1", "title": "t"}],
            "plan and task_card are mutually exclusive [json-pointer:/blocks]",
        ),
        (
            [{"type": "card", "subtitle": plain("x")}],
            "must provide at least one of hero_image, title, body, actions [json-pointer:/blocks/0]",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(blocks: list[Any], fault: str) -> None:
    assert message_faults(blocks) == [f"[ERROR] {fault}"]


def test_what_slack_takes() -> None:
    blocks = [
        {"type": "header", "text": plain("api to production")},
        {"type": "section", "fields": [mrkdwn("a"), plain("b")], "accessory": button(confirm=confirm(style="danger"))},
        rich("hello"),
        {
            "type": "context",
            "elements": [mrkdwn("x"), {"type": "image", "image_url": "https://i.example/a", "alt_text": "a"}],
        },
        {
            "type": "plan",
            "title": "p",
            "tasks": [{"type": "task_card", "task_id": "1", "title": "t", "details": rich("d")}],
        },
        actions({"type": "external_select", "action_id": "s", "min_query_length": 0}, {"type": "datepicker"}),
        {"type": "input", "label": plain("l"), "element": {"type": "plain_text_input", "multiline": True}},
    ]
    assert message_faults(blocks) == []
    name_blocks(blocks)
    assert all(block["block_id"] for block in blocks)
    assert blocks[-1]["element"]["action_id"]  # type: ignore[index]  # the literal's type is too wide
    assert {state["type"] for actions in initial_values(blocks).values() for state in actions.values()} == {
        "external_select",
        "datepicker",
        "plain_text_input",
    }


def test_views_need_a_title_and_a_submit_for_inputs() -> None:
    blocks = [{"type": "input", "label": plain("l"), "element": {"type": "plain_text_input"}}]
    assert view_faults({"type": "modal", "title": plain("t"), "blocks": blocks}) == [
        "[ERROR] missing required field: submit [json-pointer:/view]"
    ]
    assert view_faults({"type": "modal", "title": plain("t"), "submit": plain("s"), "blocks": blocks}) == []
    alert = {"type": "alert", "text": plain("Careful"), "level": "warning"}
    assert view_faults({"type": "modal", "title": plain("t"), "blocks": [alert]}) == []
    assert view_faults({"type": "home", "blocks": [alert]}) != []
    assert view_faults({"type": "modal", "title": plain("t"), "blocks": [{"type": "plan", "title": "p"}]}) != []
    assert view_faults({"type": "window", "blocks": []}) == [
        "[ERROR] unsupported type: window [json-pointer:/view/type]"
    ]


def test_answers_to_typeahead() -> None:
    assert options_faults({"options": []}) == []
    assert options_faults({"options": [option()] * 101}) != []
    assert options_faults({"option_groups": [{"label": plain("g"), "options": [option()]}]}) == []
    assert options_faults({"options": [option("x" * 76)]}) == [
        "[ERROR] must be less than 76 characters [json-pointer:/options/0/text/text]"
    ]
    assert options_faults({}) != []
