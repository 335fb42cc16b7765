"""The official client's HTTP part, set up for one server: what it trusts, and what it must not do by itself.

Left to itself it follows redirects, keeps cookies that a pod behind the server's proxy sets, and takes passwords from
the .netrc of whoever runs the bot.
"""

from __future__ import annotations

import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.domain.errors import ProviderRejected
from integrations._shared.kube.errors import PROVIDER

if TYPE_CHECKING:
    import asyncio

    from integrations._shared.kube.access import Access


class Elsewhere(ProviderRejected):
    """The answer was a redirect, which nobody follows."""


def configured(access: Access, name: str, *, at_once: int, loop: asyncio.AbstractEventLoop) -> Any:
    """The client for a server, used in ``loop``. Importing it takes a second, so it is done where nobody waits.

    Raises `ProviderRejected`.
    """
    parts = urlsplit(access.server)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise ProviderRejected(f"The address of the cluster {name} is none.", provider=PROVIDER)
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ProviderRejected(f"The cluster {name} is not reached over https.", provider=PROVIDER)
    from aiohttp import DummyCookieJar
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject

    async def straight(request: Any, handler: Any) -> Any:
        response = await handler(request)
        if response.status in (301, 302, 303, 307, 308):
            response.close()
            raise Elsewhere(f"The cluster {name} sends us elsewhere ({response.status}).", provider=PROVIDER)
        return response

    configuration = Configuration(
        host=access.server,
        ca_cert_data=access.ca.decode("ascii", "replace") if access.ca is not None else None,
        tls_server_name=access.verify_name,
        client_session_kwargs={
            "middlewares": (straight,),
            "cookie_jar": DummyCookieJar(loop=loop),
            # A .netrc would send its password instead of our token, and is read at every request. Of what this
            # stands for only the proxy is meant.
            "trust_env": False,
        },
    )
    configuration.proxy = _proxy(parts.hostname) if parts.scheme == "https" else None
    configuration.connection_pool_maxsize = at_once
    # None at all (False would mean three): who repeats a change must first look whether it was made.
    configuration.retries = None
    with tempfile.TemporaryDirectory() as folder:
        if access.client_cert is not None and access.client_key is not None:
            # The client reads these from files only; the folder is ours alone, and gone at once.
            pair = Path(folder) / "cert", Path(folder) / "key"
            for path, content in zip(pair, (access.client_cert, access.client_key), strict=True):
                path.write_bytes(content)
            configuration.cert_file, configuration.key_file = map(str, pair)
        try:
            return RESTClientObject(configuration)
        except (OSError, ValueError):
            raise ProviderRejected(
                f"The certificates for the cluster {name} cannot be used.", provider=PROVIDER
            ) from None


def _proxy(host: str) -> str | None:
    """The proxy that the environment names for https (HTTPS_PROXY), unless it leaves ``host`` out (NO_PROXY).

    TLS goes through it unopened, so what is sent is for the cluster's eyes only.
    """
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get("https")
