"""Services as detached processes on this machine, behind a weighted proxy. Imports nothing until it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.ids import EnvironmentName, ServiceName
    from integrations.local.images import LocalImages
    from integrations.local.metrics import LocalMetrics
    from integrations.local.options import LocalImagesOptions, LocalMetricsOptions, LocalTargetOptions
    from integrations.local.platform import LocalPlatform
    from integrations.local.target import LocalTarget

__all__ = [
    "LocalImagesOptions",
    "LocalMetricsOptions",
    "LocalPlatform",
    "LocalTargetOptions",
    "build_images",
    "build_metrics",
    "build_target",
]


def build_target(*, options: LocalTargetOptions, service: ServiceName, environment: EnvironmentName) -> LocalTarget:
    """The target ``service`` in ``environment``. Starts nothing: the agent starts when it is first needed."""
    from integrations.local.target import LocalTarget

    return LocalTarget(options=options, service=service, environment=environment)


def build_images(*, options: LocalImagesOptions, service: ServiceName) -> LocalImages:
    """The versions of ``service`` that lie in a folder."""
    from integrations.local.images import LocalImages

    return LocalImages(folder=options.folder, service=service)


def build_metrics(*, options: LocalMetricsOptions) -> LocalMetrics:
    """What the proxies of a platform count."""
    from integrations.local.metrics import LocalMetrics

    return LocalMetrics(options)


def __getattr__(name: str) -> object:
    # The agent is a part of this package and must start fast: it never needs pydantic.
    if name in ("LocalTargetOptions", "LocalImagesOptions", "LocalMetricsOptions"):
        from integrations.local import options

        return getattr(options, name)
    if name == "LocalPlatform":
        from integrations.local.platform import LocalPlatform

        return LocalPlatform
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
