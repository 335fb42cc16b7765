"""Pydantic's errors in words of the person who wrote the file, at the line that they wrote."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from bot.catalog.problems import BadValue, Problem, described, nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.catalog.document import Node, Source

_SECRET_WORDS = ("secret", "token", "password", "passphrase", "credential", "private")

#: What a value must be, by pydantic's name of the complaint; `{ctx}` names come from pydantic.
_MUST_BE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping (keys with values)",
    "model_type": "a mapping (keys with values)",
    "model_attributes_type": "a mapping (keys with values)",
    "path_type": "a path",
    "finite_number": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "none_required": "nothing",
}


def explained(
    error: ValidationError, model: type[BaseModel], node: Node, source: Source, *, note: str = ""
) -> Iterator[Problem]:
    """One problem for each of ``error``'s, which came of validating ``node`` by ``model``.

    ``note`` is added where a key is missing: in whose name it is needed.
    """
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        at = _deepest(node, location)
        kind = detail["type"]
        context: dict[str, Any] = detail.get("ctx", {})
        value = detail["input"]
        if kind == "missing":
            key = str(location[-1])
            description = _description(_model_at(model, location[:-1]), key)
            hint = f": {description[:1].lower()}{description[1:]}" if description else ""
            yield source.problem(at.key_at, at.path, f"'{key}' is missing{note}{hint}")
        elif kind == "extra_forbidden":
            keys = _keys(_model_at(model, location[:-1]))
            key = str(location[-1])
            guess = nearest(key, keys)
            message = f"unknown key {quoted(key)}"
            if at.value is None and not source.text[at.key_at :].lstrip("\"'").startswith((f"{key}:", f"{key} :")):
                # In { a: 1,2 } the comma ends the value; such a key was meant to be the rest of one.
                message += "; if it belongs to the value before the comma, put that value in quotes"
            yield source.problem(at.key_at, at.path, message, allowed=keys, nearest=guess)
        elif isinstance(context.get("error"), BadValue):
            bad: BadValue = context["error"]
            yield source.problem(_value_at(at), at.path, bad.message, allowed=bad.allowed, nearest=bad.nearest)
        else:
            allowed = _literals(model, location) if kind in ("literal_error", "enum") else ()
            secret = _is_secret(model, location)
            message = _message(kind, context, value, detail["msg"], secret=secret)
            guess = nearest(value, allowed) if isinstance(value, str) and value not in allowed else None
            yield source.problem(_value_at(at), at.path, message, allowed=allowed, nearest=guess)


def _message(kind: str, context: dict[str, Any], value: object, text: str, *, secret: bool) -> str:
    shown = "what stands there" if secret else described(value)
    if kind in ("literal_error", "enum"):
        return f"{shown} is not one of the values that can stand here"
    if kind == "value_error":
        return str(context["error"]).rstrip(".")
    if kind in ("too_short", "too_long"):
        bound = "at least" if kind == "too_short" else "at most"
        number = context.get("min_length", context.get("max_length"))
        return f"needs {bound} {number} {'entry' if number == 1 else 'entries'}"
    if kind in ("string_too_short", "string_too_long"):
        bound = "at least" if kind == "string_too_short" else "at most"
        return f"must have {bound} {context.get('min_length', context.get('max_length'))} characters"
    if kind not in _MUST_BE:
        said = (text[:1].lower() + text[1:]).rstrip(".")
        return said if secret or isinstance(value, dict | list) else f"{said}, not {shown}"
    message = f"must be {_MUST_BE[kind].format_map(context)}, not {shown}"
    if kind == "string_type" and isinstance(value, int | float):
        message += "; write it in quotes"
    if kind in ("bool_type", "bool_parsing") and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        message += " (in YAML 1.2 that word is text)"
    return message


def _deepest(node: Node, location: tuple[str | int, ...]) -> Node:
    """The node that ``location`` leads to, past the parts of it that are pydantic's own (names of union members)."""
    for part in location:
        node = node.get(part) or node
    return node


def _value_at(node: Node) -> int:
    """Where to point for a value: at itself, but for an empty or a block value at the key that introduces it."""
    return node.key_at if node.value is None or isinstance(node.value, dict | list) else node.at


def _annotation(model: object, location: tuple[str | int, ...]) -> object:
    annotation: object = model
    for part in location:
        found: object = None
        for member in _members(annotation):
            if isinstance(member, type) and issubclass(member, BaseModel):
                found = next(
                    (f.annotation for name, f in member.model_fields.items() if part in (f.alias or name, name)), None
                )
            elif get_origin(member) in (dict, list, tuple, set, frozenset) and get_args(member):
                found = get_args(member)[1 if get_origin(member) is dict else 0]
            if found is not None:
                break
        if found is None:
            return None
        annotation = found
    return annotation


def _members(annotation: object) -> tuple[object, ...]:
    origin = get_origin(annotation)
    if origin is Union or origin is types.UnionType:
        return tuple(m for member in get_args(annotation) for m in _members(member))
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return (annotation,)


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel] | None:
    for member in _members(_annotation(model, location)):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return member
    return None


def _keys(model: type[BaseModel] | None) -> tuple[str, ...]:
    return tuple(sorted(f.alias or name for name, f in model.model_fields.items())) if model else ()


def _description(model: type[BaseModel] | None, key: str) -> str:
    for name, f in model.model_fields.items() if model else ():
        if key in (f.alias, name):
            return (f.description or "").rstrip(".")
    return ""


def _literals(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str, ...]:
    allowed: list[str] = []
    for member in _members(_annotation(model, location)):
        if isinstance(member, type) and hasattr(member, "__members__"):
            allowed += [str(m.value) for m in member.__members__.values()]
        else:
            allowed += [str(value) for value in get_args(member)]
    return tuple(allowed)


def _is_secret(model: type[BaseModel], location: tuple[str | int, ...]) -> bool:
    members = _members(_annotation(model, location))
    if any(isinstance(m, type) and issubclass(m, SecretStr | SecretBytes) for m in members):
        return True
    return any(word in str(location[-1]).lower() for word in _SECRET_WORDS) if location else False
