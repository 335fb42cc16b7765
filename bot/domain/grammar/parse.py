"""Reads a command into its intent. Words come in any order; what can be read in two ways is refused, never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, UnknownEnvironment, UnknownService
from bot.domain.grammar import versions, words
from bot.domain.grammar.build import build
from bot.domain.grammar.found import Found, add
from bot.domain.grammar.intents import HelpIntent
from bot.domain.grammar.normalise import clean
from bot.domain.grammar.options import OPTIONS, Option, Takes, find_option, flag, value_of
from bot.domain.grammar.refusals import clip, listing, nearest, show, show_both
from bot.domain.grammar.tokens import tokenise
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.vocabulary import Kind
from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from bot.domain.grammar.intents import Intent
    from bot.domain.grammar.tokens import Token
    from bot.domain.grammar.vocabulary import Reading, Vocabulary
    from bot.domain.grammar.words import Word

_HELP = frozenset({"?", "--help", "-h"})
#: Keys that say which closed set a name is from.
_NAMED = {Kind.SERVICE: "service", Kind.ENVIRONMENT: "environment", Kind.ACTION: "action"}


def parse(text: str, *, vocabulary: Vocabulary) -> Intent:
    """What ``text`` asks for.

    ``text`` is what follows the slash command, or a whole message that begins with a mention; as Slack sends it or as
    a person types it. Raises `BadCommand` (`UnknownService`, `UnknownEnvironment`) with the word, at most three
    suggestions and a hint, and never anything else.
    """
    tokens = tokenise(clean(text))
    if tokens and _is_address(tokens[0]):
        tokens = tokens[1:]
    if tokens and tokens[0].key is None and tokens[0].value.casefold() == "/deploy":
        tokens = tokens[1:]
    found = Found()
    plain = _read_options(tokens, found, vocabulary)
    loose = _read_names(plain, found, vocabulary)
    if any(word.text in _HELP for word in loose) or Verb.HELP in found.verbs:
        return _help(found)
    if len(found.verbs) > 1:
        both = show_both(*found.verbs[:2])
        raise BadCommand(f"There are two actions: {both}.", token=found.verbs[1], hint="Ask for one thing at a time.")
    verb = found.verbs[0] if found.verbs else Verb.DEPLOY
    _check_options(verb, found)
    left = [word.text for word in loose if not _read_open(word.text, verb, found, vocabulary)]
    _read_branch(left, verb, found, vocabulary)
    return build(verb, found)


def _is_address(token: Token) -> bool:
    return token.key is None and token.value.startswith("@") and not token.quoted


def _read_options(tokens: list[Token], found: Found, vocabulary: Vocabulary) -> list[Token]:
    """Take every option out of ``tokens``; the plain words remain."""
    plain = []
    for place, token in enumerate(tokens):
        if token.key is not None:
            option = find_option(token.key)
            value = value_of(option, token)
            if option.takes is Takes.NAME:
                _read_explicit(option, str(value), -1 - place, found, vocabulary)
                continue
            found.bare_text |= option.takes is Takes.TEXT and not token.quoted
            found.put(option.name, value, token=token.text)
        elif token.value.startswith("-") and token.value.strip("-") and token.value not in _HELP and not token.quoted:
            found.put(flag(token).name, value=True, token=token.value)
        else:
            plain.append(token)
    return plain


def _read_explicit(option: Option, value: str, place: int, found: Found, vocabulary: Vocabulary) -> None:
    """An option that spells out a part of the command, such as ``service=status``."""
    match option.name:
        case "service":
            for name in filter(None, value.split(",")):
                found.add_service(ServiceName(_named(Kind.SERVICE, name.strip(), vocabulary)), place)
        case "environment":
            add(found.environments, EnvironmentName(_named(Kind.ENVIRONMENT, value, vocabulary)))
        case "action":
            add(found.verbs, Verb(_named(Kind.ACTION, value, vocabulary)))
        case "deployment":
            reference = versions.deployment_ref(value)
            if reference is None:
                hint = "Write the number on its card, such as 42."
                raise BadCommand(f"{show(value)} does not name a deployment.", token=clip(value), hint=hint)
            add(found.deployments, reference)
        case _:
            if not versions.is_well_formed(value):
                hint = "A version is one word of letters, digits and . _ - / + : such as v1.2."
                raise BadCommand(f"{show(value)} cannot be a version.", token=clip(value), hint=hint)
            if option.name == "to":
                found.put("to", value, token=value)
            add(found.versions, value)


def _named(kind: Kind, name: str, vocabulary: Vocabulary) -> str:
    readings = sorted(
        (reading.name for reading in vocabulary.readings(name) if reading.kind is kind), key=lambda known: known != name
    )
    if readings and (len(readings) == 1 or readings[0] == name):
        return readings[0]
    sets = {Kind.SERVICE: vocabulary.services, Kind.ENVIRONMENT: vocabulary.environments}
    names: tuple[str, ...] = sets.get(kind, vocabulary.verbs)
    near = nearest(name, names)
    errors = {Kind.SERVICE: UnknownService, Kind.ENVIRONMENT: UnknownEnvironment}
    if near:
        hint = f"Did you mean {listing(near)}?"
    else:
        hint = f"There are {listing(names, conjunction='and', limit=8)}." if names else "The catalog has none."
    raise errors.get(kind, BadCommand)(
        f"There is no {kind} {show(name)}.", token=clip(name), suggestions=near, hint=hint
    )


def _read_names(tokens: list[Token], found: Found, vocabulary: Vocabulary) -> list[Word]:
    """Take the names of the closed sets out of the words; what remains is open."""
    loose = []
    plain = list(words.split(tokens))
    following = [*(word.text for word in plain[1:]), None]
    for word, after in zip(plain, following, strict=False):
        reading = words.closed_reading(word.text, vocabulary)
        if reading is not None:
            _record(reading, word, found)
        elif not words.is_filler(word.text, after, vocabulary):
            loose.append(word)
    return loose


def _record(reading: Reading, word: Word, found: Found) -> None:
    match reading.kind:
        case Kind.SERVICE:
            found.add_service(ServiceName(reading.name), word.place)
        case Kind.ENVIRONMENT:
            add(found.environments, EnvironmentName(reading.name))
        case Kind.ACTION:
            add(found.verbs, Verb(reading.name))
        case Kind.OPTION:
            found.put(reading.name, value=True, token=word.text)


def _check_options(verb: Verb, found: Found) -> None:
    for name in found.values:
        option = OPTIONS[name]
        if verb not in option.verbs:
            others = listing(sorted(option.verbs), conjunction="and")
            message = f"{name} does not belong to {verb}; it belongs to {others}."
            raise BadCommand(message, token=name, hint=f"Leave {name} out.")


def _read_open(word: str, verb: Verb, found: Found, vocabulary: Vocabulary) -> bool:
    """Read a word that is in no closed set by what it looks like; False when it looks like nothing."""
    words.refuse_special(word, vocabulary)
    reference = versions.deployment_ref(word)
    if reference is not None and verb in OPTIONS["deployment"].verbs:
        add(found.deployments, reference)
        return True
    if word.startswith("#") or versions.is_deployment_id(word):
        hint = f"Say status {clip(word)} to see it."
        if verb in OPTIONS["version"].verbs and not word.startswith("#"):
            hint = f"{hint} A version of that name is written version={clip(word)}."
        raise BadCommand(f"{show(word)} names a deployment; {verb} takes none.", token=clip(word), hint=hint)
    if not versions.is_well_formed(word):
        return False
    if versions.is_unmistakable(word):
        add(found.versions, word)
        return True
    if versions.is_likely(word):
        if not versions.is_branch(word):
            words.refuse_misspelt(word, vocabulary)
        add(found.versions, word)
        return True
    return False


def _read_branch(left: list[str], verb: Verb, found: Found, vocabulary: Vocabulary) -> None:
    """A single word that is left over where only the version is missing is the version; every other one is refused."""
    if not left:
        return
    may_be_version = (
        len(left) == 1
        and verb in OPTIONS["version"].verbs
        and bool(found.services and found.environments)
        and not (found.versions or found.deployments or found.bare_text)
        and left[0].casefold() not in versions.NEVER_VERSIONS
        and versions.is_well_formed(left[0])
    )
    if not may_be_version:
        # A misspelt name explains more than the words around it.
        misspelt = next((word for word in left if nearest(word, vocabulary.names())), left[0])
        raise words.unknown(misspelt, found, verb, vocabulary)
    words.refuse_misspelt(left[0], vocabulary)
    add(found.versions, left[0])


def _help(found: Found) -> HelpIntent:
    topics = [verb for verb in found.verbs if verb is not Verb.HELP]
    return HelpIntent(topic=topics[0] if len(topics) == 1 else None)
