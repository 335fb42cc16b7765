"""The cluster that the bot itself runs in. Its token is renewed by the kubelet, so it is read again each minute."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from integrations._shared.kube.access import Access
from integrations.clusters.cached import Cached, utc_now
from integrations.clusters.credentials import Unusable, address, authority, bracketed, refused, token

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from integrations.clusters.options import InClusterOptions

_EACH = timedelta(seconds=60)
_LIMIT = 1024 * 1024


def build(*, options: InClusterOptions, name: str) -> InCluster:
    """The cluster around us; reads nothing yet."""
    return InCluster(options, name=name)


class InCluster:
    """A `ClusterAccess` by the service account of the pod."""

    def __init__(self, options: InClusterOptions, *, name: str, now: Callable[[], datetime] = utc_now) -> None:
        self.name = name
        self._folder = options.folder
        self._now = now
        self._cached = Cached(self._ask, expires=lambda access: access.expires, now=now)

    async def access(self, *, fresh: bool = False) -> Access:
        """See `ClusterAccess`. Raises `ProviderRejected` where there is no service account."""
        return await self._cached.get(fresh=fresh)

    async def _ask(self) -> Access:
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
        if not host or not port:
            raise refused(
                self.name, "the bot runs in no cluster, for KUBERNETES_SERVICE_HOST is not set; use another type"
            )
        try:
            read, ca = await asyncio.gather(self._content("token"), self._content("ca.crt"))
            return Access(
                server=address(f"https://{bracketed(host)}:{port}"),
                ca=authority(ca),
                token=token(read.decode("utf-8", "replace")),
                expires=self._now() + _EACH,
            )
        except Unusable as error:
            raise refused(self.name, str(error)) from None

    async def _content(self, file: str) -> bytes:
        path = self._folder / file
        try:
            return await asyncio.to_thread(_read, path)
        except OSError as error:
            reason = (error.strerror or "it is refused").lower()
            advice = "see that the pod has a service account and automountServiceAccountToken"
            raise refused(self.name, f"{path} cannot be read: {reason}; {advice}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LIMIT)
