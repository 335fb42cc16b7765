"""Completes the word being typed. Offers only what may follow; looks nothing up and never refuses a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar import times
from bot.domain.grammar.normalise import clean
from bot.domain.grammar.options import EVERYTHING_WORDS, FLAGS, OPTIONS, SCOPED, Takes, option_name
from bot.domain.grammar.rights import RIGHTS, find_right
from bot.domain.grammar.tokens import tokenise
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.versions import NEVER_VERSIONS, is_likely, is_unmistakable, is_well_formed
from bot.domain.grammar.vocabulary import Kind
from bot.domain.ids import ServiceName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.grammar.vocabulary import Vocabulary

MAX_HINTS = 40

#: What a plain word says better.
_NAMING = frozenset({"service", "environment", "version", "deployment", "action", "right", "scope"})

_DEPLOYING = frozenset({Verb.DEPLOY, Verb.BREAK_GLASS, Verb.PREVIEW})


def hints(text: str, *, vocabulary: Vocabulary, versions: Mapping[ServiceName, Sequence[str]]) -> list[str]:
    """Words that can stand in place of the last one of ``text``, at most `MAX_HINTS`; best first.

    After a blank they are what may come next. ``versions`` are known versions by service, newest first.
    """
    before, typed = _at_cursor(text)
    try:
        tokens = times.join(tokenise(clean(before)), vocabulary)
        clean(typed)
    except BadCommand:
        # A quotation that is still open, a name that is a time too, or far too much text: nothing to complete.
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
        self.environments: list[str] = []
        self.right = False
        self.everything = False
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
            elif name == "right":
                self.right = True
            elif name == "scope":
                self.everything = True
            elif name in kinds:
                for part in value.split(","):
                    self._name(part, only=kinds[name])
            return
        if value.startswith("-"):
            self.options.add(option_name(value))
            return
        for part in value.split(","):
            if self._name(part):
                continue
            self.everything |= self.verb in SCOPED and part.casefold() in EVERYTHING_WORDS
            self.right |= self.verb is Verb.MAY and find_right(part) is not None
            self.version |= self._is_version(part)

    def _is_version(self, word: str) -> bool:
        if not is_well_formed(word) or word.casefold() in NEVER_VERSIONS:
            return False
        return is_unmistakable(word) or is_likely(word) or bool(self.services and self.environments)

    def _name(self, word: str, *, only: Kind | None = None) -> bool:
        readings = [reading for reading in self._vocabulary.readings(word) if only in (None, reading.kind)]
        for reading in readings:
            match reading.kind:
                case Kind.SERVICE:
                    self.services.append(ServiceName(reading.name))
                case Kind.ENVIRONMENT:
                    self.environments.append(reading.name)
                case Kind.ACTION:
                    self._say(Verb(reading.name))
                case Kind.OPTION:
                    self.options.add(reading.name)
        return bool(readings)

    def _say(self, verb: Verb) -> None:
        """What stands beside `Verb.MAY` is what is asked about."""
        if Verb.MAY in {self.verb, verb} and self.verb not in {None, verb}:
            self.right, verb = True, Verb.MAY
        self.verb = verb

    def next_words(self, versions: Mapping[ServiceName, Sequence[str]]) -> Iterable[str]:
        vocabulary = self._vocabulary
        verb = self.verb or Verb.DEPLOY
        if verb is Verb.HELP:
            yield from (verb for verb in Verb if verb is not Verb.HELP)
            return
        if verb is Verb.MAY and not self.right:
            yield from (right for right in RIGHTS if not self._is_name(right))
        if not (self.services or self.everything) and verb in OPTIONS["service"].verbs:
            yield from (vocabulary.spell(Kind.SERVICE, name) for name in vocabulary.services)
        if self.services and verb in _DEPLOYING and not self.version:
            yield from self._versions(versions)
        wanted = 0 if self.everything else 2 if verb is Verb.DIFF else 1
        if len(self.environments) < wanted and verb in OPTIONS["environment"].verbs:
            others = (name for name in self._environments() if name not in self.environments)
            yield from (vocabulary.spell(Kind.ENVIRONMENT, name) for name in others)
        if verb in SCOPED and not (self.services or self.environments or self.everything):
            yield "scope=all" if self._is_name("all") else "all"
        if self._nothing_yet():
            yield from (vocabulary.spell(Kind.ACTION, verb) for verb in Verb)
        said = self.options | _NAMING | (set() if "at" in self.options else {"expires"})
        for option in OPTIONS.values():
            if verb in option.verbs and option.name not in said and not self._nothing_yet():
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
            case "strategy":
                return self._vocabulary.strategies
            case "to" if self.verb is Verb.PROMOTE:
                return ["100"]
            case "version" | "to":
                return self._versions(versions)
            case "at":
                return ["next-window"]
            case _ if name in FLAGS:
                return ["true", "false"]
            case _:
                return option.choices if option else ()

    def _is_name(self, word: str) -> bool:
        """Whether something in the catalog is called so."""
        return any(r.kind in (Kind.SERVICE, Kind.ENVIRONMENT) for r in self._vocabulary.readings(word))

    def _nothing_yet(self) -> bool:
        return not (self.verb or self.services or self.environments or self.version)

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
