"""Whether what environments ask for can be had at all: an order that ends, people who may approve, windows with names.

Rules that nobody could ever satisfy are mistakes, and one learns of them here and not at the first deployment.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bot.catalog.checks import block, matching, unknown
from bot.catalog.problems import nearest, quoted
from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.ids import EnvironmentName
from bot.domain.policy.access import Action
from bot.domain.policy.order import path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem

_NAMED = 3  # services that one message names


def possible(root: Node, source: Source) -> Iterator[Problem]:
    """The problems of what environments ask for, in a document whose defaults are merged already.

    Looks only at what has the right shape, like `checks`.
    """
    environments = block(root, "environments")
    services = block(root, "services")
    yield from _order(environments, services, source)
    for name, environment in environments.items():
        yield from _windows(environment, tuple(services), source)
        yield from _approvers(name, environment, root, source)


def _order(environments: dict[str, Node], services: dict[str, Node], source: Source) -> Iterator[Problem]:
    after = {name: node for name, place in environments.items() if (node := _text(place.get("after")))}
    before: dict[EnvironmentName, EnvironmentName] = {}
    for name, node in after.items():
        if node.value == name:
            message = f"{name} cannot come after itself; name the environment before it, or leave 'after' out"
            yield source.problem(node.at, node.path, message)
        elif node.value not in environments:
            others = tuple(other for other in environments if other != name)
            yield unknown(node, str(node.value), "environment", others, source)
        else:
            before[EnvironmentName(name)] = EnvironmentName(str(node.value))
    told: set[str] = set()
    for name in before:
        circle = _circle(name, before)
        if circle and not told & circle:
            told |= circle
            node = after[name]
            yield source.problem(node.at, node.path, f"{_sentence(name, before)}; nothing could ever come through it")
    for service in services.values():
        listed = service.get("environments")
        elements = {node.value: node for node in listed.elements() if isinstance(node.value, str)} if listed else {}
        for name, earlier in before.items():
            if name in elements and earlier not in elements:
                message = f"{name} comes after {earlier}, which is not in this list: nothing could ever come to {name}"
                node = elements[name]
                yield source.problem(node.at, node.path, f"{message}; add {earlier}")


def _circle(name: str, before: dict[EnvironmentName, EnvironmentName]) -> set[str]:
    """The environments of the circle that ``name`` is part of; empty when it is part of none."""
    way = [EnvironmentName(name)]
    while (earlier := before.get(way[-1])) is not None and earlier not in way:
        way.append(earlier)
    return set(way) if earlier == name else set()


def _sentence(name: str, before: dict[EnvironmentName, EnvironmentName]) -> str:
    try:
        path(EnvironmentName(name), before)
    except ValueError as error:
        message = str(error).rstrip(".")
        return message[:1].lower() + message[1:]
    return "the order goes in a circle"


def _windows(environment: Node, services: tuple[str, ...], source: Source) -> Iterator[Problem]:
    windows = environment.get("windows")
    lines: dict[str, int] = {}
    for window in windows.elements() if windows else []:
        if name := _text(window.get("name")):
            called = str(name.value)
            if called in lines:
                message = f"a window of line {lines[called]} is called {quoted(called)} too"
                yield source.problem(name.at, name.path, f"{message}; people must know which one is meant")
            else:
                lines[called], _ = source.place(name.at)
        yield from matching(window.get("services"), "service", services, source)


def _approvers(name: str, environment: Node, root: Node, source: Source) -> Iterator[Problem]:
    approval = environment.get("approval")
    roles = block(root, "roles")
    if approval is None or not isinstance(approval.value, dict) or not roles:
        return  # without roles nobody may do anything, approvals included
    rows = [row for role in roles.values() for row in _approving(role, name)]
    here = [key for key, service in block(root, "services").items() if name in _environments(service, root)]
    alone = [key for key in here if not any(fnmatchcase(key, glob) for _, globs in rows for glob in globs)]
    if alone:
        some = f" {', '.join(alone[:_NAMED])}{f' and {len(alone) - _NAMED} more' if len(alone) > _NAMED else ''}"
        what = "anything" if len(alone) == len(here) else some.strip()
        message = f"nobody could approve {what} in {name}; give a role the action 'approve' there"
        yield source.problem(approval.key_at, approval.path, message)
        return
    members = list(dict.fromkeys(member for those, _ in rows for member in those))
    for key in ("group", "fallback"):
        group = _text(approval.get(key))
        # A handle and an id may be one group, and a person may be in any: only handles can be told apart, or only ids.
        if group is None or any(member[:1] != str(group.value)[:1] for member in members) or group.value in members:
            continue
        message = f"no role that may approve in {name} has {quoted(str(group.value))} among its members"
        guess = nearest(str(group.value), members)
        yield source.problem(group.at, group.path, f"{message}; add the group to one", nearest=guess)


def _approving(role: Node, environment: str) -> Iterator[tuple[list[str], list[str]]]:
    """Members and globs of services of each row that lets them approve in an environment."""
    rules = role.get("allow")
    # A service account approves nothing.
    members = [member for member in _texts(role.get("members")) if not member.startswith(ACCOUNT_PREFIX)]
    for rule in rules.elements() if rules and members else []:
        granted = set(_texts(rule.get("actions")))
        places = _texts(rule.get("environments"), "*")
        if granted & {"*", str(Action.APPROVE)} and any(fnmatchcase(environment, glob) for glob in places):
            yield members, _texts(rule.get("services"), "*")


def _environments(service: Node, root: Node) -> list[str]:
    listed = service.get("environments")
    return _texts(listed) if listed else list(block(root, "environments"))


def _texts(node: Node | None, *default: str) -> list[str]:
    if node is None:
        return list(default)
    return [element.value for element in node.elements() if isinstance(element.value, str)]


def _text(node: Node | None) -> Node | None:
    return node if node is not None and isinstance(node.value, str) else None
