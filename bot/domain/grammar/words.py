"""Decides what each single word is. Decides nothing about the command as a whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, UnknownEnvironment, UnknownService
from bot.domain.grammar import versions
from bot.domain.grammar.options import FLAGS, OPTIONS, STRATEGY_WORDS, UNAVAILABLE_OPTIONS, Takes, find_strategy
from bot.domain.grammar.refusals import clip, listing, nearest, show
from bot.domain.grammar.verbs import OTHER_WORDS, UNAVAILABLE_VERBS, Verb
from bot.domain.grammar.vocabulary import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.grammar.found import Found
    from bot.domain.grammar.tokens import Token
    from bot.domain.grammar.vocabulary import Vocabulary

_IMAGE = re.compile(r"([^:@]+)[:@](.+)")
_PREPOSITIONS = frozenset({"to", "in", "on", "at", "of", "for", "from"})
_PUNCTUATION = ".,;:!?"
_ALL_HINT = "Say help to see every command."


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A plain word, the comma list that it stood in, and the word after it."""

    text: str
    place: int
    following: str | None = None


def split(tokens: Sequence[Token]) -> Iterator[Word]:
    """The words of ``tokens``, with comma lists taken apart."""
    parts = [
        (part, token.start)
        for token in tokens
        for part in [part for part in token.value.split(",") if part] or [token.value]
    ]
    following = [*(part for part, _ in parts[1:]), None]
    for (part, place), after in zip(parts, following, strict=bool(parts)):
        yield Word(text=part, place=place, following=after)


def closed_reading(word: str, vocabulary: Vocabulary) -> Reading | None:
    """The one name of the closed sets that ``word`` is, or None; raises `BadCommand` when it could be two things."""
    readings = vocabulary.readings(word)
    ways = [reading.explicit for reading in readings]
    kinds = [f"{_article(reading.kind)} ({reading.name})" for reading in readings]
    if readings and versions.is_unmistakable(word):
        ways.append(f"version={word}")
        kinds.append("a version")
    if len(ways) > 1:
        raise BadCommand(
            f"{show(word)} can be {listing(kinds)}.",
            token=clip(word),
            suggestions=ways[:3],
            hint=f"Say which: {listing(ways)}.",
        )
    return readings[0] if readings else None


def is_filler(word: Word, vocabulary: Vocabulary) -> bool:
    """Whether ``word`` only leads to the next one, as in ``to staging`` and ``of checkout``."""
    folded = word.text.casefold()
    if folded == "please":
        return True
    if folded not in _PREPOSITIONS or word.following is None:
        return False
    kinds = {reading.kind for reading in vocabulary.readings(word.following)}
    return bool(kinds & {Kind.SERVICE, Kind.ENVIRONMENT}) or (
        folded == "to" and versions.is_unmistakable(word.following)
    )


def strategy(word: str, verb: Verb, vocabulary: Vocabulary) -> str | None:
    """The strategy that a word which is no name says to an action that takes one; raises `BadCommand` for a version."""
    found = find_strategy(word.rstrip(_PUNCTUATION), vocabulary.strategies)
    if found is None or verb not in OPTIONS["strategy"].verbs:
        return None
    if versions.is_unmistakable(word):
        ways = (f"strategy={found}", f"version={word}")
        raise BadCommand(
            f"{show(word)} can be a strategy and a version.",
            token=clip(word),
            suggestions=ways,
            hint=f"Say which: {listing(ways)}.",
        )
    return found


def refuse_special(word: str, vocabulary: Vocabulary) -> None:
    """Raise `BadCommand` for what is certainly neither a version nor a name: people, channels, other tools' words."""
    folded = word.casefold()
    image = _IMAGE.fullmatch(word)
    if word.startswith("@") and len(word) > 1:
        raise BadCommand(
            f"{show(word)} is a person or a group; this command takes none.", token=clip(word), hint=_ALL_HINT
        )
    if word.startswith("#") and versions.deployment_ref(word) is None:
        known = [reading.name for reading in vocabulary.readings(word[1:]) if reading.kind is Kind.SERVICE]
        hint = f"For the service write {known[0]}." if known else _ALL_HINT
        message = f"{show(word)} is a channel; this command takes none."
        raise BadCommand(message, token=clip(word), suggestions=known[:3], hint=hint)
    if image and any(reading.kind is Kind.SERVICE for reading in vocabulary.readings(image[1])):
        apart = f"{image[1]} {clip(image[2])}"
        message = f"{show(word)} is a service and a version in one word."
        raise BadCommand(message, token=clip(word), suggestions=(apart,), hint=f"Put a blank between them: {apart}.")
    if folded in OTHER_WORDS:
        verb = str(OTHER_WORDS[folded])
        message = f"{show(word)} is not an action here."
        raise BadCommand(message, token=clip(word), suggestions=(verb,), hint=f"Did you mean {verb}?")
    if folded in UNAVAILABLE_VERBS:
        message = f"{show(word)} is not available here; nothing was changed."
        raise BadCommand(
            message, token=clip(word), hint=f"There are {listing(tuple(Verb), limit=9, conjunction='and')}."
        )
    if folded in STRATEGY_WORDS:
        raise _about_strategy(word, vocabulary)


