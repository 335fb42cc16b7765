"""What an operator writes into a Canary. Asks nobody: neither the cluster nor the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import ConfigurationError
from bot.domain.gate import place
from integrations.flagger import hooks
from integrations.flagger.options import FlaggerOptions

if TYPE_CHECKING:
    from bot.domain.catalog import ProviderRef
    from bot.domain.gate import Door


def webhooks_of(reference: ProviderRef | None, *, where: str, door: Door) -> str:
    """The webhooks of the Canary that a target names, as YAML. Raises `ConfigurationError`."""
    if reference is None or reference.kind != "flagger":
        kind = f"is of type {reference.kind}" if reference is not None else "is not in the catalog"
        raise ConfigurationError(f"{where} {kind}, so there is no Canary of it; a target of type flagger has one.")
    if not door.there:
        raise ConfigurationError("FLAGGER_SECRET is not set; the addresses are made of it.")
    options = FlaggerOptions.model_validate(dict(reference.options))
    key = place(namespace=options.namespace, canary=options.canary, cluster=options.cluster)
    about = f"# Under spec.analysis of the Canary {options.canary} in the namespace {options.namespace}."
    return f"{about}\n{hooks.as_yaml(door, key)}"
