"""What can be deployed, where, and by whom: the content of ``.deploy/config.yaml``, already checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, ConfigurationError, UnknownEnvironment, UnknownService
from bot.domain.ids import LockScope
from bot.domain.policy.freeze import WhileRunning
from bot.domain.strategy.kinds import Rolling
from bot.domain.strategy.powers import check_powers, missing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bot.domain.analysis.check import Check
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.access import Rule
    from bot.domain.policy.approval import ApprovalRule
    from bot.domain.policy.window import Window
    from bot.domain.strategy.kinds import Strategy
    from bot.domain.strategy.powers import Power


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRef:
    """A provider by name with its options, already checked against the provider's own schema."""

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How health is proven before a deployment counts as succeeded."""

    path: str = "/health"
    interval: float = 1.0
    """Seconds between two looks."""
    timeout: float = 2.0
    """Seconds that one look may take."""
    passes: int = 3
    """Looks in a row that must all be healthy."""
    deadline: float = 60.0
    """Seconds within which that must have happened."""


class QueuePolicy(StrEnum):
    """What a newer request of the same service means for those that wait."""

    #: It takes their place.
    NEWEST = "newest"
    #: All are deployed, one after the other.
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where services run."""

    name: EnvironmentName
    description: str = ""
    protected: bool = False
    """Never a default; buttons that change it ask twice."""
    shared_lock: bool = False
    """One deployment at a time in the whole environment, instead of one for each service in it."""
    after: EnvironmentName | None = None
    """Where a release must have succeeded before it may come here."""
    approval: ApprovalRule | None = None
    """What people must say yes first; None: nobody is asked."""
    queue: QueuePolicy = QueuePolicy.ALL
    windows: tuple[Window, ...] = ()
    """When deployments may begin here; none: at any time."""
    strategy: str | None = None
    """By which strategy is deployed here, whatever the service's own is."""
    freeze_running: WhileRunning = WhileRunning.CONTINUE
    """What a freeze means for a deployment that has changed something already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What can be deployed."""

    name: ServiceName
    description: str = ""
    channel: str | None = None
    """Where its deployments are told, if not in the catalog's channel. An id or a #name."""
    targets: Mapping[EnvironmentName, ProviderRef]
    """Where it runs, by environment; an environment that is missing here is not one of this service's."""
    images: ProviderRef
    """Where its versions come from."""
    health: HealthCheck = HealthCheck()
    deadline: float = 600.0
    """Seconds that a rollout may take; for one of several steps, that each may take."""
    strategy: str = "rolling"
    """By which of the catalog's strategies it is deployed where neither the request nor the environment says."""
    checks: tuple[Check, ...] = ()
    """What is watched while it is rolled out and afterwards."""
    bake: float = 0.0
    """Seconds for which the checks are watched after a deployment has succeeded; 0: not at all."""
    countdown: float = 60.0
    """Seconds between a failed bake and the automatic rollback; 0: at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One checked revision of the configuration. Immutable: a reload makes another one."""

    revision: str
    """Digest of the text that it was read from."""
    channel: str
    """Where deployments are told."""
    admin_channel: str | None = None
    """Where the bot tells operators that something needs them."""
    security_channel: str | None = None
    """Where it is told that somebody broke the glass; where there is none, in the admin channel."""
    zone: str = "UTC"
    """The time zone of times that nobody gave one, such as those of windows."""
    services: Mapping[ServiceName, Service]
    environments: Mapping[EnvironmentName, Environment]
    rules: tuple[Rule, ...] = ()
    strategies: Mapping[str, Strategy] = field(default_factory=lambda: {"rolling": Rolling()})
    """By name; ``rolling`` is always there."""
    metrics: Mapping[str, ProviderRef] = field(default_factory=dict)
    """Where numbers come from, by the name that checks use."""
    clusters: Mapping[str, ProviderRef] = field(default_factory=dict)
    """How Kubernetes clusters are reached, by the name that targets use."""
    previews: Mapping[str, ProviderRef] = field(default_factory=dict)
    """Where changes are looked at before they are merged. Their option ``services`` says which have a part in them."""
    powers: Mapping[str, Collection[Power]] | None = field(default=None, compare=False, repr=False)
    """What each kind of target can do; None where nobody has said, and then nothing is refused for it."""

    def strategy(self, name: str, service: ServiceName, environment: EnvironmentName) -> Strategy:
        """The strategy of that name; empty means the environment's or the service's own. Raises `BadCommand`."""
        own = self.environments[environment].strategy or self.services[service].strategy
        found = self.strategies.get(name or own)
        if found is None:
            known = tuple(self.strategies)
            raise BadCommand(
                f"There is no strategy {name!r}.",
                token=name,
                suggestions=known[:3],
                hint=f"There are {', '.join(known)}.",
            )
        return found

    def check_strategy(self, name: str, service: ServiceName, environment: EnvironmentName) -> None:
        """Refuse a strategy that is not there, or that the target of that place cannot do. Raises `BadCommand`."""
        strategy = self.strategy(name, service, environment)
        if self.powers is None or not strategy.needs:
            return
        kind = self.services[service].targets[environment].kind
        try:
            check_powers(strategy, target=kind, targets=self.powers)
        except ConfigurationError as refusal:
            can = [known for known, one in self.strategies.items() if not missing(one, self.powers.get(kind, ()))]
            hint = f"{service} in {environment} can be deployed with {', '.join(f'strategy={one}' for one in can)}."
            raise BadCommand(refusal.message, token=name, suggestions=can[:3], hint=hint) from None

    def service(self, name: str) -> Service:
        """The service of that name; raises `UnknownService`."""
        for service in self.services.values():
            if service.name == name:
                return service
        raise UnknownService(f"There is no service {name!r}.", token=name)

    def environment(self, name: str) -> Environment:
        """The environment of that name; raises `UnknownEnvironment`."""
        for environment in self.environments.values():
            if environment.name == name:
                return environment
        raise UnknownEnvironment(f"There is no environment {name!r}.", token=name)

    def lock_scope(self, service: ServiceName, environment: EnvironmentName) -> LockScope:
        """What a deployment of ``service`` to ``environment`` must have for itself."""
        if self.environments[environment].shared_lock:
            return LockScope(environment)
        return LockScope(f"{service}@{environment}")

    def places(self) -> list[tuple[Service, Environment]]:
        """Every service with every environment that it runs in, in the catalog's order."""
        return [
            (service, environment)
            for service in self.services.values()
            for name, environment in self.environments.items()
            if name in service.targets
        ]
