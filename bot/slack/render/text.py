"""Foreign text made harmless, and people, instants and durations as words.

Foreign is everything that the bot did not write itself: names, versions, reasons, provider messages. It must never
ping, link, format or reorder anything, whatever it contains. Nothing here knows blocks.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.actor import Actor


#: Stands on both sides of a marker, so that it neither opens nor closes a format: a format needs a non-space inside.
_GAP = "\u200b"
#: Control characters, lone surrogates (which no UTF-8 body can carry) and marks that reorder the text around them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069\ufffe\uffff]")
_EMOJI_NAME = re.compile(r":([\w+'-]{1,100})(?=:)")
_EMOJI_NUMBERS = frozenset({"100", "1234"})
_PERSON_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
_GROUP_ID = re.compile(r"S[A-Z0-9]{2,20}")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def clean(text: str, *, one_line: bool = True) -> str:
    """``text`` without characters that cannot be shown; on one line unless told otherwise."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNPRINTABLE.sub("", text)
    return " ".join(text.split()) if one_line else text.expandtabs(4).strip()


def plain(text: str, limit: int, *, one_line: bool = True) -> str:
    """Foreign text for a place that shows it literally, at most ``limit`` characters, ending in … when cut."""
    text = clean(text[: limit * 4 + 100], one_line=one_line)
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def escape(text: str, limit: int = 300, *, one_line: bool = True) -> str:
    """Foreign text for mrkdwn, at most ``limit`` characters *after* escaping, ending in … when cut."""
    text = clean(text[: limit * 4 + 100], one_line=one_line)
    text = _EMOJI_NAME.sub(_literal_colon, text)
    pieces: list[str] = []
    room = limit - 1
    for index, character in enumerate(text):
        piece = _literal(text, index, character)
        if room < len(piece) and not (index == len(text) - 1 and len(piece) <= room + 1):
            return "".join(pieces).rstrip() + "…"
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces)


def _literal_colon(match: re.Match[str]) -> str:
    name = match[1]
    if name in _EMOJI_NUMBERS or any(character.isalpha() for character in name):
        return f":{_GAP}{name}"
    return match[0]


def _literal(text: str, index: int, character: str) -> str:
    if character in _ENTITIES:
        quotes = character == ">" and (index == 0 or text[index - 1] == "\n")
        return (_GAP if quotes else "") + _ENTITIES[character]
    if character in "*_~":
        inside = 0 < index < len(text) - 1 and text[index - 1].isalnum() and text[index + 1].isalnum()
        return character if inside else f"{_GAP}{character}{_GAP}"
    # A space inside does not disarm a code mark, so it is drawn with a letter that looks the same.
    return "ˋ" if character == "`" else character


def duration(seconds: float) -> str:
    """A length of time as people say it: ``0.4 s``, ``12 s``, ``4 m 12 s``, ``3 h 5 m``, ``2 d 7 h``."""
    if seconds < 9.95:
        return f"{max(round(seconds, 1), 0.1):g} s"
    whole = round(seconds)
    for large, big, small, little in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {big}" + (f" {rest} {little}" if rest else "")
    return f"{whole} s"


def instant(at: datetime) -> str:
    """An instant for mrkdwn: each reader sees it in their own zone."""
    at = at.astimezone(UTC)
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{instant_plain(at)}>"


def moment(at: datetime) -> str:
    """An instant of just now or soon for mrkdwn, to the second; each reader sees it in their own zone."""
    at = at.astimezone(UTC)
    return f"<!date^{int(at.timestamp())}^{{time_secs}}|{at:%H:%M:%S} UTC>"


def instant_plain(at: datetime) -> str:
    """An instant for places that show text literally."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def person(actor: Actor) -> str:
    """A mention for mrkdwn, which tells that person; only for those who must know."""
    if actor.kind is ActorKind.PERSON and _PERSON_ID.fullmatch(actor.id):
        return f"<@{actor.id}>"
    return name(actor)


def name(actor: Actor) -> str:
    """A name for mrkdwn that pings nobody."""
    return escape(actor.name or actor.id, 80)


def name_plain(actor: Actor, limit: int = 40) -> str:
    """A name for places that show text literally."""
    return plain(actor.name or actor.id, limit)


def person_of(user: str) -> str:
    """A mention of the person with that id; only for those who must know."""
    return f"<@{user}>" if _PERSON_ID.fullmatch(user) else escape(user, 80)


def group(named: str) -> str:
    """A mention of a user group, which tells everybody in it; its handle where the catalog has no id of it."""
    named = named.removeprefix("@")
    return f"<!subteam^{named}>" if _GROUP_ID.fullmatch(named) else f"@{escape(named, 80)}"


def group_name(named: str) -> str:
    """A user group for mrkdwn, which pings nobody. An id is nothing that people could read."""
    named = named.removeprefix("@")
    return "the approvers' group" if _GROUP_ID.fullmatch(named) else f"@{escape(named, 80)}"


def listed(entries: Sequence[str], *, most: int = 5) -> str:
    """``a``, ``a and b``, ``a, b and c``; of many the first ``most`` and how many more there are."""
    shown = list(entries[:most])
    if len(entries) > most:
        shown.append(f"{len(entries) - most} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def doer(actor: Actor) -> str:
    """Who brought something about, for mrkdwn; what the bot brought about is what it found."""
    return f"by {name(actor)}" if actor.kind is ActorKind.PERSON else "found running"


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clause(text: str, limit: int = 300) -> str:
    """A foreign sentence for the middle of another: escaped and without its full stop."""
    return escape(text, limit).rstrip(". ")


def inner(text: str) -> str:
    """``text``, which is a clause of ours, as it stands after a colon: its first letter small."""
    return text[:1].lower() + text[1:]


def sentence(text: str) -> str:
    """``text`` with an end: a full stop unless it has one."""
    return text if not text or text[-1] in ".!?…" else text + "."
