"""Puts the words of a time together: ``at tomorrow 9:00 Europe/Paris`` is one option, wherever it stands.

Finds where a time begins and ends. Whether it is one, and when, is for `bot.domain.when` to say.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar.options import OPTIONS
from bot.domain.grammar.refusals import clip, show
from bot.domain.grammar.tokens import quote
from bot.domain.when import find_zone, is_length, zones_like

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.grammar.tokens import Token
    from bot.domain.grammar.verbs import Verb
    from bot.domain.grammar.vocabulary import Vocabulary

#: Words, and keys, after which a time follows.
LEADS = frozenset({"at", "in", "until"})

_PUNCTUATION = ".,;!?"
_CLOCK = re.compile(r"[0-9]{1,2}(?::[0-9]{2}){1,2}(?:z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
_HALF = re.compile(r"[ap]\.?m\.?")
_HALF_CLOCK = re.compile(r"[0-9]{1,2}(?::[0-9]{2})?[ap]\.?m\.?", re.ASCII)
_HOUR = re.compile(r"[0-9]{1,2}(?::[0-9]{2})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:]+(?:z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
_OFFSET = re.compile(r"z|[+-][0-9]{2}:?[0-9]{2}", re.ASCII)
_DAYS = frozenset({"today", "tomorrow"})
_WHOLE = frozenset({"next-window", "now"})
#: Names of zones that mislead. They belong to the time, so that the refusal is about them.
_ABBREVIATIONS = frozenset(
    {"aedt", "aest", "bst", "cdt", "cest", "cet", "cst", "edt", "eest", "eet", "est", "ist", "jst", "mdt", "msk"}
    | {"mst", "pdt", "pst", "west", "wet"}
)
_PLACE = re.compile(r"[A-Z][a-z]+(?:_[A-Za-z]+)*(?:/[A-Z][A-Za-z_-]*)+", re.ASCII)
"""Written like a zone, as no tag is, and hardly a branch: `Mars/Phobos` after a time is a zone that there is not."""
_LONGEST = 8
"""Words that the longest time has, with some to spare."""


def join(tokens: Sequence[Token], vocabulary: Vocabulary) -> list[Token]:
    """``tokens`` with every time in one ``at=`` or ``until=``; raises `BadCommand` for a word that is a name too."""
    left = list(tokens)
    joined: list[Token] = []
    while left:
        token = left.pop(0)
        lead = _lead(token)
        found = _time(lead, token, left, vocabulary) if lead else None
        if lead is None or found is None:
            joined.append(token)
            continue
        text, end = found
        if lead == "in":
            lead, text = "at", f"in {text}"
        joined.append(replace(token, key=lead, value=text, end=end))
    return joined


def is_clock(word: str) -> bool:
    """Whether this is a time of day, which no tag, branch or digest is called."""
    return bool(_CLOCK.fullmatch(word.casefold()))


def refuse_bare(word: str, verb: Verb) -> None:
    """Raise `BadCommand` for a time that nothing leads to, where the action takes one."""
    folded = word.casefold().rstrip(_PUNCTUATION)
    timed = is_clock(folded) or folded in _DAYS or folded in _WHOLE - {"now"}
    if verb in OPTIONS["at"].verbs and timed:
        better = f"at {clip(folded)}{' 9:00' * (folded in _DAYS)}"
    elif verb in OPTIONS["until"].verbs and (timed or is_length(folded)):
        better = f"until={clip(folded)}"
    else:
        return
    raise BadCommand(
        f"{show(word)} is a time, and it is not said what for.",
        token=clip(word),
        suggestions=(better,),
        hint=f"Did you mean {better}?",
    )


def leads_nowhere(lead: str, following: str | None) -> BadCommand:
    """The refusal of an ``at``, ``in`` or ``until`` after which no time follows."""
    better = {"in": "in 30m", "until": "until=2h"}.get(lead.casefold(), "at 18:00")
    hint = f"Write {better}, or leave it out."
    if following is None:
        return BadCommand(f"{show(lead)} leads to nothing.", token=clip(lead), suggestions=(better,), hint=hint)
    message = f"{show(following)} is no time that can be read."
    return BadCommand(message, token=clip(following), suggestions=(better,), hint=hint)


def _lead(token: Token) -> str | None:
    """What ``token`` leads to, if a time may follow it."""
    word = (token.value if token.key is None else token.key).casefold()
    if word not in LEADS or (token.key is None and token.quoted) or (token.key is not None and not token.value):
        return None
    return word


def _time(lead: str, token: Token, left: list[Token], vocabulary: Vocabulary) -> tuple[str, int] | None:
    """The time that ``token`` leads to, taken out of ``left``, and where it ends; None when none follows."""
    if token.key is not None and token.quoted:
        return token.value, token.end
    first = _parts(token) if token.key is not None else _quotation(left, vocabulary)
    words = (first if token.key is not None else []) + _following(left)
    count = max(_count(lead, words, vocabulary), len(first))
    if not count:
        return None if token.key is None else (token.value, token.end)
    _refuse_names(lead, words[:count], len(first), vocabulary)
    return " ".join(words[:count]), _drop(left, count - (len(first) if token.key is not None else 0), token.end)


def _parts(token: Token) -> list[str]:
    """The words of a token, bare."""
    if token.quoted:
        return token.value.split()
    return [part.rstrip(_PUNCTUATION) for part in token.value.split(",") if part.rstrip(_PUNCTUATION)]


def _quotation(tokens: Sequence[Token], vocabulary: Vocabulary) -> list[str]:
    """The words of the quotation that comes next, unless it is a name."""
    if not tokens or tokens[0].key is not None or not tokens[0].quoted or vocabulary.readings(tokens[0].value):
        return []
    return _parts(tokens[0])


def _following(tokens: Sequence[Token]) -> list[str]:
    """The words that come next and may be parts of one time."""
    words: list[str] = []
    for place, token in enumerate(tokens[:_LONGEST]):
        parts = _parts(token)
        if token.key is not None or not parts or (token.quoted and place and len(parts) > 1):
            break
        words += parts
    return words


def _drop(tokens: list[Token], count: int, end: int) -> int:
    """Take ``count`` words out of ``tokens``; what is left of a comma list stays. Returns where they ended."""
    while count > 0:
        token = tokens.pop(0)
        parts = _parts(token)
        end = token.end
        if len(parts) > count:
            rest = [part for part in token.value.split(",") if part.rstrip(_PUNCTUATION)][count:]
            tokens.insert(0, replace(token, value=",".join(rest)))
        count -= len(parts)
    return end


def _count(lead: str, words: Sequence[str], vocabulary: Vocabulary) -> int:
    """How many of ``words`` are the time that ``lead`` leads to."""
    if not words:
        return 0
    length = _count_length(words) if lead != "at" else 0
    count = length if lead == "in" or length else _count_time(words, vocabulary)
    if not count and words[0][:1].isdecimal() and words[0].isascii() and not vocabulary.readings(words[0]):
        # No name begins like this; that it cannot be read is said by who reads it.
        return 1
    return count


def _count_length(words: Sequence[str]) -> int:
    """How many words are a length of time: ``30m``, ``2 hours``, ``1h 30m``."""
    count = 0
    while count < len(words):
        if is_length(words[count]):
            count += 1
        elif words[count].isdecimal() and is_length(" ".join(words[count : count + 2])):
            count += 2
        else:
            break
    return count


def _count_time(words: Sequence[str], vocabulary: Vocabulary) -> int:
    folded = [word.casefold() for word in words]
    if folded[:2] == ["next", "window"]:
        return 2
    if folded[0] in _WHOLE:
        return 1
    seen: set[str] = set()
    for place, word in enumerate(folded):
        following = folded[place + 1] if place + 1 < len(folded) else ""
        part = _part(word, following, words[place], seen, vocabulary)
        if not part or part & seen:
            return place
        seen |= part
    return len(words)


def _part(word: str, following: str, typed: str, seen: set[str], vocabulary: Vocabulary) -> set[str]:
    """Which parts of a time ``word`` is, after those that were ``seen``; empty when it is none."""
    if _CLOCK.fullmatch(word) or _HALF_CLOCK.fullmatch(word) or (_HOUR.fullmatch(word) and _HALF.fullmatch(following)):
        return {"clock"}
    if _DATE_TIME.fullmatch(word):
        return {"clock", "day"}
    if _DATE.fullmatch(word) or word in _DAYS:
        return {"day"}
    if "clock" not in seen:
        return set()
    if _HALF.fullmatch(word):
        return {"half"}
    if _OFFSET.fullmatch(word):
        return {"offset"}
    if find_zone(typed):
        return {"zone"}
    meant = word in _ABBREVIATIONS or zones_like(typed) or _PLACE.fullmatch(typed)
    return {"zone"} if meant and not vocabulary.readings(typed) else set()


def _refuse_names(lead: str, words: Sequence[str], certain: int, vocabulary: Vocabulary) -> None:
    """Raise `BadCommand` when a word of the time, after those that are ``certain``, is a name in the catalog too."""
    for word in words[certain:]:
        readings = vocabulary.readings(word)
        if readings:
            ways = [f"{lead}={quote(clip(' '.join(words)))}", *(reading.explicit for reading in readings)][:3]
            raise BadCommand(
                f"{show(word)} can be a time and the {readings[0].kind} {readings[0].name}.",
                token=clip(word),
                suggestions=ways,
                hint=f"Say which: {' or '.join(ways)}.",
            )
