"""Which providers there are, by name. Imports a provider only when it is asked for, and nothing at import.

Built-in providers stand in the tables below. A package adds its own under the entry point group
``deployment_architect.providers``, with names ``target.NAME``, ``images.NAME``, ``metrics.NAME`` and ``cluster.NAME``,
each leading to an `Entry`::

    [project.entry-points."deployment_architect.providers"]
    "target.nomad" = "acme_deploy:TARGET"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import isclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from bot.domain.errors import ConfigurationError
from bot.domain.gate import Door
from bot.domain.strategy.powers import Power

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bot.domain.catalog import ProviderRef
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.ports.gates import Gates
    from bot.ports.images import Images
    from bot.ports.metrics import MetricSource
    from bot.ports.target import Target
    from integrations._shared.kube.access import ClusterAccess
    from integrations._shared.kube.api import Kube

T = TypeVar("T")
V_co = TypeVar("V_co", covariant=True)

GROUP = "deployment_architect.providers"
_DISTRIBUTION = "deployment-architect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a provider lives. Each place is ``module:attribute``."""

    options: str
    """The pydantic model of its options. Must be importable without the vendor's packages."""
    factory: str
    """What builds it, called with ``options=`` and the names of what it is built for."""
    extra: str | None = None
    """The extra of this distribution that brings the vendor's packages."""
    needs: tuple[str, ...] = ()
    """The modules that those packages bring; only looked for, never imported."""
    powers: frozenset[Power] = frozenset()
    """What a target can do beyond the plain replacement of a release."""
    queries: tuple[str, ...] = ()
    """All that a metric source can be asked, where that is a few words; empty: it has a language of its own."""
    uses_cluster: bool = False
    """Whether a target runs on a cluster that its option ``cluster`` names: its factory gets ``kube=`` as well."""
    on_this_machine: bool = False
    """Whether versions of an images type lie where the bot runs, so that no cluster can pull them."""
    uses_gates: bool = False
    """Whether a target's platform asks before it goes on: its factory gets ``gates=`` and ``door=`` as well."""


