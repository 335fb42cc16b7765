"""Filling in a form as a person does: which field a name means, what a given value becomes, what the client refuses.

Nothing is delivered here; `Hands` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.block_elements import STATE, interactive
from bot.sandbox.model import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sandbox.model import JsonDict, View
    from bot.sandbox.workspace import Workspace

REQUIRED = "Please complete this required field."


def field_of(view: View, name: str) -> tuple[JsonDict, JsonDict]:
    """The block and element that a block_id, an action_id or a label names; SandboxError when none does."""
    fields = [(block, element) for block, element in interactive(view.blocks) if element["type"] in STATE]
    wanted = name.casefold()
    for block, element in fields:
        label = str((block.get("label") or {}).get("text", "")).casefold()
        if name in {block["block_id"], element["action_id"]} or wanted == label:
            return block, element
    known = ", ".join(repr((block.get("label") or {}).get("text") or block["block_id"]) for block, _ in fields)
    raise SandboxError(f"the form has no field {name!r}; it has {known or 'none'}")


def offered(element: JsonDict) -> list[JsonDict]:
    """The options of a static menu, its groups flattened."""
    groups = element.get("option_groups") or []
    return list(element.get("options") or []) + [o for group in groups for o in group.get("options") or []]


def pick(options: Sequence[JsonDict], wanted: str) -> JsonDict:
    """The option with this value or label."""
    for option in options:
        if option.get("value") == wanted:
            return option
    for option in options:
        if str(option["text"]["text"]).casefold() == wanted.casefold():
            return option
    known = ", ".join(repr(option["text"]["text"]) for option in options[:20])
    raise SandboxError(f"there is no option {wanted!r}; there are {known or 'none'}")


def state_of(ws: Workspace, element: JsonDict, values: Sequence[str], options: Sequence[JsonDict]) -> JsonDict:
    """The element's state after these values were put in; `options` are what a menu offers now."""
    kind = str(element["type"])
    if kind not in STATE:
        raise SandboxError(f"nothing can be put into a {kind}")
    key, _, empty = STATE[kind]
    many = isinstance(empty, list)
    if not many and len(values) > 1:
        raise SandboxError(f"a {kind} takes one value, not {len(values)}")
    found: list[Any] = []
    for value in values:
        if key.startswith("selected_option"):
            found.append(pick(options, value))
        elif "user" in key:
            found.append(ws.person(value).id)
        elif "channel" in key or "conversation" in key:
            found.append(ws.channel(value).id)
        elif key == "selected_date_time":
            found.append(int(value))
        else:
            found.append(value)
    if many:
        return {"type": kind, key: found}
    return {"type": kind, key: (found[0] if found and found[0] != "" else None)}


def client_errors(view: View) -> dict[str, str]:
    """What Slack's client itself objects to before it sends a form, by block_id."""
    errors: dict[str, str] = {}
    for block in view.blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        key = STATE[element["type"]][0]
        value = view.values.get(block["block_id"], {}).get(element["action_id"], {}).get(key)
        if value in (None, "", []):
            if not block.get("optional"):
                errors[block["block_id"]] = REQUIRED
            continue
        if element["type"] == "plain_text_input":
            least, most = element.get("min_length", 0), element.get("max_length", 3000)
            if not least <= len(value) <= most:
                errors[block["block_id"]] = f"Enter between {least} and {most} characters."
        elif element["type"] == "number_input" and (problem := _number_problem(element, str(value))):
            errors[block["block_id"]] = problem
    return errors


def _number_problem(element: JsonDict, value: str) -> str | None:
    try:
        number = float(value) if element.get("is_decimal_allowed") else int(value)
    except ValueError:
        return "Enter a number."
    if (least := element.get("min_value")) is not None and number < float(least):
        return f"Enter a number no less than {least}."
    if (most := element.get("max_value")) is not None and number > float(most):
        return f"Enter a number no more than {most}."
    return None
