"""A cluster of Google Kubernetes Engine: where it is tells the Cluster Manager, the token comes from google-auth.

No gcloud is run. The DNS endpoint shows a certificate of a public authority; the other one only the cluster's own.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from integrations._shared.failures import told
from integrations.clusters.cached import Cached, utc_now
from integrations.clusters.credentials import (
    Endpoint,
    Token,
    Unusable,
    address,
    authority,
    bracketed,
    decoded,
    refused,
    token,
)
from integrations.clusters.managed import DESCRIBED, Managed, away, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from google.auth.credentials import Credentials
    from google.cloud.container_v1 import ClusterManagerAsyncClient
    from google.cloud.container_v1.types import Cluster

    from integrations.clusters.options import GkeOptions

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: For credentials that do not say when they expire.
_SHORT = timedelta(minutes=5)


def build(*, options: GkeOptions, name: str) -> Managed:
    """The cluster in its project; asks nobody yet."""
    return access_to(options, name=name)


def access_to(
    options: GkeOptions,
    *,
    name: str,
    credentials: Callable[[], Credentials] | None = None,
    client: Callable[[Credentials], ClusterManagerAsyncClient] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Managed:
    """Like `build`; ``credentials`` and ``client`` make what is used instead of Google's own defaults."""
    found = _Found(options, name, credentials or _default, client or _client, now)
    return Managed(name, describe=found.describe, mint=found.mint, now=now)


def _default() -> Credentials:
    import google.auth

    credentials, _ = google.auth.default(scopes=_SCOPES)
    return credentials


def _client(credentials: Credentials) -> ClusterManagerAsyncClient:
    from google.cloud.container_v1 import ClusterManagerAsyncClient

    return ClusterManagerAsyncClient(credentials=credentials)


class _Found:
    """One cluster and the credentials for it, which are looked for once."""

    def __init__(
        self,
        options: GkeOptions,
        name: str,
        make: Callable[[], Credentials],
        client: Callable[[Credentials], ClusterManagerAsyncClient],
        now: Callable[[], datetime],
    ) -> None:
        self._options = options
        self._name = name
        self._client = client
        self._now = now
        self._credentials = Cached(lambda: self._look(make), expires=lambda _: None)

    async def describe(self) -> Endpoint:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        options = self._options
        path = f"projects/{options.project}/locations/{options.location}/clusters/{options.cluster}"
        credentials = await self._credentials.get()
        try:
            async with asyncio.timeout(options.timeout), self._client(credentials) as client:
                cluster = await client.get_cluster(name=path, timeout=options.timeout, retry=None)
        except exceptions.NotFound:
            raise refused(self._name, f"Google knows no {path}") from None
        except (exceptions.PermissionDenied, exceptions.Unauthenticated) as error:
            why = f"Google does not let the bot read {path}: {told(error.message)}; grant it container.clusters.get"
            raise refused(self._name, why) from None
        except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
            raise away(self._name, "Google", error) from None
        except GoogleAuthError as error:
            raise self._no_credentials(error) from None
        except TimeoutError:
            raise away(self._name, "Google", TimeoutError(f"no answer within {options.timeout:g} s")) from None
        try:
            server, ca = _place(cluster, options.endpoint)
        except Unusable as error:
            raise refused(self._name, str(error)) from None
        return Endpoint(server=server, ca=ca, until=self._now() + DESCRIBED)

    async def mint(self) -> Token:
        from google.auth.exceptions import GoogleAuthError, TransportError

        credentials = await self._credentials.get()

        def renew() -> tuple[str | None, datetime | None]:
            from google.auth.transport.requests import Request

            send = Request()

            def bounded(*arguments: Any, **named: Any) -> Any:
                return send(*arguments, **{**named, "timeout": self._options.timeout})

            credentials.refresh(bounded)  # type: ignore[no-untyped-call]  # google-auth has no types there
            return credentials.token, credentials.expiry

        try:
            value, expiry = await in_thread(renew, name=self._name, timeout=2 * self._options.timeout)
            bearer = token(value)
        except TransportError as error:
            raise away(self._name, "Google", error) from None
        except GoogleAuthError as error:
            raise self._no_credentials(error) from None
        except Unusable as error:
            raise refused(self._name, str(error)) from None
        if expiry is not None and expiry.tzinfo is None:
            expiry = expiry.replace(tzinfo=UTC)
        return Token(value=bearer, expires=expiry or self._now() + _SHORT)

    async def _look(self, make: Callable[[], Credentials]) -> Credentials:
        from google.auth.exceptions import GoogleAuthError

        try:
            # In a thread: it reads files, and asks the metadata server where it may be one.
            return await in_thread(make, name=self._name, timeout=self._options.timeout)
        except GoogleAuthError as error:
            raise self._no_credentials(error) from None

    def _no_credentials(self, error: Exception) -> Exception:
        if getattr(error, "retryable", False):
            return away(self._name, "Google", error)
        return refused(self._name, f"there are no credentials for Google: {told(str(error))}")


def _place(cluster: Cluster, wanted: str) -> tuple[str, bytes | None]:
    """The address of the API and the authority of its certificate; raises `Unusable`."""
    dns = cluster.control_plane_endpoints_config.dns_endpoint_config
    if wanted == "dns" and not (dns.endpoint and dns.allow_external_traffic):
        raise Unusable(
            "it has no DNS endpoint that lets traffic in from outside; allow it with "
            "`gcloud container clusters update --enable-dns-access`, or write endpoint: ip"
        )
    if wanted != "ip" and dns.endpoint and dns.allow_external_traffic:
        return address(f"https://{dns.endpoint}"), None
    if not cluster.endpoint:
        raise Unusable("it has no address yet; Google is still making it, or its IP endpoint is off")
    ca = authority(decoded(cluster.master_auth.cluster_ca_certificate, "the certificate of its authority"))
    return address(f"https://{bracketed(cluster.endpoint)}"), ca
