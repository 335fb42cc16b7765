"""What we may do in a cluster, asked of the cluster itself: it answers anybody about their own rights."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from bot.domain.errors import ProviderRejected
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integrations._shared.kube.api import Kube

_REMEMBERED = 600.0
_HAD: WeakKeyDictionary[Kube, dict[Permission, float]] = WeakKeyDictionary()
"""What we were allowed, and when that was."""

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Permission(NamedTuple):
    """One thing that one may be allowed to do."""

    verb: str
    group: str
    """Empty for the core group."""
    resource: str
    namespace: str = ""
    """Empty: in all of them, or of what is in none."""
    name: str = ""
    """Empty: all of that name."""
    subresource: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        group = f" ({self.group})" if self.group else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {resource}{group}{f' {self.name}' if self.name else ''}{where}"


async def missing(kube: Kube, wanted: Iterable[Permission], *, remembered: bool = False) -> list[Permission]:
    """Those of ``wanted`` that we do not have, in their order. Raises `ProviderError` when it cannot be told.

    ``remembered``: what we had within the last ten minutes is not asked for again.
    """
    now = time.monotonic()
    had = _HAD.setdefault(kube, {})
    asked = [
        permission
        for permission in dict.fromkeys(wanted)
        if not remembered or now - had.get(permission, now - _REMEMBERED) >= _REMEMBERED
    ]
    allowed = await asyncio.gather(*(_allowed(kube, permission) for permission in asked))
    had.update((permission, now) for permission, has in zip(asked, allowed, strict=True) if has)
    return [permission for permission, has in zip(asked, allowed, strict=True) if not has]


async def _allowed(kube: Kube, permission: Permission) -> bool:
    attributes = {
        key: value
        for key, value in permission._asdict().items()
        if value or key == "group"  # an empty group is the core one, and leaving it out means the same
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await kube.create(_PATH, review)
    allowed = raw.at(answer, "status", "allowed")
    if not isinstance(allowed, bool):
        raise ProviderRejected(f"The cluster {kube.cluster} does not say what we may do.", provider=PROVIDER)
    return allowed
