"""What one name in the file means to another: names that exist, are unique, and can be told apart in a command."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bot.catalog.problems import nearest, quoted
from bot.catalog.values import VERBS, as_name, is_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem

_GLOB = frozenset("*?[")
_SAID = frozenset({"service", "environment"})  # by a word alone


def crosschecked(root: Node, source: Source) -> Iterator[Problem]:
    """The problems between the parts of a document whose defaults are merged already.

    Looks only at what has the right shape: the wrong shapes are `schema`'s to report, and all are told together.
    """
    services = block(root, "services")
    environments = block(root, "environments")
    yield from named(services, "service", source)
    yield from named(environments, "environment", source)
    yield from named(block(root, "roles"), "role", source)
    yield from _told_apart(services, environments, source)
    for name, service in services.items():
        yield from _places(name, service, tuple(environments), source)
    for role in block(root, "roles").values():
        for effect in ("allow", "deny"):
            rules = role.get(effect)
            for rule in rules.elements() if rules else []:
                yield from matching(rule.get("services"), "service", tuple(services), source)
                yield from matching(rule.get("environments"), "environment", tuple(environments), source)


def block(root: Node, key: str) -> dict[str, Node]:
    """The entries under ``key``; none where it has another shape."""
    node = root.get(key)
    return node.items() if node else {}


def named(nodes: dict[str, Node], noun: str, source: Source) -> Iterator[Problem]:
    """The entries that cannot be called what they are called."""
    for name, node in nodes.items():
        if not is_name(name):
            article = "an" if noun[0] in "aeiou" else "a"
            message = (
                f"{quoted(name)} cannot be the name of {article} {noun}: it takes a lower-case letter, then at most 62 "
                "lower-case letters, digits and hyphens"
            )
            guess = as_name(name)
            yield source.problem(node.key_at, node.path, message, nearest=None if guess in nodes else guess)
        elif noun in _SAID and name in VERBS:
            message = f"{quoted(name)} is a word of the command itself; call the {noun} something else"
            yield source.problem(node.key_at, node.path, message)


def _told_apart(services: dict[str, Node], environments: dict[str, Node], source: Source) -> Iterator[Problem]:
    for name in services.keys() & environments.keys():
        both = {"service": services[name], "environment": environments[name]}
        (first_noun, first), (noun, second) = sorted(both.items(), key=lambda item: item[1].key_at)
        lines = source.place(first.key_at)[0], source.place(second.key_at)[0]
        message = (
            f"{quoted(name)} is the {first_noun} of line {lines[0]} and the {noun} of line {lines[1]}; the words of a "
            "command come in any order, so a name can be only one of them"
        )
        yield source.problem(second.key_at, second.path, message)


def _places(name: str, service: Node, environments: tuple[str, ...], source: Source) -> Iterator[Problem]:
    listed = service.get("environments")
    chosen: list[str] = []
    for node in listed.elements() if listed else []:
        if not isinstance(node.value, str):
            continue
        if node.value not in environments:
            yield unknown(node, node.value, "environment", environments, source)
        elif node.value in chosen:
            yield source.problem(node.at, node.path, f"{quoted(node.value)} is in this list already")
        chosen.append(node.value)
    known = all(place in environments for place in chosen)  # else the list is what is wrong
    special = service.get("target", "environments")
    for key, node in special.items().items() if special else ():
        if key not in environments:
            guess = nearest(key, environments)
            message = f"there is no environment {quoted(key)}"
            yield source.problem(node.key_at, node.path, message, allowed=environments, nearest=guess)
        elif chosen and known and key not in chosen and node.path[:1] == ("services",):
            message = f"{name} is not deployed to {key}: its 'environments' do not name it"
            yield source.problem(node.key_at, node.path, message, allowed=tuple(dict.fromkeys(chosen)))


def matching(globs: Node | None, noun: str, names: tuple[str, ...], source: Source) -> Iterator[Problem]:
    """The names and globs in ``globs`` that match nothing."""
    for node in globs.elements() if globs else []:
        glob = node.value
        if not isinstance(glob, str) or any(fnmatchcase(name, glob) for name in names):
            continue
        if _GLOB & set(glob):
            guess = nearest(glob.strip("*?"), names)
            message = f"{quoted(glob)} matches no {noun}"
            yield source.problem(node.at, node.path, message, allowed=names, nearest=guess)
        else:
            yield unknown(node, glob, noun, names, source)


def unknown(node: Node, word: str, noun: str, names: tuple[str, ...], source: Source) -> Problem:
    """That there is no ``noun`` of that name."""
    message = f"there is no {noun} {quoted(word)}"
    return source.problem(node.at, node.path, message, allowed=names, nearest=nearest(word, names))
