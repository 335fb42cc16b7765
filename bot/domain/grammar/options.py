"""Every ``key=value`` that a command may carry, as one table: a new one is a line here and a field of an intent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar.refusals import SUGGESTIONS, clip, listing, nearest, show
from bot.domain.grammar.rights import RIGHTS
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.lock import ChangeType, LockLevel
from bot.domain.when import check_until, check_when, read_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bot.domain.grammar.tokens import Token


class Takes(Enum):
    """What an option's value is."""

    #: Nothing, or true or false.
    FLAG = auto()
    #: Prose, in quotation marks when it has blanks.
    TEXT = auto()
    #: One of the option's choices.
    CHOICE = auto()
    #: One of the catalog's strategies.
    STRATEGY = auto()
    #: A whole number between ``least`` and ``most``.
    NUMBER = auto()
    #: When something begins, as `bot.domain.when.parse_when` reads it.
    WHEN = auto()
    #: When something ends, as `bot.domain.when.parse_until` reads it.
    UNTIL = auto()
    #: How long something takes.
    DURATION = auto()
    #: What a plain word would say too, spelt out. Resolved by the parser, which knows the names.
    NAME = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option."""

    name: str
    takes: Takes
    verbs: frozenset[Verb]
    """The actions that it belongs to."""
    meaning: str
    example: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0


_V = Verb
_ANY = frozenset(Verb)
_OF_A_DEPLOYMENT = frozenset(
    {_V.STATUS, _V.ROLLBACK, _V.ABORT, _V.APPROVE, _V.REJECT, _V.START, _V.SCHEDULE, _V.RUN_NEXT}
    | {_V.PROMOTE, _V.HOLD, _V.RESUME}
)
#: What speaks about a scope: a service, an environment, one in the other, or everything.
SCOPED = frozenset({_V.LOCK, _V.UNLOCK, _V.FREEZE, _V.UNFREEZE})
#: Words for every service in every environment, which those take.
EVERYTHING_WORDS = frozenset({"all", "everything"})
_PREVIEWING = frozenset({_V.PREVIEW, _V.PREVIEWS})
_PLACED = _ANY - {_V.WHERE, _V.START, _V.HELP} - _PREVIEWING
_CHANGES = SCOPED | {_V.DEPLOY, _V.ROLLBACK, _V.ABORT, _V.APPROVE, _V.REJECT, _V.RUN_NEXT, _V.BREAK_GLASS}
_CHANGES |= {_V.PROMOTE, _V.HOLD}
_VERSIONED = frozenset({_V.DEPLOY, _V.ROLLBACK, _V.BREAK_GLASS, _V.PREVIEW})
_TIMED = frozenset({_V.DEPLOY, _V.SCHEDULE})


def _option(
    name: str, takes: Takes, verbs: Collection[Verb], meaning: str, example: str, choices: Iterable[str] = ()
) -> Option:
    return Option(
        name=name, takes=takes, verbs=frozenset(verbs), meaning=meaning, example=example, choices=tuple(choices)
    )


_TABLE = (
    _option("reason", Takes.TEXT, _CHANGES, "why, kept in the history", 'reason="fixes the login"'),
    _option("strategy", Takes.STRATEGY, {_V.DEPLOY}, "how the release takes over", "strategy=rolling"),
    _option("at", Takes.WHEN, _TIMED, "when it is to start", 'at="18:00 Europe/Paris"'),
    _option("expires", Takes.DURATION, _TIMED, "how long after its time it may still start", "expires=2h"),
    _option("until", Takes.UNTIL, {_V.LOCK, _V.FREEZE}, "when it ends by itself", "until=2h"),
    _option("level", Takes.CHOICE, {_V.LOCK}, "whether it stops deployments or warns", "level=warn", LockLevel),
    _option("type", Takes.CHOICE, {_V.LOCK}, "which changes it is about", "type=migration", ChangeType),
    _option("incident", Takes.TEXT, {_V.LOCK}, "the incident that it is for", "incident=INC-42"),
    _option("confirm", Takes.TEXT, {_V.BREAK_GLASS}, "the service, typed once more", "confirm=checkout"),
    _option("dry-run", Takes.FLAG, {_V.DEPLOY}, "show the plan and change nothing", "dry-run"),
    _option(
        "force",
        Takes.FLAG,
        {_V.DEPLOY, _V.BREAK_GLASS, _V.PROMOTE},
        "deploy even what runs already; promote although checks do not pass",
        "force",
    ),
    _option("skip", Takes.FLAG, {_V.PROMOTE}, "leave the steps before it out", "skip"),
    _option("hard", Takes.FLAG, {_V.LOCK}, "hold its owner too", "hard"),
    _option("pause", Takes.FLAG, {_V.LOCK}, "hold what is rolled out already, before its next step", "pause"),
    Option(
        name="limit",
        takes=Takes.NUMBER,
        verbs=frozenset({_V.HISTORY}),
        meaning="how many to show",
        example="limit=20",
        least=1,
        most=100,
    ),
    Option(
        name="days",
        takes=Takes.NUMBER,
        verbs=frozenset({_V.STATS}),
        meaning="how many days to count",
        example="days=30",
        least=1,
        most=365,
    ),
    Option(
        name="pr",
        takes=Takes.NUMBER,
        verbs=frozenset({_V.PREVIEW}),
        meaning="the number of the pull request",
        example="pr=123",
        least=1,
        most=999_999_999,
    ),
    _option("for", Takes.DURATION, {_V.PREVIEW}, "how long the preview is kept", "for=3d"),
    _option("close", Takes.FLAG, {_V.PREVIEW}, "delete the preview", "close"),
    _option("scope", Takes.CHOICE, SCOPED, "everything, where a name is called all", "scope=all", ["all"]),
    _option("right", Takes.CHOICE, {_V.MAY}, "what somebody may do", "right=rollback", RIGHTS),
    _option(
        "to",
        Takes.NAME,
        {_V.ROLLBACK, _V.PROMOTE},
        "the version to go back to, or the per cent to promote to",
        "to=v1.1",
    ),
    _option("service", Takes.NAME, _PLACED | {_V.WHERE, _V.PREVIEW}, "which service", "service=checkout"),
    _option("environment", Takes.NAME, _PLACED, "where", "environment=staging"),
    _option("version", Takes.NAME, _VERSIONED, "a tag, branch, commit or digest", "version=main"),
    _option("deployment", Takes.NAME, _OF_A_DEPLOYMENT, "which deployment", "deployment=42"),
    _option("action", Takes.NAME, _ANY, "what to do", "action=status"),
)

OPTIONS: Mapping[str, Option] = MappingProxyType({option.name: option for option in _TABLE})
FLAGS = tuple(option.name for option in _TABLE if option.takes is Takes.FLAG)

_ALIASES = {"env": "environment", "services": "service", "dryrun": "dry-run", "tag": "version", "why": "reason"}
_ALIASES |= {"in": "at", "expiry": "expires"}

#: Options that other deployment tools have and this one does not know: what they would be for.
UNAVAILABLE_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"weight": "Choosing a traffic weight", "canary": "Choosing a canary's weight"},
)

#: Words for strategies; alone they are neither an option nor a branch, whether the catalog has them or not.
STRATEGY_WORDS = frozenset({"rolling", "canary", "blue-green", "bluegreen", "blue/green", "recreate"})

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_INTEGER = re.compile(r"[0-9]{1,9}")
_SHOWN = 30

Value = str | bool | int


def option_name(key: str) -> str:
    """The table's name for a key as typed: ``DRY_RUN`` is ``dry-run``, ``env`` is ``environment``."""
    name = key.lstrip("-").casefold().replace("_", "-")
    return _ALIASES.get(name, name)


