"""The small languages inside the catalog file: durations, names, channels, members, paths. No places, no YAML."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from bot.catalog.problems import BadValue, described, nearest, quoted
from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.grammar.options import FLAGS
from bot.domain.grammar.verbs import UNAVAILABLE_VERBS, Verb
from bot.domain.policy.access import Action

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,62}$"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DAY = 86_400.0
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{2,20}")
_MEMBER_ID = re.compile(r"[SUW][A-Z0-9]{2,20}")
_ACCOUNT = re.compile(rf"{ACCOUNT_PREFIX}[a-z][a-z0-9-]{{0,62}}")
_HANDLE = re.compile(r"@[^\s@<>|,A-Z]{1,80}")
ACTIONS = sorted(action.value for action in Action)
_WRITTEN_OUT = frozenset({Action.BREAK_GLASS, Action.OVERRIDE_FREEZE, Action.CONFIGURE})
"""What passes or changes the other rules: nobody is to have it by a star that was written before it existed."""
STAR_ALLOWS = [action for action in ACTIONS if action not in _WRITTEN_OUT]
_LONGEST_QUERY = 4000
_HEALTH_PATH = re.compile(r"/[!-~]{0,511}")

#: Words of the command itself. Its words come in any order, so nothing that it names may be called like one of them.
VERBS = frozenset({*Verb, *UNAVAILABLE_VERBS, *FLAGS})


def is_name(text: str) -> bool:
    """Whether a service, an environment or a role may be called this."""
    return _NAME.fullmatch(text) is not None


def as_name(text: str) -> str | None:
    """The nearest thing to ``text`` that is a name, if any is near."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].rstrip("-")
    return slug if is_name(slug) else None


def format_version(value: object) -> int:
    """1, the only format of the file that there is so far; raises `BadValue`."""
    if value == 1 and type(value) is int:
        return 1
    raise BadValue(f"must be 1, the only format that can be read, not {described(value)}")


def seconds(value: object) -> float:
    """``90s``, ``5m``, ``1h``, ``250ms`` or a number of seconds; raises `BadValue`. 10 ms to a day."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        result = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        result = float(match[1]) * _UNITS[match[2]]
    else:
        raise BadValue(f"must be a duration such as 90s, 5m or 1h, or a number of seconds, not {described(value)}")
    if not 0.01 <= result <= _DAY:
        raise BadValue(f"must be between 10ms and 24h, not {described(value)}")
    return result


def channel(value: object) -> str:
    """A channel's id or ``#name``; raises `BadValue`."""
    if value is None:
        raise BadValue("must be a channel, not nothing; a bare # begins a comment, so write the name in quotes")
    if not isinstance(value, str):
        raise BadValue(f'must be a channel such as "#deployments" or C024BE91L, not {described(value)}')
    if _CHANNEL_ID.fullmatch(value) or (value.startswith("#") and _channel_name(value[1:])):
        return value
    with_hash = f"#{value.removeprefix('#').lower()}"
    raise BadValue(
        f'must be a channel such as "#deployments" or C024BE91L, not {quoted(value)}',
        nearest=with_hash if _channel_name(with_hash[1:]) else None,
    )


def _channel_name(text: str) -> bool:
    return 0 < len(text) <= 80 and text == text.lower() and all(c.isalnum() or c in "-_" for c in text)


def member(value: object) -> str:
    """``@handle`` or ``S…`` of a user group, ``U…`` or ``W…`` of a person, ``sa:name`` of a service account; raises
    `BadValue`.
    """
    if isinstance(value, str) and (_is_member(value) or _ACCOUNT.fullmatch(value)):
        return value
    if isinstance(value, str) and value.lower().startswith(ACCOUNT_PREFIX):
        name = as_name(value[len(ACCOUNT_PREFIX) :])
        raise BadValue(
            f"must be the name of a service account after {ACCOUNT_PREFIX}, a lower-case letter and then at most 62 "
            f"lower-case letters, digits and hyphens, not {described(value)}",
            nearest=f"{ACCOUNT_PREFIX}{name}" if name else None,
        )
    guess: str | None = None
    if isinstance(value, str):
        as_id = value.upper() if any(c.isdigit() for c in value) else ""
        guess = next((c for c in (as_id, f"@{value.lower()}", value.lower()) if _is_member(c)), None)
    raise BadValue(
        f'must be a user group ("@handle" or S…), the id of a person (U… or W…) or a service account (sa:name), not '
        f"{described(value)}",
        nearest=guess,
    )


