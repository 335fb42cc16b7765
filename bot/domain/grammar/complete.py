"""Completes the word being typed. Offers only what may follow; looks nothing up and never refuses a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar.normalise import clean
from bot.domain.grammar.options import FLAGS, OPTIONS, Takes, option_name
from bot.domain.grammar.tokens import tokenise
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.versions import NEVER_VERSIONS, is_likely, is_unmistakable, is_well_formed
from bot.domain.grammar.vocabulary import Kind
from bot.domain.ids import ServiceName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.grammar.vocabulary import Vocabulary

MAX_HINTS = 20

_NAMING = frozenset({"service", "environment", "version", "deployment", "action"})


def hints(text: str, *, vocabulary: Vocabulary, versions: Mapping[ServiceName, Sequence[str]]) -> list[str]:
    """Words that can stand in place of the last one of ``text``, at most `MAX_HINTS`; best first.

    After a blank they are what may come next. ``versions`` are known versions by service, newest first.
    """
    before, typed = _at_cursor(text)
    try:
        tokens = tokenise(clean(before))
        clean(typed)
    except BadCommand:
        # A quotation that is still open, or far too much text: there is nothing to complete.
        return []
    said = _Said(vocabulary)
    for token in tokens:
        said.hear(token.key, token.value)
    key, equals, value = typed.partition("=")
    if equals:
        offered = [f"{key}={name}" for name in said.values(option_name(key), versions, value)]
    elif typed.startswith("-"):
        offered = [f"--{name}" for name in said.flags()]
    elif "," in typed:
        head, _, _ = typed.rpartition(",")
        said.hear(None, head)
        offered = [f"{head},{name}" for name in vocabulary.services if name not in said.services]
    else:
        offered = list(said.next_words(versions))
    prefix = typed.casefold()
    return [word for word in dict.fromkeys(offered) if word.casefold().startswith(prefix)][:MAX_HINTS]


def _at_cursor(text: str) -> tuple[str, str]:
    """The finished words, and the one being typed."""
    finished = text.rstrip()
    if finished != text or not finished:
        return text, ""
    last = finished.split()[-1]
    return text[: len(text) - len(last)], last


class _Said:
    """What the finished words have said so far; words that mean nothing are passed over."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.services: list[ServiceName] = []
        self.environment: str | None = None
        self.verb: Verb | None = None
        self.options: set[str] = set()
        self.version = False

    def hear(self, key: str | None, value: str) -> None:
        if key is not None:
            name = option_name(key)
            self.options.add(name)
            kinds = {"service": Kind.SERVICE, "environment": Kind.ENVIRONMENT, "action": Kind.ACTION}
            if name in {"version", "to"}:
                self.version = True
            elif name in kinds:
                for part in value.split(","):
                    self._name(part, only=kinds[name])
            return
        if value.startswith("-"):
            self.options.add(option_name(value))
            return
        for part in value.split(","):
            self.version |= not self._name(part) and self._is_version(part)

    def _is_version(self, word: str) -> bool:
        if not is_well_formed(word) or word.casefold() in NEVER_VERSIONS:
            return False
        return is_unmistakable(word) or is_likely(word) or bool(self.services and self.environment)

    def _name(self, word: str, *, only: Kind | None = None) -> bool:
        readings = [reading for reading in self._vocabulary.readings(word) if only in (None, reading.kind)]
        for reading in readings:
            match reading.kind:
                case Kind.SERVICE:
                    self.services.append(ServiceName(reading.name))
                case Kind.ENVIRONMENT:
                    self.environment = reading.name
                case Kind.ACTION:
                    self.verb = Verb(reading.name)
                case Kind.OPTION:
                    self.options.add(reading.name)
        return bool(readings)

    def next_words(self, versions: Mapping[ServiceName, Sequence[str]]) -> Iterable[str]:
        vocabulary = self._vocabulary
        verb = self.verb or Verb.DEPLOY
        if verb is Verb.HELP:
            yield from (verb for verb in Verb if verb is not Verb.HELP)
            return
        if not self.services and verb in OPTIONS["service"].verbs:
            yield from (vocabulary.spell(Kind.SERVICE, name) for name in vocabulary.services)
        if self.services and verb is Verb.DEPLOY and not self.version:
            yield from self._versions(versions)
        if self.environment is None and verb in OPTIONS["environment"].verbs:
            yield from (vocabulary.spell(Kind.ENVIRONMENT, name) for name in self._environments())
        if self._nothing_yet():
            yield from (vocabulary.spell(Kind.ACTION, verb) for verb in Verb)
        for option in OPTIONS.values():
            if verb in option.verbs and option.name not in self.options | _NAMING and not self._nothing_yet():
                yield option.name if option.takes is Takes.FLAG else f"{option.name}="

    def flags(self) -> list[str]:
        verb = self.verb or Verb.DEPLOY
        return [name for name in FLAGS if verb in OPTIONS[name].verbs and name not in self.options]

    def values(self, name: str, versions: Mapping[ServiceName, Sequence[str]], typed: str) -> Iterable[str]:
        option = OPTIONS.get(name)
        match name:
            case "service":
                head, comma, _ = typed.rpartition(",")
                return [f"{head}{comma}{service}" for service in self._vocabulary.services]
            case "environment":
                return self._environments()
            case "action":
                return list(Verb)
            case "version" | "to":
                return self._versions(versions)
            case _ if name in FLAGS:
                return ["true", "false"]
            case _:
                return option.choices if option else ()

    def _nothing_yet(self) -> bool:
        return not (self.verb or self.services or self.environment or self.version)

    def _environments(self) -> Sequence[str]:
        """Where all the services named so far run, or every environment."""
        homes = [self._vocabulary.homes.get(name, ()) for name in self._vocabulary.services if name in self.services]
        everywhere = self._vocabulary.environments
        return [name for name in everywhere if all(name in home for home in homes)] or everywhere

    def _versions(self, versions: Mapping[ServiceName, Sequence[str]]) -> Iterable[str]:
        """The versions that all the services named so far have, in the order of the first."""
        lists = [versions.get(name, ()) for name in self.services]
        if not lists:
            return ()
        return [version for version in lists[0] if all(version in other for other in lists[1:])]
