"""Messages and views as a person reads them: blocks flattened to lines of plain text, markup resolved.

Pure. It is what `expect` in scripts and tests compares with, so it shows what is on the screen, never the fallback
text of a message that has blocks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.sandbox.composer import unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.sandbox.model import JsonDict, Message, View
    from bot.sandbox.workspace import Workspace

_REFERENCE = re.compile(r"<([^<>]*)>")
_STYLED = tuple(
    re.compile(rf"(?<![^\W_])(?<!{mark}){mark}(?=\S)([^{mark}\n]*?\S){mark}(?![^\W_])(?!{mark})")
    for mark in (r"\*", "~", "_")
)
_CODE = re.compile(r"```\n?(.*?)\n?```|`([^`\n]+)`", re.DOTALL)


def message_text(ws: Workspace, message: Message) -> str:
    """A message as it stands on the screen."""
    lines = list(_blocks(ws, message.blocks)) if message.blocks else [mrkdwn(ws, message.text)]
    if message.blocks and message.files and message.text:
        lines.insert(0, mrkdwn(ws, message.text))
    lines += [f"[file: {ws.files[name].title or ws.files[name].name}]" for name in message.files if name in ws.files]
    lines += [f"[warning: {item['fallback']}]" for item in message.attachments if item.get("fallback")]
    return "\n".join(line for line in lines if line)


def view_text(ws: Workspace, view: View) -> str:
    """A modal or Home tab as it stands on the screen, with its title, buttons and validation errors."""
    lines = [_label(view.body.get("title")), *_blocks(ws, view.blocks, view)]
    lines += [f"[{_label(view.body[name])}]" for name in ("submit",) if view.body.get(name)]
    return "\n".join(line for line in lines if line)


def mrkdwn(ws: Workspace, text: str) -> str:
    """Slack's markup without its marks: names for ids, labels for links, no asterisks."""
    codes: list[str] = []

    def keep(found: re.Match[str]) -> str:
        codes.append(found[1] if found[1] is not None else found[2])
        return f"\x00{len(codes) - 1}\x00"

    text = _CODE.sub(keep, text)
    text = _REFERENCE.sub(lambda found: _reference(ws, found[1]), text)
    for _ in range(2):  # a mark inside another one shows only when that is off
        for styled in _STYLED:
            text = styled.sub(r"\1", text)
    text = re.sub("\x00(\\d+)\x00", lambda found: codes[int(found[1])], text)
    return unescape(text)


def _reference(ws: Workspace, inside: str) -> str:
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        person = ws.people.get(target[1:])
        return "@" + (person.real_name if person else label or target[1:])
    if target.startswith("#"):
        channel = ws.channels.get(target[1:])
        return "#" + (channel.name if channel else label or target[1:])
    if target.startswith("!subteam^"):
        group = ws.groups.get(target.removeprefix("!subteam^"))
        return "@" + (group.handle if group else label or target)
    if target.startswith("!date^"):
        return label or target.split("^")[2]
    if target.startswith("!"):
        return "@" + (label or target[1:])
    return label or target.removeprefix("mailto:")


def _label(text: Any) -> str:
    """A plain_text object, or text as such."""
    return str(text.get("text", "")) if isinstance(text, dict) else str(text or "")


def text_object(ws: Workspace, text: Any) -> str:
    if isinstance(text, dict) and text.get("type") == "mrkdwn":
        return mrkdwn(ws, str(text.get("text", "")))
    return _label(text)


def _blocks(ws: Workspace, blocks: Iterable[JsonDict], view: View | None = None) -> Iterator[str]:
    for block in blocks:
        yield from _block(ws, block, view)