class Registry(Generic[T]):
    """Providers of one kind, by name; each builds a ``T``."""

    def __init__(self, noun: str, builtin: Mapping[str, Entry], *, group: str = GROUP) -> None:
        self.noun = noun
        self._builtin = builtin
        self._group = group
        self._found: dict[str, list[EntryPoint]] | None = None

    def names(self) -> list[str]:
        """Every name that can be asked for, sorted."""
        return sorted({*self._builtin, *self._plugins()})

    def options(self, name: str) -> type[BaseModel]:
        """The model of a provider's options; raises `ConfigurationError` when there is no such provider."""
        from pydantic import BaseModel

        entry = self._entry(name)
        model = self._load(name, entry, entry.options)
        if not isclass(model) or not issubclass(model, BaseModel):
            raise ConfigurationError(f"The {self.noun} type {name!r} is broken: {entry.options} is no pydantic model.")
        return model

    def models(self) -> Mapping[str, type[BaseModel]]:
        """The models of all providers' options; each is loaded when it is looked up."""
        return _Named(self, self.options)

    def powers(self) -> Mapping[str, frozenset[Power]]:
        """What all providers can do, told without importing a vendor; each is looked up when it is asked for."""
        return _Named(self, self.power_of)

    def power_of(self, name: str) -> frozenset[Power]:
        """What a provider can do; raises `ConfigurationError` when there is no such provider."""
        return frozenset(self._entry(name).powers)

    def queries(self) -> Mapping[str, tuple[str, ...]]:
        """What providers can be asked; nothing for those that have a language of their own."""
        return _Named(self, self.queries_of)

    def queries_of(self, name: str) -> tuple[str, ...]:
        """What a provider can be asked; raises `ConfigurationError` when there is no such provider."""
        return self._entry(name).queries

    def clustered(self) -> Mapping[str, bool]:
        """Which targets run on a cluster; each is looked up when it is asked for."""
        return _Named(self, self.is_clustered)

    def is_clustered(self, name: str) -> bool:
        """Whether a target runs on a cluster; raises `ConfigurationError` when there is no such provider."""
        return self._entry(name).uses_cluster

    def on_this_machine(self) -> Mapping[str, bool]:
        """Which images no cluster can pull; each is looked up when it is asked for."""
        return _Named(self, lambda name: self._entry(name).on_this_machine)

    def is_gated(self, name: str) -> bool:
        """Whether a target's platform asks before it goes on; raises `ConfigurationError` for an unknown one."""
        return self._entry(name).uses_gates

    def check(self, name: str) -> None:
        """Raise `ConfigurationError` when there is no such provider, or when packages that it needs are missing."""
        entry = self._entry(name)
        for module in entry.needs:
            if not _is_there(module):
                raise ConfigurationError(
                    f"The {self.noun} type {name!r} cannot be loaded, because the package {module!r} is not installed; "
                    f"{_fix(entry)}"
                )

    def build(self, reference: ProviderRef, **given: object) -> T:
        """The provider that the catalog means, built with what is ``given``: names, and what it runs on.

        Raises `ConfigurationError` when there is no such provider, when the packages that it needs are not installed,
        or when its options are not right.
        """
        from pydantic import ValidationError

        kind = reference.kind
        entry = self._entry(kind)
        try:
            options = self.options(kind).model_validate(dict(reference.options))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "options"
            raise ConfigurationError(f"The {self.noun} type {kind!r} refuses {where}: {first['msg']}.") from None
        factory = self._load(kind, entry, entry.factory)
        if not callable(factory):
            raise ConfigurationError(f"The {self.noun} type {kind!r} is broken: {entry.factory} cannot be called.")
        return cast("T", factory(options=options, **given))

    def _plugins(self) -> dict[str, list[EntryPoint]]:
        if self._found is None:
            found: dict[str, list[EntryPoint]] = {}
            for point in entry_points(group=self._group):
                noun, _, name = point.name.partition(".")
                if noun == self.noun and name:
                    found.setdefault(name, []).append(point)
            self._found = found
        return self._found

    def _entry(self, name: str) -> Entry:
        points = self._plugins().get(name, [])
        if len(points) + (name in self._builtin) > 1:
            # Whichever is installed last must not decide quietly who deploys.
            sources = ", ".join(sorted(_source(point) for point in points))
            also = f" and {_DISTRIBUTION} itself" if name in self._builtin else ""
            raise ConfigurationError(
                f"The {self.noun} type {name!r} is offered by {sources}{also}; uninstall all of them but one."
            )
        if name in self._builtin:
            return self._builtin[name]
        if not points:
            known = ", ".join(self.names())
            raise ConfigurationError(f"There is no {self.noun} type {name!r}. There are: {known}.")
        [point] = points
        entry = self._import(name, point.value, f"{_source(point)} is broken")
        if not isinstance(entry, Entry):
            raise ConfigurationError(
                f"The {self.noun} type {name!r} cannot be loaded: {point.value} of {_source(point)} is no Entry."
            )
        return entry

    def _load(self, name: str, entry: Entry, place: str) -> object:
        return self._import(name, place, _fix(entry))

    def _import(self, name: str, place: str, fix: str) -> object:
        module, _, attribute = place.partition(":")
        try:
            found: object = import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
            reason = f"the package {missing!r} is not installed" if missing else str(error)
            message = f"The {self.noun} type {name!r} cannot be loaded, because {reason}; {fix}"
            raise ConfigurationError(message) from error
        return found


class _Named(Mapping[str, V_co]):
    """Something about a registry's providers as a mapping that imports no more than what is looked up."""

    def __init__(self, registry: Registry[Any], of: Callable[[str], V_co]) -> None:
        self._registry = registry
        self._of = of

    def __contains__(self, name: object) -> bool:
        return name in self._registry.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.names())

    def __len__(self) -> int:
        return len(self._registry.names())

    def __getitem__(self, name: str) -> V_co:
        if name not in self:
            raise KeyError(name)
        return self._of(name)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in is not there
        return False


def _fix(entry: Entry) -> str:
    return f"install what it needs: pip install '{_DISTRIBUTION}[{entry.extra}]'" if entry.extra else "reinstall it"


