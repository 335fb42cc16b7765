"""What a cluster and its credentials look like before they are an `Access`: checked once, whoever gave them.

Of a mistake only its kind goes into a message: certificates, keys and tokens are secret, or useless to read.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from integrations._shared.kube.errors import PROVIDER

if TYPE_CHECKING:
    from datetime import datetime

_SENDABLE = re.compile(r"[!-~]+")
_PLAIN = re.compile(r"https?://[!-~]+")
_LONGEST_TOKEN = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a cluster's API is, and whose certificate it must show."""

    server: str
    ca: bytes | None
    """PEM; None: an authority that the system trusts."""
    until: datetime | None = None
    """When it is to be asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token. Shown nowhere."""

    value: str = field(repr=False)
    expires: datetime | None


def refused(name: str, why: str) -> ProviderRejected:
    """That the cluster ``name`` cannot be reached until somebody has changed something."""
    return ProviderRejected(f"The cluster {name} cannot be used: {why}.", provider=PROVIDER)


def unavailable(name: str, why: str) -> ProviderUnavailable:
    """That the cluster ``name`` cannot be reached now, and that it may help to ask again."""
    return ProviderUnavailable(f"The cluster {name} cannot be reached: {why}.", provider=PROVIDER)


class Unusable(ValueError):
    """Something about a cluster that cannot be used; says why, and never quotes a secret."""


def address(server: object) -> str:
    """An address that credentials may be sent to: https, or http on this very machine. Raises `Unusable`."""
    try:
        if not isinstance(server, str) or not _PLAIN.fullmatch(server) or "\\" in server:
            raise ValueError
        parts = urlsplit(server)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not isinstance(server, str):
        raise Unusable("its server is no address such as https://cluster.example.com:6443")
    if "@" in parts.netloc or "?" in server or "#" in server:
        raise Unusable("its server must be an address without a user, without ? and #")
    if parts.scheme == "http" and not _here(host):
        raise Unusable("its server is asked over http, so that anybody in between could read the token; use https")
    return server.rstrip("/")


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """A host as it stands in an address: IPv6 in brackets."""
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return host


def authority(data: bytes) -> bytes:
    """Certificates of an authority in PEM; raises `Unusable` unless there is one at least that can be read."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=data.decode("ascii"))
        if context.cert_store_stats()["x509"] > 0:
            return data
    except (ValueError, ssl.SSLError):
        pass
    raise Unusable("the certificate of its authority cannot be read")


def decoded(text: object, what: str) -> bytes:
    """What stands in base64; raises `Unusable`, naming ``what`` it should have been."""
    try:
        if isinstance(text, str):
            return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Unusable(f"{what} is not written in base64")


def token(value: object) -> str:
    """A token that can be sent in a header; raises `Unusable`."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST_TOKEN:
        raise Unusable("its token is empty" if not text else "its token is too long to be one")
    if not _SENDABLE.fullmatch(text):
        raise Unusable("its token has characters in it that cannot be sent, such as a space")
    return text
