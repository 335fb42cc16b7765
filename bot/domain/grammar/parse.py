"""Reads a command into its intent. Words come in any order; what can be read in two ways is refused, never guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.errors import BadCommand, UnknownEnvironment, UnknownService
from bot.domain.grammar import times, versions, words
from bot.domain.grammar.build import build
from bot.domain.grammar.found import Found, add
from bot.domain.grammar.intents import HelpIntent
from bot.domain.grammar.normalise import clean, people
from bot.domain.grammar.options import (
    EVERYTHING_WORDS,
    OPTIONS,
    SCOPED,
    Option,
    Takes,
    find_option,
    flag,
    percent,
    value_of,
)
from bot.domain.grammar.refusals import clip, listing, nearest, show, show_both
from bot.domain.grammar.rights import find_right, right_of
from bot.domain.grammar.tokens import tokenise
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.vocabulary import Kind
from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.grammar.intents import Intent
    from bot.domain.grammar.tokens import Token
    from bot.domain.grammar.vocabulary import Reading, Vocabulary
    from bot.domain.grammar.words import Word

_HELP = frozenset({"?", "--help", "-h"})
#: Words for the one who asks.
_ONESELF = frozenset({"i", "me"})
_PERCENT = re.compile(r"[0-9]{1,6}%")
_PUNCTUATION = ".,;:!?"
_ACCOUNT = re.compile(rf"{ACCOUNT_PREFIX}[a-z][a-z0-9-]{{0,62}}", re.ASCII)
_USER = re.compile(r"@([UW][A-Z0-9]{6,20})", re.ASCII)


def parse(text: str, *, vocabulary: Vocabulary) -> Intent:
    """What ``text`` asks for.

    ``text`` is what follows the slash command, or a whole message that begins with a mention; as Slack sends it or as
    a person types it. Raises `BadCommand` (`UnknownService`, `UnknownEnvironment`) with the word, at most three
    suggestions and a hint, and never anything else.
    """
    tokens = tokenise(clean(text))
    mentioned = people(text)
    address = tokens[0] if tokens and _is_address(tokens[0]) else None
    if address:
        tokens = tokens[1:]
    if tokens and tokens[0].key is None and tokens[0].value.casefold() == "/deploy":
        tokens = tokens[1:]
    found = Found()
    plain = _read_options(times.join(tokens, vocabulary), found, vocabulary)
    loose = _read_names(plain, found, vocabulary)
    if any(word.text in _HELP for word in loose) or Verb.HELP in found.verbs:
        return _help(found)
    verb = _verb(found)
    _check_options(verb, found, vocabulary)
    _refuse_everything_named(verb, found)
    left = [word for word in loose if not _read_open(word.text, verb, found, vocabulary, mentioned)]
    _read_to(verb, found)
    _read_branch(left, verb, found, vocabulary)
    if verb is Verb.MAY and address and not found.people:
        _refuse_address(address)
    return build(verb, found)


def _is_address(token: Token) -> bool:
    return token.key is None and token.value.startswith("@") and not token.quoted


def _read_options(tokens: list[Token], found: Found, vocabulary: Vocabulary) -> list[Token]:
    """Take every option out of ``tokens``; the plain words remain."""
    plain = []
    for token in tokens:
        if token.key is not None:
            option = find_option(token.key)
            value = value_of(option, token, vocabulary.strategies)
            if option.takes is Takes.NAME:
                _read_explicit(option, str(value), token.start, found, vocabulary)
                continue
            found.bare_text |= option.name == "reason" and not token.quoted
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
            found.add_environment(EnvironmentName(_named(Kind.ENVIRONMENT, value, vocabulary)), place)
        case "action":
            add(found.verbs, Verb(_named(Kind.ACTION, value, vocabulary)))
        case "deployment":
            reference = versions.deployment_ref(value)
            if reference is None:
                hint = "Write the number on its card, such as 42."
                raise BadCommand(f"{show(value)} does not name a deployment.", token=clip(value), hint=hint)
            add(found.deployments, reference)
        case "to":
            found.put("to", value, token=value)  # a version or a weight: the action tells
        case _:
            _add_version(value, found)


def _add_version(value: str, found: Found) -> None:
    if not versions.is_well_formed(value):
        hint = "A version is one word of letters, digits and . _ - / + : such as v1.2."
        raise BadCommand(f"{show(value)} cannot be a version.", token=clip(value), hint=hint)
    add(found.versions, value)


def _read_to(verb: Verb, found: Found) -> None:
    """What ``to=`` says to this action: up to which weight, or back to which version."""
    value = found.text("to")
    if value is None:
        return
    if verb is Verb.PROMOTE:
        found.values["to"] = percent(value)
    else:
        _add_version(value, found)


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
    for word in words.split(tokens):
        reading = words.closed_reading(word.text, vocabulary)
        if reading is not None:
            _record(reading, word, found)
        elif not words.is_filler(word, vocabulary):
            loose.append(word)
    return loose


def _record(reading: Reading, word: Word, found: Found) -> None:
    found.plain[word.text] = reading
    match reading.kind:
        case Kind.SERVICE:
            found.add_service(ServiceName(reading.name), word.place)
        case Kind.ENVIRONMENT:
            found.add_environment(EnvironmentName(reading.name), word.place)
        case Kind.ACTION:
            add(found.verbs, Verb(reading.name))
        case Kind.OPTION:
            found.put(reading.name, value=True, token=word.text)


def _verb(found: Found) -> Verb:
    """The one action that is asked for; that which `Verb.MAY` asks about is no second one."""
    asked = Verb.MAY in found.verbs
    verbs = [verb for verb in found.verbs if verb is not Verb.MAY]
    if len(verbs) > 1:
        both = show_both(*verbs[:2])
        raise BadCommand(f"There are two actions: {both}.", token=verbs[1], hint="Ask for one thing at a time.")
    if asked and verbs:
        add(found.rights, right_of(verbs[0]))
    return Verb.MAY if asked else verbs[0] if verbs else Verb.DEPLOY


def _check_options(verb: Verb, found: Found, vocabulary: Vocabulary) -> None:
    for name in found.values:
        option = OPTIONS[name]
        if verb not in option.verbs:
            if not found.verbs:  # without an action it may be meant for one
                words.refuse_special(name, vocabulary)
            others = listing(sorted(option.verbs), conjunction="and")
            message = f"{name} does not belong to {verb}; it belongs to {others}."
            raise BadCommand(message, token=name, hint=f"Leave {name} out.")


def _refuse_everything_named(verb: Verb, found: Found) -> None:
    """Raise `BadCommand` when the word for everything is also what something is called."""
    if verb not in SCOPED:
        return
    for word, reading in found.plain.items():
        if word.casefold().rstrip(_PUNCTUATION) in EVERYTHING_WORDS:
            raise BadCommand(
                f"{show(word)} can be everything and the {reading.kind} {reading.name}.",
                token=clip(word),
                suggestions=("scope=all", reading.explicit),
                hint=f"Say which: scope=all or {reading.explicit}.",
            )


def _refuse_address(address: Token) -> None:
    """Raise `BadCommand` for a person at the beginning: whether they are asked about or spoken to cannot be told."""
    raise BadCommand(
        f"{show(address.value)} stands where one says whom one speaks to.",
        token=clip(address.value),
        suggestions=("may @somebody rollback checkout staging",),
        hint="Name the person after may, as in may @somebody rollback checkout staging; nobody means yourself.",
    )


def _read_person(word: str, mentioned: Mapping[str, frozenset[str]]) -> str:
    """The id of the user that ``word`` mentions; raises `BadCommand` when that cannot be told."""
    bare = word.rstrip(_PUNCTUATION)
    ids = mentioned.get(bare, frozenset())
    if len(ids) == 1:
        return next(iter(ids))
    if not ids and (plain := _USER.fullmatch(bare)):
        return plain[1]
    which = "more than one person" if ids else "nobody that can be told from it"
    raise BadCommand(
        f"{show(word)} is {which}.",
        token=clip(word),
        hint="Type @ and pick the person from the list, one person at a time; a group cannot be asked about.",
    )


def _read_account(word: str) -> str:
    """The service account that ``word`` names, with its prefix; raises `BadCommand` for what cannot be one's name."""
    bare = word.rstrip(_PUNCTUATION)
    if _ACCOUNT.fullmatch(bare):
        return bare
    raise BadCommand(
        f"{show(word)} is no service account.",
        token=clip(word),
        suggestions=(bare.lower(),) if _ACCOUNT.fullmatch(bare.lower()) else (),
        hint="Write it as in a role of the catalog, such as may sa:incident lock checkout production.",
    )