def _block(ws: Workspace, block: JsonDict, view: View | None) -> Iterator[str]:
    match block.get("type"):
        case "section":
            yield text_object(ws, block.get("text"))
            yield from (text_object(ws, field) for field in block.get("fields") or [])
            if block.get("accessory"):
                yield _element(block["accessory"])
        case "header" | "alert":
            yield text_object(ws, block.get("text"))
        case "context":
            yield " ".join(
                item.get("alt_text", "") if item["type"] == "image" else text_object(ws, item)
                for item in block["elements"]
            )
        case "actions" | "context_actions":
            yield " ".join(_element(element) for element in block["elements"])
        case "input":
            yield _label(block["label"])
            yield _element(block["element"])
            if block.get("hint"):
                yield _label(block["hint"])
            if view is not None and (error := view.errors.get(block["block_id"])):
                yield f"! {error}"
        case "markdown":
            yield str(block["text"])
        case "image" | "video":
            yield _label(block.get("title")) or str(block.get("alt_text", ""))
        case "rich_text":
            yield from _rich(ws, block["elements"])
        case "plan":
            yield str(block["title"])
            yield from _blocks(ws, block.get("tasks") or [], view)
        case "task_card":
            yield f"{block['title']} ({str(block.get('status', 'pending')).replace('_', ' ')})"
            for part in ("details", "output"):
                if block.get(part):
                    yield from _rich(ws, block[part]["elements"])
        case "table":
            for row in block["rows"]:
                yield " | ".join(_cell(ws, cell) for cell in row)
        case "card":
            yield from (text_object(ws, block.get(part)) for part in ("title", "subtitle", "body", "subtext"))
            yield " ".join(_element(element) for element in block.get("actions") or [])
        case "carousel":
            yield from _blocks(ws, block["elements"], view)
        case "container":
            title = block.get("rich_text_title")
            yield " ".join(_rich(ws, title["elements"])) if title else text_object(ws, block.get("title"))
            yield text_object(ws, block.get("subtitle"))
            yield from _blocks(ws, block["child_blocks"], view)


def _cell(ws: Workspace, cell: JsonDict) -> str:
    if cell["type"] == "rich_text":
        return " ".join(_rich(ws, cell["elements"]))
    return str(cell.get("text") if cell.get("text") is not None else cell.get("value", ""))


def _element(element: JsonDict) -> str:
    match element.get("type"):
        case "button" | "workflow_button" | "icon_button":
            return f"[{_label(element.get('text'))}]"
        case "image":
            return str(element.get("alt_text", ""))
        case "checkboxes" | "radio_buttons":
            return " ".join(f"( {_label(option['text'])} )" for option in element["options"])
        case "feedback_buttons":
            return " ".join(f"[{_label(element[side]['text'])}]" for side in ("positive_button", "negative_button"))
        case "overflow":
            return "[…]"
    chosen = element.get("initial_option")
    return _label(chosen["text"]) if chosen else _label(element.get("placeholder"))


def _rich(ws: Workspace, parts: Iterable[JsonDict]) -> Iterator[str]:
    for part in parts:
        if part["type"] == "rich_text_list":
            for number, item in enumerate(part["elements"], start=1):
                mark = f"{number}." if part.get("style") == "ordered" else "•"
                yield f"{mark} {_inline(ws, item['elements'])}"
        else:
            yield _inline(ws, part["elements"])


def _inline(ws: Workspace, elements: Iterable[JsonDict]) -> str:
    return "".join(_run(ws, element) for element in elements)


def _run(ws: Workspace, element: JsonDict) -> str:
    match element["type"]:
        case "text":
            return str(element["text"])
        case "link":
            return str(element.get("text") or element["url"])
        case "user":
            return _reference(ws, f"@{element['user_id']}")
        case "channel":
            return _reference(ws, f"#{element['channel_id']}")
        case "usergroup":
            return _reference(ws, f"!subteam^{element['usergroup_id']}")
        case "emoji":
            return f":{element['name']}:"
        case "date":
            return str(element.get("fallback") or element["format"])
        case "broadcast":
            return f"@{element['range']}"
    return ""