def find_option(key: str) -> Option:
    """The option of that key; raises `BadCommand` with the nearest ones."""
    name = option_name(key)
    if name in OPTIONS:
        return OPTIONS[name]
    if name in UNAVAILABLE_OPTIONS:
        raise BadCommand(
            f"{UNAVAILABLE_OPTIONS[name]} ({name}=) is not available here; nothing was started.",
            token=clip(key),
            hint=f"Leave {name}= out.",
        )
    near = nearest(name, OPTIONS)
    hint = f"Did you mean {listing(near)}?" if near else f"There are {listing(tuple(OPTIONS), limit=12)}."
    raise BadCommand(f"There is no option {show(key)}.", token=clip(key), suggestions=near, hint=hint)


def flag(token: Token) -> Option:
    """The option that ``--name`` names; raises `BadCommand` when that needs a value."""
    option = find_option(token.value)
    if option.takes is not Takes.FLAG:
        raise BadCommand(
            f"{show(token.value)} needs a value.",
            token=clip(token.value),
            suggestions=(option.example,),
            hint=f"Write {option.example}.",
        )
    return option


def value_of(option: Option, token: Token, strategies: Sequence[str]) -> Value:
    """The value of a ``key=value``; raises `BadCommand` saying what is allowed. ``strategies`` are the catalog's."""
    text = token.value.strip()
    if not text:
        raise _wrong(option, token, "needs a value right after the equals sign", f"Write {option.example}.")
    match option.takes:
        case Takes.FLAG:
            if text.casefold() not in _TRUE | _FALSE:
                raise _wrong(option, token, "is true or false", f"Write {option.name}, or leave it out.")
            return text.casefold() in _TRUE
        case Takes.CHOICE:
            choice = text.casefold().replace("_", "-")
            if choice not in option.choices:
                allowed = listing(option.choices, limit=12)
                raise _wrong(option, token, f"can only be {allowed}", f"Write {option.name}={option.choices[0]}.")
            return choice
        case Takes.STRATEGY:
            strategy = find_strategy(text, strategies)
            if strategy is None:
                raise no_strategy(token.value, strategies, token=token.text)
            return strategy
        case Takes.NUMBER:
            if not _INTEGER.fullmatch(text) or not option.least <= int(text) <= option.most:
                between = f"is a number from {option.least} to {option.most}"
                raise _wrong(option, token, between, f"Write {option.example}.")
            return int(text)
        case Takes.WHEN:
            check_when(text)
        case Takes.UNTIL:
            check_until(text)
        case Takes.DURATION:
            read_duration(text)
        case Takes.TEXT | Takes.NAME:
            pass
    return text