def _read_of_may(word: str, found: Found, mentioned: Mapping[str, frozenset[str]]) -> bool:
    """Read what only `Verb.MAY` takes: a person or a service account, a right that is no action of the command."""
    if word.casefold().startswith(ACCOUNT_PREFIX):
        add(found.people, _read_account(word))
        return True
    if word.startswith("@") and len(word) > 1:
        add(found.people, _read_person(word, mentioned))
        return True
    right = find_right(word)
    if right is not None:
        add(found.rights, right)
    return right is not None or word.casefold() in _ONESELF


def _read_open(
    word: str, verb: Verb, found: Found, vocabulary: Vocabulary, mentioned: Mapping[str, frozenset[str]]
) -> bool:
    """Read a word that is in no closed set by what it looks like; False when it looks like nothing."""
    if verb is Verb.MAY and _read_of_may(word, found, mentioned):
        return True
    if verb in SCOPED and word.casefold().rstrip(_PUNCTUATION) in EVERYTHING_WORDS:
        found.everything = True
        return True
    times.refuse_bare(word, verb)
    if verb is Verb.PROMOTE and _read_weight(word, found):
        return True
    strategy = words.strategy(word, verb, vocabulary)
    if strategy is not None:
        found.put("strategy", strategy, token=word)
        return True
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
            words.refuse_misspelt(word, verb, vocabulary)
        add(found.versions, word)
        return True
    return False