def _source(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


TARGETS: Registry[Target] = Registry(
    "target",
    MappingProxyType(
        {
            "local": Entry(
                options="integrations.local:LocalTargetOptions",
                factory="integrations.local:build_target",
                powers=frozenset(Power),
            ),
            "argo_rollouts": Entry(
                options="integrations.argo_rollouts.options:ArgoRolloutsOptions",
                factory="integrations.argo_rollouts.target:build",
                extra="kubernetes",
                needs=("kubernetes",),
                powers=frozenset({Power.TRAFFIC_WEIGHT, Power.PROMOTE, Power.ABORT}),
                uses_cluster=True,
            ),
            "flagger": Entry(
                options="integrations.flagger.options:FlaggerOptions",
                factory="integrations.flagger.target:build",
                extra="kubernetes",
                needs=("kubernetes",),
                powers=frozenset({Power.TRAFFIC_WEIGHT, Power.PROMOTE, Power.ABORT}),
                uses_cluster=True,
                uses_gates=True,
            ),
            "kubernetes": Entry(
                options="integrations.kubernetes.options:KubernetesOptions",
                factory="integrations.kubernetes.target:build",
                extra="kubernetes",
                needs=("kubernetes",),
                uses_cluster=True,
            ),
        }
    ),
)
IMAGES: Registry[Images] = Registry(
    "images",
    MappingProxyType(
        {
            "local": Entry(
                options="integrations.local:LocalImagesOptions",
                factory="integrations.local:build_images",
                on_this_machine=True,
            ),
            "oci": Entry(
                options="integrations.oci.options:OciOptions",
                factory="integrations.oci.images:build",
                extra="oci",
                needs=("httpx",),
            ),
        }
    ),
)
METRICS: Registry[MetricSource] = Registry(
    "metrics",
    MappingProxyType(
        {
            "datadog": Entry(
                options="integrations.datadog.options:DatadogOptions",
                factory="integrations.datadog.source:build",
                extra="datadog",
                needs=("datadog_api_client", "aiosonic"),
            ),
            "http_probe": Entry(
                options="integrations.http_probe.options:HttpProbeOptions",
                factory="integrations.http_probe.source:build",
            ),
            "local": Entry(
                options="integrations.local:LocalMetricsOptions",
                factory="integrations.local:build_metrics",
                queries=("error_share", "latency", "p95", "requests"),
            ),
            "newrelic": Entry(
                options="integrations.newrelic.options:NewRelicOptions",
                factory="integrations.newrelic.source:build",
                extra="newrelic",
                needs=("httpx",),
            ),
            "prometheus": Entry(
                options="integrations.prometheus.options:PrometheusOptions",
                factory="integrations.prometheus.source:build",
                extra="prometheus",
                needs=("httpx",),
            ),
        }
    ),
)
CLUSTERS: Registry[ClusterAccess] = Registry(
    "cluster",
    MappingProxyType(
        {
            "aks": Entry(
                options="integrations.clusters.options:AksOptions",
                factory="integrations.clusters.aks:build",
                extra="azure",
                needs=("azure.identity",),
            ),
            "eks": Entry(
                options="integrations.clusters.options:EksOptions",
                factory="integrations.clusters.eks:build",
                extra="aws",
                needs=("boto3",),
            ),
            "gke": Entry(
                options="integrations.clusters.options:GkeOptions",
                factory="integrations.clusters.gke:build",
                extra="gcp",
                needs=("google.cloud.container_v1", "google.auth"),
            ),
            "in_cluster": Entry(
                options="integrations.clusters.options:InClusterOptions",
                factory="integrations.clusters.in_cluster:build",
            ),
            "kubeconfig": Entry(
                options="integrations.clusters.options:KubeconfigOptions",
                factory="integrations.clusters.kubeconfig:build",
            ),
        }
    ),
)


def build_target(
    reference: ProviderRef,
    *,
    service: ServiceName,
    environment: EnvironmentName,
    kube: Kube | None = None,
    gates: Gates | None = None,
    door: Door | None = None,
) -> Target:
    """The target of a service in an environment; ``kube`` is the cluster that it runs on, for those that run on one.

    ``gates`` and ``door`` are for those whose platform asks the bot. Raises `ConfigurationError`.
    """
    given: dict[str, object] = {} if kube is None else {"kube": kube}
    if TARGETS.is_gated(reference.kind):
        given |= {"gates": gates, "door": door or Door()}
    return TARGETS.build(reference, service=service, environment=environment, **given)


def build_cluster(reference: ProviderRef, *, name: str) -> ClusterAccess:
    """How the cluster that the catalog calls ``name`` is reached; raises `ConfigurationError`."""
    return CLUSTERS.build(reference, name=name)


def build_images(reference: ProviderRef, *, service: ServiceName) -> Images:
    """Where a service's versions come from; raises `ConfigurationError`."""
    return IMAGES.build(reference, service=service)


def build_metrics(reference: ProviderRef) -> MetricSource:
    """Where numbers about running releases come from; raises `ConfigurationError`."""
    return METRICS.build(reference)