def group(value: object) -> str:
    """``@handle`` or ``S…`` of a user group; raises `BadValue`."""
    if isinstance(value, str) and _is_member(value) and value[0] in "@S":
        return value
    guess: str | None = None
    if isinstance(value, str):
        guess = next((c for c in (f"@{value.lower().removeprefix('@')}",) if _is_member(c)), None)
    person = isinstance(value, str) and _MEMBER_ID.fullmatch(value)
    raise BadValue(
        f'must be a user group ("@handle" or S…), not {"the person " if person else ""}{described(value)}',
        nearest=None if person else guess,
    )


def environment_name(value: object) -> str:
    """The name of an environment, which need not exist; raises `BadValue`."""
    return _named("an environment", value)


def strategy_name(value: object) -> str:
    """The name of a strategy, which need not exist; raises `BadValue`."""
    return _named("a strategy", value)


def source_name(value: object) -> str:
    """The name of a metric source, which need not exist; raises `BadValue`."""
    return _named("a metric source", value)


def query(value: object) -> str:
    """A question to a metric source; raises `BadValue`."""
    if isinstance(value, str) and value.strip() and len(value) <= _LONGEST_QUERY:
        return value
    if isinstance(value, str) and value.strip():
        raise BadValue(f"must have at most {_LONGEST_QUERY} characters, not {len(value)}")
    raise BadValue(f"must be a question in the source's own language, not {described(value)}")