def _read_weight(word: str, found: Found) -> bool:
    """Read ``50%`` beside `Verb.PROMOTE`; raises `BadCommand` for a number that can be that and a deployment's."""
    if _PERCENT.fullmatch(word):
        found.put("to", word, token=word)
        return True
    if word.isdecimal() and word.isascii() and 1 <= int(word[:4]) <= 100:
        ways = (f"#{word}", f"to={word}")
        raise BadCommand(
            f"{show(word)} can be the deployment {word} and {word} per cent.",
            token=clip(word),
            suggestions=ways,
            hint=f"Say which: {listing(ways)}.",
        )
    return False


def _read_branch(left: list[Word], verb: Verb, found: Found, vocabulary: Vocabulary) -> None:
    """A single word that is left over where only the version is missing is the version; every other one is refused."""
    if not left:
        return
    word = left[0].text
    may_be_version = (
        len(left) == 1
        and verb in OPTIONS["version"].verbs
        and bool(found.services and found.environments)
        and not (found.versions or found.deployments or found.bare_text)
        and word.casefold() not in versions.NEVER_VERSIONS
        and versions.is_well_formed(word)
    )
    if not may_be_version:
        raise _about_left(left, verb, found, vocabulary)
    words.refuse_misspelt(word, verb, vocabulary)
    add(found.versions, word)


def _about_left(left: list[Word], verb: Verb, found: Found, vocabulary: Vocabulary) -> BadCommand:
    """The refusal of the word among those left over of which there is most to say."""
    # A misspelt name explains more than the words around it.
    word = next((word for word in left if nearest(word.text, vocabulary.names())), None)
    if word is None:
        word = left[0]
        if word.text.casefold() in times.LEADS:
            after = next((other for other in left[1:] if other.text == word.following), None)
            if after is None or word.text.casefold() != "in":
                return times.leads_nowhere(word.text, word.following)
            word = after
    return words.unknown(word.text, found, verb, vocabulary)


def _help(found: Found) -> HelpIntent:
    topics = [verb for verb in found.verbs if verb is not Verb.HELP]
    return HelpIntent(topic=topics[0] if len(topics) == 1 else None)