def find_strategy(word: str, strategies: Sequence[str]) -> str | None:
    """The strategy that ``word`` names: ``blue_green`` is ``blue-green``."""
    name = word.casefold().replace("_", "-")
    return next((strategy for strategy in strategies if strategy.casefold() == name), None)


def no_strategy(word: str, strategies: Sequence[str], *, token: str) -> BadCommand:
    """The refusal of a strategy that the catalog does not have, with those that it has."""
    near = nearest(word.replace("_", "-"), strategies)
    ways = [f"strategy={name}" for name in near or tuple(strategies[:SUGGESTIONS])]
    # Names may be long: the message must stay short enough to be read.
    names = listing([clip(name, limit=_SHOWN) for name in strategies], limit=SUGGESTIONS)
    hint = f"Did you mean {listing(ways)}?" if near else f"Write {listing(ways[:1]) or 'no strategy'}."
    return BadCommand(
        f"strategy= can only be {names}, not {show(word)}.", token=clip(token), suggestions=ways, hint=hint
    )


def percent(text: str) -> int:
    """``50`` or ``50%`` as what a rollout is promoted to; raises `BadCommand`."""
    digits = text.strip().removesuffix("%").rstrip()
    if _INTEGER.fullmatch(digits) and 1 <= int(digits) <= 100:
        return int(digits)
    raise BadCommand(
        f"to= is a number of per cent from 1 to 100, not {show(text)}.",
        token=clip(f"to={text}"),
        suggestions=("to=50", "to=100"),
        hint="Write to=50, or leave it out for the next step.",
    )


def _wrong(option: Option, token: Token, rule: str, hint: str) -> BadCommand:
    typed = f", not {show(token.value)}" if token.value.strip() else ""
    suggestions = [f"{option.name}={choice}" for choice in option.choices[:3]]
    return BadCommand(f"{option.name}= {rule}{typed}.", token=clip(token.text), suggestions=suggestions, hint=hint)
