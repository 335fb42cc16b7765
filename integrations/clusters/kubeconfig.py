"""A cluster by a kubeconfig file. Read anew when the file's credentials expire or are refused, not at every request."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING

from integrations._shared.kube.access import Access
from integrations.clusters.cached import Cached, utc_now
from integrations.clusters.credentials import Unusable, authority, decoded, refused, token, unavailable
from integrations.clusters.exec_plugin import Slow, allowed, environment, run
from integrations.clusters.kubeconfig_file import described
from integrations.clusters.plain_yaml import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from integrations.clusters.exec_plugin import Credential
    from integrations.clusters.kubeconfig_file import Described, Source
    from integrations.clusters.options import KubeconfigOptions

_EACH = timedelta(seconds=60)


def build(*, options: KubeconfigOptions, name: str) -> Kubeconfig:
    """The cluster that the file describes; reads nothing yet."""
    return Kubeconfig(options, name=name)


class Kubeconfig:
    """A `ClusterAccess` by a context of a kubeconfig file."""

    def __init__(self, options: KubeconfigOptions, *, name: str, now: Callable[[], datetime] = utc_now) -> None:
        self.name = name
        self._options = options
        self._folder = options.path.parent
        self._now = now
        self._cached = Cached(self._ask, expires=lambda access: access.expires, now=now)

    async def access(self, *, fresh: bool = False) -> Access:
        """See `ClusterAccess`. Raises `ProviderRejected` when the file cannot be used."""
        return await self._cached.get(fresh=fresh)

    async def _ask(self) -> Access:
        try:
            found = described(await self._content(self._options.path, "the kubeconfig"), self._options.context)
        except Unusable as error:
            raise refused(self.name, f"{self._options.path}: {error}") from None
        try:
            return await self._joined(found)
        except Unusable as error:
            raise refused(self.name, f"{self._options.path}: {error}") from None
        except Slow as error:
            raise unavailable(self.name, str(error)) from None

    async def _joined(self, found: Described) -> Access:
        ca = await self._pem(found.ca, "certificate-authority")
        bearer, expires = found.token, None
        if found.token_file is not None:
            # Whoever writes it writes it again before it expires.
            content = await self._content(self._folder / found.token_file, "tokenFile")
            bearer, expires = content.decode("utf-8", "replace"), self._now() + _EACH
        cert = await self._pem(found.client_cert, "client-certificate")
        key = await self._pem(found.client_key, "client-key")
        if found.plugin is not None and bearer is None and cert is None:
            given = await self._run(found, ca)
            bearer, cert, key, expires = given.token, given.cert, given.key, given.expires
        if bearer is None and cert is None:
            raise Unusable("its user has neither a token nor a certificate")
        return Access(
            server=found.server,
            ca=None if ca is None else authority(ca),
            token=None if bearer is None else token(bearer),
            expires=expires,
            client_cert=cert,
            client_key=key,
            verify_name=found.verify_name,
        )

    async def _run(self, found: Described, ca: bytes | None) -> Credential:
        assert found.plugin is not None
        options = self._options
        file = allowed(found.plugin, options.exec)
        cluster: dict[str, object] = {"server": found.server}
        if ca is not None:
            cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
        variables = environment(found.plugin, options.variables, cluster)
        return await run(found.plugin, file=file, variables=variables, timeout=options.exec_timeout)

    async def _pem(self, source: Source | None, what: str) -> bytes | None:
        if source is None:
            return None
        if source.data is not None:
            return decoded(source.data, f"{what}-data")
        return await self._content(self._folder / (source.file or ""), what)

    async def _content(self, path: Path, what: str) -> bytes:
        try:
            return await asyncio.to_thread(_read, path)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "it is no file"
            raise Unusable(f"{what} cannot be read: {reason.lower()}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
