"""From the text of ``.deploy/config.yaml`` to the domain's catalog, or to every problem that the text has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bot.catalog.capable import Capable
from bot.catalog.checks import crosschecked
from bot.catalog.document import MAX_BYTES, Node, compose, decoded, merged
from bot.catalog.explain import explained
from bot.catalog.options import OptionsChecker, Providers
from bot.catalog.places import Places
from bot.catalog.policies import possible
from bot.catalog.previews import previewed
from bot.catalog.problems import CatalogError, Problem
from bot.catalog.pulling import deployed_images
from bot.catalog.references import referenced
from bot.catalog.rollouts import Rollouts
from bot.catalog.schema import CatalogFile, DefaultsBlock
from bot.domain.actor import ACCOUNT_PREFIX
from bot.domain.catalog import Catalog, HealthCheck, Service
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import Action, Effect, Rule

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.catalog.schema import AllowBlock, DenyBlock, HealthBlock
    from bot.domain.analysis.check import Check
    from bot.domain.catalog import Environment, ProviderRef
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.powers import Power

__all__ = ["Providers", "base_folder", "load", "parse", "read", "read_bytes", "revision_of"]


@dataclass(slots=True)
class _Parts:
    """What was made of a document so far."""

    environments: dict[EnvironmentName, Environment] = field(default_factory=dict)
    targets: dict[str, dict[str, ProviderRef]] = field(default_factory=dict)
    images: dict[str, ProviderRef] = field(default_factory=dict)
    metrics: dict[str, ProviderRef] = field(default_factory=dict)
    clusters: dict[str, ProviderRef] = field(default_factory=dict)
    previews: dict[str, ProviderRef] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    powers: dict[str, Collection[Power]] = field(default_factory=dict)


def load(path: Path, *, providers: Providers) -> Catalog:
    """The catalog in the file; raises `CatalogError` with everything that is wrong with it."""
    return parse(read(path), str(path), providers)


def read(path: Path) -> str:
    """The text of the file; raises `CatalogError` when there is none or it is not text."""
    return decoded(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """What the file holds, at most one byte more than may be; raises `CatalogError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = "there is no such file; create it, or say where it is with --config"
        raise CatalogError([Problem(file=str(path), message=message)]) from None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or type(error).__name__}"
        raise CatalogError([Problem(file=str(path), message=message)]) from None


def revision_of(text: str) -> str:
    """The revision that a text makes."""
    return sha256(text.encode()).hexdigest()


def base_folder(name: str) -> Path:
    """What relative paths in the file ``name`` are relative to: the folder that holds ``.deploy``, or the file."""
    folder = Path(name).absolute().parent
    return Path(normpath(folder.parent if folder.name == ".deploy" else folder))


def parse(text: str, name: str, providers: Providers) -> Catalog:
    """The catalog in ``text``, which came from the file ``name``; raises `CatalogError`.

    The same text, name and providers always make an equal catalog, so a revision can be kept as its text.
    """
    document = compose(text, name)
    source = document.source
    root = _with_defaults(document.root)
    problems = list(document.problems)
    file: CatalogFile | None = None
    try:
        file = CatalogFile.model_validate(root.plain())
    except ValidationError as error:
        problems += explained(error, CatalogFile, root, source)
    problems += crosschecked(root, source)
    problems += possible(root, source)
    problems += referenced(root, source, providers.queries, providers.clustered)
    problems += deployed_images(root, source, providers.clustered, providers.unpullable)
    problems += previewed(root, source, providers.unpullable)
    parts = _Parts()
    if file is not None:
        places = Places(file, root, source)
        parts.environments = places.environments()
        problems += places.problems
        rollouts = Rollouts(file, root, source)
        parts.checks = rollouts.checks()
        own = rollouts.strategies()
        problems += rollouts.problems
        homes = {service: _environments(block, root) for service, block in _entries(root, "services").items()}
        capable = Capable(root, source, providers.powers)
        parts.strategies = capable.strategies(own)
        parts.powers = capable.powers(own)
        problems += capable.problems(own, homes)

    checker = OptionsChecker(providers, source, base_folder(name))
    for service, block in _entries(root, "services").items():
        if target := block.get("target"):
            parts.targets[service] = checker.targets(target, _environments(block, root))
        if (where := block.get("images")) and (reference := checker.images(where)):
            parts.images[service] = reference
    for key, block in _entries(root, "metrics").items():
        if reference := checker.metrics(block):
            parts.metrics[key] = reference
    for key, block in _entries(root, "clusters").items():
        if reference := checker.cluster(block):
            parts.clusters[key] = reference
    for key, block in _entries(root, "previews").items():
        if reference := checker.previews(block):
            parts.previews[key] = reference
    problems += checker.problems
    if problems or file is None:
        raise CatalogError(_distinct(problems))
    return _catalog(file, revision_of(text), parts)


def _entries(root: Node, key: str) -> dict[str, Node]:
    node = root.get(key)
    return node.items() if node else {}


def _environments(service: Node, root: Node) -> list[str]:
    """The environments of a service in the catalog's order; those that do not exist are told elsewhere."""
    listed = service.get("environments")
    names = [node.value for node in listed.elements()] if listed else []
    return [name for name in _entries(root, "environments") if not names or name in names]


def _with_defaults(root: Node) -> Node:
    """The document with its defaults laid under every service. Each value keeps the place where it was written."""
    defaults = {key: node for key, node in _entries(root, "defaults").items() if key in DefaultsBlock.model_fields}
    services = root.get("services")
    if not defaults or services is None or not isinstance(services.value, dict):
        return root
    filled: dict[str, Node] = {}
    for name, service in services.value.items():
        if not isinstance(service.value, dict):
            filled[name] = service
            continue
        entries = dict(service.value)
        for key, shared in defaults.items():
            own = entries.get(key)
            if own is None:
                entries[key] = shared
            elif not _other_type(shared, own):
                entries[key] = merged(shared, own) or own
        filled[name] = Node(entries, service.at, service.key_at, service.path)
    everything = {**root.items(), "services": Node(filled, services.at, services.key_at, services.path)}
    return Node(everything, root.at, root.key_at, root.path)


def _other_type(shared: Node, own: Node) -> bool:
    """Whether two provider blocks are of different types, so that the options of one mean nothing to the other."""
    types = [node.value for block in (shared, own) if (node := block.get("type"))]
    return len(types) == 2 and types[0] != types[1]


def _distinct(problems: list[Problem]) -> list[Problem]:
    """Each problem once: one in the defaults is met again in every service."""
    seen: dict[tuple[int | None, int | None, str, str], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.line, problem.column, problem.path, problem.message), problem)
    return list(seen.values())


def _catalog(file: CatalogFile, revision: str, parts: _Parts) -> Catalog:
    services: dict[ServiceName, Service] = {}
    for key, block in file.services.items():
        service = ServiceName(key)
        services[service] = Service(
            name=service,
            description=block.description,
            channel=block.channel,
            targets={EnvironmentName(name): reference for name, reference in parts.targets[key].items()},
            images=parts.images[key],
            health=_health(block.health),
            deadline=block.deadline,
            strategy=block.strategy,
            checks=tuple(parts.checks[check] for check in block.checks),
            bake=block.bake,
            countdown=block.countdown,
        )
    return Catalog(
        revision=revision,
        channel=file.channel,
        admin_channel=file.admin_channel,
        security_channel=file.security_channel,
        zone=file.zone,
        services=services,
        environments=parts.environments,
        rules=tuple(_rules(file)),
        strategies=parts.strategies,
        metrics=parts.metrics,
        clusters=parts.clusters,
        previews=parts.previews,
        powers=parts.powers,
    )


def _health(block: HealthBlock) -> HealthCheck:
    return HealthCheck(
        path=block.path,
        interval=block.interval,
        timeout=block.timeout,
        passes=block.passes,
        deadline=block.deadline,
    )


def _rules(file: CatalogFile) -> list[Rule]:
    rules: list[Rule] = []
    for role, block in file.roles.items():
        groups = frozenset(m.removeprefix("@") for m in block.members if m[0] in "@S")
        users = frozenset(m for m in block.members if m[0] in "UW")
        accounts = frozenset(m.removeprefix(ACCOUNT_PREFIX) for m in block.members if m.startswith(ACCOUNT_PREFIX))
        for effect, rows in ((Effect.ALLOW, block.allow), (Effect.DENY, block.deny)):
            rules += [replace(_rule(role, effect, users, groups, row), accounts=accounts) for row in rows]
    return rules


def _rule(
    role: str, effect: Effect, users: frozenset[str], groups: frozenset[str], row: AllowBlock | DenyBlock
) -> Rule:
    return Rule(
        role=role,
        effect=effect,
        users=users,
        groups=groups,
        services=tuple(row.services),
        environments=tuple(row.environments),
        actions=frozenset(Action(action) for action in row.actions),
    )
