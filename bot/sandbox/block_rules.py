"""Small rules from which Block Kit's shapes are put together. A rule looks at one value and notes faults by pointer.

Wording follows Slack's own answers: `[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Rule: TypeAlias = Callable[["Faults", Any, str], None]


@dataclass(slots=True)
class Faults:
    """What is wrong so far, in Slack's words."""

    messages: list[str] = field(default_factory=list)

    def add(self, text: str, pointer: str) -> None:
        self.messages.append(f"[ERROR] {text} [json-pointer:{pointer or '/'}]")


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: which properties it may have, which it must have. `also` checks what spans several of them."""

    props: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    also: Rule | None = None

    def __call__(self, faults: Faults, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            faults.add("must provide an object", pointer)
            return
        for name in self.required:
            if value.get(name) is None:
                faults.add(f"missing required field: {name}", pointer)
        for name, content in value.items():
            rule = self.props.get(name)
            if rule is None:
                if name != "type":
                    faults.add(f"invalid additional property: {name}", pointer)
            elif content is not None:
                rule(faults, content, f"{pointer}/{name}")
        if self.also is not None:
            self.also(faults, value, pointer)


def anything(_faults: Faults, _value: Any, _pointer: str) -> None:
    """No rule."""


def boolean(faults: Faults, value: Any, pointer: str) -> None:
    if not isinstance(value, bool):
        faults.add("must be a boolean", pointer)


def string(most: int, least: int = 1) -> Rule:
    def rule(faults: Faults, value: Any, pointer: str) -> None:
        if not isinstance(value, str):
            faults.add("must provide a string", pointer)
        elif len(value) > most:
            faults.add(f"must be less than {most + 1} characters", pointer)
        elif len(value) < least:
            faults.add(f"must be more than {least - 1} characters", pointer)

    return rule


def url(faults: Faults, value: Any, pointer: str) -> None:
    string(3000)(faults, value, pointer)
    if isinstance(value, str) and value and "://" not in value and not value.startswith("mailto:"):
        faults.add("Invalid URL", pointer)


def integer(least: int, most: int) -> Rule:
    def rule(faults: Faults, value: Any, pointer: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            faults.add("must be an integer", pointer)
        elif not least <= value <= most:
            faults.add(f"must be between {least} and {most}", pointer)

    return rule


def one_of(*allowed: str) -> Rule:
    def rule(faults: Faults, value: Any, pointer: str) -> None:
        if value not in allowed:
            faults.add(f"must be a valid enum value: {', '.join(allowed)}", pointer)

    return rule


def items(rule: Rule, least: int, most: int) -> Rule:
    def check(faults: Faults, value: Any, pointer: str) -> None:
        if not isinstance(value, list):
            faults.add("must provide an array", pointer)
            return
        if len(value) > most:
            faults.add(f"no more than {most} items allowed", pointer)
        if len(value) < least:
            faults.add(f"must have at least {least} items", pointer)
        for index, item in enumerate(value):
            rule(faults, item, f"{pointer}/{index}")

    return check


def typed(shapes: Mapping[str, Rule]) -> Rule:
    """An object whose `type` says which of the shapes it has."""

    def rule(faults: Faults, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            faults.add("must provide an object", pointer)
            return
        kind = value.get("type")
        shape = shapes.get(kind) if isinstance(kind, str) else None
        if shape is None:
            faults.add(f"unsupported type: {kind}", f"{pointer}/type")
        else:
            shape(faults, value, pointer)

    return rule


def plain(most: int) -> Rule:
    """A plain_text object."""
    return typed({"plain_text": _text_shape("emoji", most)})


def text(most: int) -> Rule:
    """A plain_text or mrkdwn object."""
    return typed({"plain_text": _text_shape("emoji", most), "mrkdwn": _text_shape("verbatim", most)})


def _text_shape(extra: str, most: int) -> Shape:
    return Shape({"text": string(most), extra: boolean}, ("text",))
