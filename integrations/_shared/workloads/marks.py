"""What we write on a Deployment beside the image, and what its owners write there for us.

All of it is read from a cluster, so anybody who may change the object may have written it: nothing is believed that
has not the right shape, and nothing unknown is guessed at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.names import is_http_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations._shared.kube.raw import Object

PREFIX = "deployment-architect.io/"
CHANGE_CAUSE = "kubernetes.io/change-cause"
OPERATION = PREFIX + "operation-id"
VERSION = PREFIX + "version"
DIGEST = PREFIX + "digest"
PREVIOUS = PREFIX + "previous"
IMAGES = PREFIX + "images"
HISTORY = PREFIX + "history"
STRATEGY = PREFIX + "strategy"
HEALTH_CHECK = PREFIX + "health-check"

_OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,127}")
_REMEMBERED = 20
_ELSEWHERE = {"canary": "flagger or argo_rollouts", "blue-green": "flagger or argo_rollouts"}
_TYPES = {"rolling": "RollingUpdate", "recreate": "Recreate"}


@dataclass(frozen=True, slots=True)
class Probe:
    """Where health is asked for at a pod."""

    path: str
    port: int | None


def of(one: Object) -> dict[str, str]:
    """Those of the object itself."""
    return raw.texts(one, "metadata", "annotations")


def operation(one: Object) -> OperationId | None:
    """The operation that was written last."""
    found = of(one).get(OPERATION, "")
    return OperationId(found) if _OPERATION.fullmatch(found) else None


def version(one: Object) -> str | None:
    """The version that was written last."""
    found = of(one).get(VERSION, "")
    return found if _VERSION.fullmatch(found) else None


def history(one: Object) -> dict[OperationId, int]:
    """The operations that changed it, oldest first, with the generation that each made."""
    found: dict[OperationId, int] = {}
    for entry in of(one).get(HISTORY, "")[:8192].split():
        name, _, made = entry.partition("@")
        if _OPERATION.fullmatch(name) and made.isascii() and made.isdecimal() and len(made) < 19:
            found[OperationId(name)] = int(made)
    return found


def images(one: Object) -> dict[str, str]:
    """The image of each container, as we left it."""
    return _images(of(one).get(IMAGES, ""))


def previous(one: Object) -> dict[str, str]:
    """The image of each container before that."""
    return _images(of(one).get(PREVIOUS, ""))


def written(
    one: Object,
    *,
    operation: OperationId,
    cause: str,
    version: str,
    digest: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> dict[str, str]:
    """What goes into the same patch as the change itself."""
    if not _OPERATION.fullmatch(operation):
        raise ProviderRejected(f"{operation[:80]!r} cannot be written on a Deployment.", provider=PROVIDER)
    done = [f"{name}@{made}" for name, made in history(one).items() if name != operation]
    done.append(f"{operation}@{raw.count(one, 'metadata', 'generation') + 1}")
    return {
        CHANGE_CAUSE: cause,
        OPERATION: operation,
        VERSION: version,
        DIGEST: digest,
        PREVIOUS: json.dumps(dict(before), separators=(",", ":"), sort_keys=True),
        IMAGES: json.dumps(dict(after), separators=(",", ":"), sort_keys=True),
        HISTORY: " ".join(done[-_REMEMBERED:]),
    }


def check_strategy(one: Object) -> None:
    """Raise `ProviderRejected` when its owners want it changed in a way that it is not changed in here."""
    wanted = _asked(one, STRATEGY)
    if wanted is None:
        return
    name = raw.called(one)
    if wanted in _ELSEWHERE:
        raise ProviderRejected(
            f"{name} asks for the strategy {wanted} ({STRATEGY}), which a plain Deployment cannot do; "
            f"use a target of type {_ELSEWHERE[wanted]}.",
            provider=PROVIDER,
        )
    if wanted not in _TYPES:
        raise ProviderRejected(
            f"{name} asks for the strategy {told(wanted)[:60]!r} ({STRATEGY}), which nobody knows; "
            "it can be rolling or recreate.",
            provider=PROVIDER,
        )
    kind = raw.text(one, "spec", "strategy", "type") or "RollingUpdate"
    if kind != _TYPES[wanted]:
        raise ProviderRejected(
            f"{name} asks for the strategy {wanted} ({STRATEGY}), but its spec.strategy.type is {told(kind)[:60]}.",
            provider=PROVIDER,
        )


def probe(one: Object) -> Probe | None:
    """Where its owners want health asked for; None when they do not say.

    A path and perhaps a port before it, as ``:8080/health``: never a host. Raises `ProviderRejected` for anything else.
    """
    wanted = _asked(one, HEALTH_CHECK)
    if wanted is None:
        return None
    port, slash, path = wanted.partition("/")
    number = int(port[1:]) if re.fullmatch(r":[0-9]{1,5}", port) else None
    good = (not port or (number is not None and 0 < number < 65536)) and slash and is_http_path("/" + path)
    if not good:
        raise ProviderRejected(
            f"{raw.called(one)} asks for health at {told(wanted)[:80]!r} ({HEALTH_CHECK}); "
            "it can be a path such as /health, or :8080/health with a port.",
            provider=PROVIDER,
        )
    return Probe("/" + path, number)


def _asked(one: Object, key: str) -> str | None:
    """What its owners wrote there; what is no text is still something that they want, and is not passed over."""
    found = raw.at(one, "metadata", "annotations", key)
    return None if found is None else str(found)


def _images(text: str) -> dict[str, str]:
    try:
        found = json.loads(text[:65536]) if text else {}
    except (ValueError, RecursionError):
        return {}
    return raw.texts({"images": found}, "images")