def _named(noun: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise BadValue(f"must be the name of {noun}, not {described(value)}")


def _is_member(text: str) -> bool:
    return bool(_HANDLE.fullmatch(text) or _MEMBER_ID.fullmatch(text))


def health_path(value: object) -> str:
    """The path of a health check on the service itself; raises `BadValue`. Nothing in it may lead to another host."""
    if not isinstance(value, str):
        raise BadValue(f"must be a path such as /health, not {described(value)}")
    if "://" in value or value.startswith("//") or not value.startswith("/"):
        path = re.sub(r"^([a-z]+:)?//[^/]*", "", value)
        path = path if path.startswith("/") else f"/{path}"
        raise BadValue(
            f'must begin with "/" and name no scheme or host, not {quoted(value)}',
            nearest=path if _HEALTH_PATH.fullmatch(path) and "//" not in path and ".." not in path else None,
        )
    if ".." in value or "%2e" in value.lower() or "\\" in value:
        raise BadValue(f'must not lead upwards ("..", "%2e" and "\\" are refused), not {quoted(value)}')
    if "#" in value or not _HEALTH_PATH.fullmatch(value):
        raise BadValue(f"must be printable ASCII without spaces or #, at most 512 characters, not {quoted(value)}")
    return value


def one_or_many(value: object) -> object:
    """A single string counts as a list of one."""
    return [value] if isinstance(value, str) else value


def names(value: object) -> object:
    """One name or a list of them, but not nothing; raises `BadValue`."""
    if value is None:
        raise BadValue("must be a list of names, not nothing")
    return one_or_many(value)


def allowed_actions(value: object) -> object:
    """``"*"`` for those that need not be written out, one action, or a list; raises `BadValue`."""
    return STAR_ALLOWS if value == "*" else _actions(value)


def denied_actions(value: object) -> object:
    """``"*"`` for really all of them, one action, or a list; raises `BadValue`."""
    return ACTIONS if value == "*" else _actions(value)


def _actions(value: object) -> object:
    values = one_or_many(value)
    if not isinstance(values, list):
        raise BadValue(f"must be a list of actions, not {described(value)}", allowed=ACTIONS)
    return values


def action(value: object) -> str:
    """The name of an action; raises `BadValue` with the nearest."""
    if isinstance(value, str) and value in ACTIONS:
        return value
    if value == "*":
        raise BadValue('"*" stands alone, not in a list; for an action that it does not grant add another rule')
    guess = nearest(value, ACTIONS) if isinstance(value, str) else None
    raise BadValue(f"{described(value)} is no action", allowed=ACTIONS, nearest=guess)


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


FormatVersion = Annotated[int, BeforeValidator(format_version), _schema(const=1)]
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    _schema(
        oneOf=[
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h)$"},
            {"type": "number", "minimum": 0.01, "maximum": _DAY},
        ],
        examples=["90s", "5m", "1h", 30],
    ),
]
_CHANNEL = _schema(
    type="string", pattern=r"^([CG][A-Z0-9]{2,20}|#[^\s#A-Z]{1,80})$", examples=["#deployments", "C024BE91L"]
)
Channel = Annotated[str, BeforeValidator(channel), _CHANNEL]
#: May be left out, never empty: ``channel: #name`` without quotes is an empty value and a comment.
OptionalChannel = Annotated[str | None, BeforeValidator(channel), _CHANNEL]
_MEMBER_SCHEMA = {
    "type": "string",
    "pattern": r"^([SUW][A-Z0-9]{2,20}|@[^\s@<>|,A-Z]{1,80}|sa:[a-z][a-z0-9-]{0,62})$",
    "examples": ["@deployers", "S0615G0KT", "U024BE7LH", "sa:incident"],
}
Members = Annotated[
    list[Annotated[str, BeforeValidator(member)]],
    BeforeValidator(one_or_many),
    _schema(oneOf=[_MEMBER_SCHEMA, {"type": "array", "items": _MEMBER_SCHEMA, "minItems": 1}]),
]
_ACTIONS = _schema(oneOf=[{"enum": ["*", *ACTIONS]}, {"type": "array", "items": {"enum": ACTIONS}, "minItems": 1}])
AllowedActions = Annotated[
    list[Annotated[str, BeforeValidator(action)]], BeforeValidator(allowed_actions), Field(min_length=1), _ACTIONS
]
DeniedActions = Annotated[
    list[Annotated[str, BeforeValidator(action)]], BeforeValidator(denied_actions), Field(min_length=1), _ACTIONS
]
#: May be left out, never empty.
OptionalGroup = Annotated[
    str | None,
    BeforeValidator(group),
    _schema(type="string", pattern=r"^(S[A-Z0-9]{2,20}|@[^\s@<>|,A-Z]{1,80})$", examples=["@release-managers"]),
]
OptionalEnvironment = Annotated[
    str | None, BeforeValidator(environment_name), _schema(type="string", examples=["staging"])
]
_STRATEGY = _schema(type="string", examples=["rolling", "canary"])
StrategyName = Annotated[str, BeforeValidator(strategy_name), _STRATEGY]
#: May be left out, never empty.
OptionalStrategy = Annotated[str | None, BeforeValidator(strategy_name), _STRATEGY]
SourceName = Annotated[str, BeforeValidator(source_name), _schema(type="string")]
Query = Annotated[
    str, BeforeValidator(query), _schema(type="string", minLength=1, maxLength=_LONGEST_QUERY, pattern=r"\S")
]
HealthPath = Annotated[
    str,
    BeforeValidator(health_path),
    _schema(
        type="string",
        pattern=r"^/(?!/)[!-~]{0,511}$",
        allOf=[{"not": {"pattern": p}} for p in (r"\.\.", "://", "#", r"\\", "%2[eE]")],
        examples=["/health"],
    ),
]
Description = Annotated[str, Field(max_length=300)]
_NAMES = _schema(oneOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}])
Names = Annotated[list[str], BeforeValidator(one_or_many), Field(min_length=1), _NAMES]
#: May be left out, never empty: nothing must not mean everywhere.
OptionalNames = Annotated[list[str] | None, BeforeValidator(names), Field(min_length=1), _NAMES]
#: Names, or none at all: an empty list takes away what the defaults give.
SomeNames = Annotated[
    list[str],
    BeforeValidator(names),
    _schema(oneOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}}]),
]
