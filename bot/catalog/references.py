"""What metric sources, checks and strategies are called, and whether those that are named exist. Judges no number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalog.checks import block, named, unknown
from bot.catalog.problems import BadValue, nearest, quoted
from bot.catalog.quantities import length
from bot.catalog.values import VERBS
from bot.domain.errors import ConfigurationError
from bot.domain.grammar.options import EVERYTHING_WORDS, OPTIONS
from bot.domain.grammar.verbs import OTHER_WORDS
from bot.domain.grammar.versions import NEVER_VERSIONS
from bot.domain.strategy.kinds import StrategyKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem

#: They need no entry. A target must be able to do the second.
BUILT_IN = (StrategyKind.ROLLING.value, StrategyKind.RECREATE.value)

#: A strategy may be said alone, so none may be called like any other word of a command.
_WORDS = VERBS | set(OTHER_WORDS) | set(OPTIONS) | EVERYTHING_WORDS | NEVER_VERSIONS


def referenced(
    root: Node, source: Source, queries: Mapping[str, Collection[str]], clustered: Mapping[str, bool]
) -> Iterator[Problem]:
    """The problems of names in a document whose defaults are merged already.

    ``queries`` are the words that types of metric sources know, if words are all that they know; ``clustered`` are the
    types of targets that run on a cluster. Looks only at what has the right shape, like `checks`.
    """
    metrics, checks, strategies = (block(root, key) for key in ("metrics", "checks", "strategies"))
    yield from named(metrics, "metric source", source)
    yield from named(checks, "check", source)
    yield from named(strategies, "strategy", source)
    yield from _like_words(strategies, source)
    for check in checks.values():
        yield from _known(check.get("source"), "metric source", metrics, source)
        yield from _asked(check, metrics, queries, source)
    can_be = {**dict.fromkeys(BUILT_IN), **strategies}
    for place in block(root, "environments").values():
        yield from _known(place.get("strategy"), "strategy", can_be, source)
    services = block(root, "services").values()
    for service in services:
        yield from _known(service.get("strategy"), "strategy", can_be, source)
        yield from _watched(service, checks, source)
    watched = [listed for service in services if (listed := service.get("checks")) and listed.elements()]
    clusters = block(root, "clusters")
    yield from named(clusters, "cluster", source)
    for service in services:
        yield from _placed(service.get("target"), clusters, clustered, source)
    for service in services:
        yield from _baked(service, source, anywhere=bool(watched))


def _like_words(strategies: dict[str, Node], source: Source) -> Iterator[Problem]:
    for name, node in strategies.items():
        if name in BUILT_IN:
            message = f"{name} is built in and needs no entry; call yours something else"
            yield source.problem(node.key_at, node.path, message)
        elif name in _WORDS:
            message = f"{quoted(name)} is a word of the command itself; call the strategy something else"
            yield source.problem(node.key_at, node.path, message)


def _known(node: Node | None, noun: str, names: Mapping[str, object], source: Source) -> Iterator[Problem]:
    if node is not None and isinstance(node.value, str) and node.value not in names:
        yield unknown(node, node.value, noun, tuple(names), source)


def _asked(
    check: Node, metrics: dict[str, Node], queries: Mapping[str, Collection[str]], source: Source
) -> Iterator[Problem]:
    """A query that its source cannot answer, as far as that can be told without asking it."""
    where, query = check.get("source"), check.get("query")
    name = where.value if where is not None and isinstance(where.value, str) else ""
    kind = metrics[name].get("type") if name in metrics else None
    if kind is None or query is None or not isinstance(kind.value, str) or not isinstance(query.value, str):
        return
    try:
        words = tuple(queries.get(kind.value, ()))
    except ConfigurationError:
        return  # such a type is told where it is named
    if words and query.value not in words:
        guess = nearest(query.value, words)
        message = f"{name} cannot answer {quoted(query.value)}"
        yield source.problem(query.at, query.path, message, allowed=words, nearest=guess)


def _placed(
    target: Node | None, clusters: dict[str, Node], clustered: Mapping[str, bool], source: Source
) -> Iterator[Problem]:
    """A target on a cluster that nothing describes."""
    kind = target.get("type") if target is not None else None
    if target is None or kind is None or not isinstance(kind.value, str):
        return
    try:
        if not clustered.get(kind.value, False):
            return
    except ConfigurationError:
        return  # such a type is told where it is named
    special = target.get("environments")
    for options in (target, *(special.items().values() if special else ())):
        node = options.get("cluster")
        if node is None or not isinstance(node.value, str) or node.value in clusters:
            continue
        if clusters:
            yield unknown(node, node.value, "cluster", tuple(clusters), source)
        else:
            message = f"there is no cluster {quoted(node.value)}; say under 'clusters' how it is reached"
            yield source.problem(node.at, node.path, message)


def _watched(service: Node, checks: dict[str, Node], source: Source) -> Iterator[Problem]:
    listed = service.get("checks")
    seen: set[str] = set()
    for node in listed.elements() if listed else []:
        if not isinstance(node.value, str):
            continue
        yield from _known(node, "check", checks, source)
        if node.value in seen:
            yield source.problem(node.at, node.path, f"{quoted(node.value)} is in this list already")
        seen.add(node.value)


def _baked(service: Node, source: Source, *, anywhere: bool) -> Iterator[Problem]:
    """What is to be watched for some time although there is nothing to watch."""
    bake = service.get("bake")
    if bake is None or service.get("checks") is not None or not _lasts(bake.value):
        return  # an empty list of its own says that there is nothing on purpose
    if anywhere and bake.path[:1] == ("defaults",):
        return  # meant for the others
    message = "there is nothing to watch for that long; name checks under 'checks', or leave 'bake' out"
    yield source.problem(bake.at, bake.path, message)


def _lasts(value: object) -> bool:
    try:
        return length(value, least="0", most="24h") > 0
    except BadValue:
        return False  # the schema tells