def _about_strategy(word: str, vocabulary: Vocabulary) -> BadCommand:
    """The refusal of the name of a strategy that is not there, or where none is taken."""
    ways = [f"strategy={name}" for name in vocabulary.strategies]
    if find_strategy(word, vocabulary.strategies) is not None:
        ways = [f"strategy={find_strategy(word, vocabulary.strategies)}"]
        hint = f"Only deploy takes one, as in checkout v1.2 staging {clip(ways[0], limit=80)}."
    else:
        shown = listing([clip(way) for way in ways], limit=3)
        hint = f"The strategy is written {shown}; others are not available here."
    return BadCommand(f"{show(word)} is a strategy.", token=clip(word), suggestions=ways[:3], hint=hint)


def refuse_misspelt(word: str, verb: Verb, vocabulary: Vocabulary) -> None:
    """Raise `BadCommand` when a word that may be a version is nearly a name: which of both cannot be told."""
    near = nearest(word, (*vocabulary.names(), *FLAGS, *_strategies(verb, vocabulary)))
    if near:
        hint = f"Did you mean {listing(near)}? A version of that name is written version={clip(word)}."
        message = f"{show(word)} is not a service, an environment or an action."
        raise BadCommand(message, token=clip(word), suggestions=near, hint=hint)


def unknown(word: str, found: Found, verb: Verb, vocabulary: Vocabulary) -> BadCommand:
    """The refusal of a word that is nothing, by what the command still lacks."""
    token = clip(word)
    if (trimmed := _trimmed(word)) is not None:
        hint = f"Did you mean {clip(trimmed)}?"
        return BadCommand(f"{show(word)} cannot be a version.", token=token, suggestions=(clip(trimmed),), hint=hint)
    near = nearest(word, (*vocabulary.names(), *FLAGS, *_strategies(verb, vocabulary)))
    if found.bare_text and not near:
        hint = 'Put quotation marks around a reason of several words: reason="fixes the login".'
        return BadCommand(f"{show(word)} does not belong to anything.", token=token, hint=hint)
    option = OPTIONS.get(word.casefold())
    if option is not None and option.takes is not Takes.NAME:
        hint = f"It takes a value: {option.example}."
        return BadCommand(f"{show(word)} does not stand alone.", token=token, suggestions=(option.example,), hint=hint)
    if word.casefold() in UNAVAILABLE_OPTIONS:
        hint = f"{UNAVAILABLE_OPTIONS[word.casefold()]} is not available here."
        return BadCommand(f"{show(word)} does not belong here.", token=token, hint=hint)
    complete = bool(found.versions or found.deployments)
    if complete and found.services and not found.environments:
        near = nearest(word, vocabulary.environments)
        message = f"There is no environment {show(word)}."
        return UnknownEnvironment(message, token=token, suggestions=near, hint=_either(near, vocabulary.environments))
    if complete and found.environments and not found.services:
        near = nearest(word, vocabulary.services)
        message = f"There is no service {show(word)}."
        return UnknownService(message, token=token, suggestions=near, hint=_either(near, vocabulary.services))
    message = f"{show(word)} is not a service, an environment or an action."
    if near:
        hint = f"Did you mean {listing(near)}?"
    elif not found.versions and verb in OPTIONS["version"].verbs and versions.is_well_formed(word):
        hint = f"A version of that name is written version={token}. {_ALL_HINT}"
    else:
        hint = _ALL_HINT
    return BadCommand(message, token=token, suggestions=near, hint=hint)


def _strategies(verb: Verb, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The strategies, where one may be said."""
    return vocabulary.strategies if verb in OPTIONS["strategy"].verbs else ()


def _trimmed(word: str) -> str | None:
    """The version inside ``word`` when only punctuation around it is wrong."""
    bare = word.strip(".,;:!?()[]{}'\"`*")
    return bare if bare not in ("", word) and versions.is_unmistakable(bare) and versions.is_well_formed(bare) else None


def _either(near: tuple[str, ...], names: Sequence[str]) -> str:
    if near:
        return f"Did you mean {listing(near)}?"
    return f"There are {listing(names, conjunction='and')}." if names else _ALL_HINT


def _article(kind: Kind) -> str:
    return f"a{'' if kind is Kind.SERVICE else 'n'} {kind}"
