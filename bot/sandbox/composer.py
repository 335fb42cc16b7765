"""What becomes of the text that a person types: escaped, with mentions and links marked up, as Slack's client sends it.

Pure. Text that is marked up already (`<@U0ADA>`, `&amp;`) stays as it is, so that doing it twice changes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict
    from bot.sandbox.workspace import Workspace

_TOKEN = re.compile(
    r"<(?P<sigil>[@#])(?P<id>[A-Z][A-Z0-9]+)(?:\|[^<>]*)?>"
    r"|<!subteam\^(?P<group>[A-Z0-9]+)(?:\|[^<>]*)?>"
    r"|<(?P<marked>https?://[^<>|\s]+)(?:\|[^<>]*)?>"
    r"|(?P<url>https?://[^\s<>|]+)"
    r"|(?<![\w@#])(?P<name>[@#][\w.-]*\w)"
)
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")


def escape(text: str) -> str:
    """Slack's three characters."""
    return _AMPERSAND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mark_up(ws: Workspace, text: str, *, labels: bool) -> str:
    """Escape text and mark people, channels and links in it; `labels` adds `|name`, as slash commands have it."""
    names = _names(ws)
    # Full names have spaces in them, so they are turned into ids before the text is cut into tokens.
    for full, identifier in _full_names(ws).items():
        text = re.sub(rf"(?<![\w@])@{re.escape(full)}(?!\w)", f"<@{identifier}>", text, flags=re.IGNORECASE)
    done: list[str] = []
    at = 0
    for found in _TOKEN.finditer(text):
        done.append(escape(text[at : found.start()]))
        done.append(_marked(ws, found, names, labels=labels))
        at = found.end()
    done.append(escape(text[at:]))
    return "".join(done)


def _names(ws: Workspace) -> dict[str, str]:
    names = {f"@{person.name.casefold()}": person.id for person in ws.people.values()}
    return names | {f"#{channel.name}": channel.id for channel in ws.channels.values() if not channel.is_im}


def _full_names(ws: Workspace) -> dict[str, str]:
    return {person.real_name: person.id for person in ws.people.values() if " " in person.real_name}


def _marked(ws: Workspace, found: re.Match[str], names: dict[str, str], *, labels: bool) -> str:
    whole = found.group()
    if link := found["url"] or found["marked"]:
        return f"<{_AMPERSAND.sub('&amp;', link)}>" if found["url"] else whole
    if found["group"]:
        return whole if found["group"] in ws.groups else escape(whole)
    identifier = found["id"] or names.get((found["name"] or "").casefold())
    if identifier in ws.people:
        return f"<@{identifier}|{ws.people[identifier].name}>" if labels else f"<@{identifier}>"
    if identifier in ws.channels:
        return f"<#{identifier}|{ws.channels[identifier].name}>"
    return escape(whole)


_MARKED = re.compile(
    r"<@(?P<user>\w+)(?:\|[^<>]*)?>|<#(?P<channel>\w+)(?:\|[^<>]*)?>|<!subteam\^(?P<group>\w+)(?:\|[^<>]*)?>"
    r"|<(?P<url>https?://[^<>|]+)(?:\|(?P<label>[^<>]*))?>"
)


def rich_text(text: str, block_id: str) -> list[JsonDict]:
    """The rich_text block that Slack's client makes of a marked-up message."""
    elements: list[JsonDict] = []
    at = 0
    for found in _MARKED.finditer(text):
        if found.start() > at:
            elements.append({"type": "text", "text": unescape(text[at : found.start()])})
        if found["user"]:
            elements.append({"type": "user", "user_id": found["user"]})
        elif found["channel"]:
            elements.append({"type": "channel", "channel_id": found["channel"]})
        elif found["group"]:
            elements.append({"type": "usergroup", "usergroup_id": found["group"]})
        else:
            link: JsonDict = {"type": "link", "url": unescape(found["url"])}
            elements.append(link | ({"text": unescape(found["label"])} if found["label"] else {}))
        at = found.end()
    if at < len(text):
        elements.append({"type": "text", "text": unescape(text[at:])})
    section: JsonDict = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": block_id, "elements": [section]}]
