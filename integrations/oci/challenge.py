"""Reads how a registry wants to be spoken to, and says where it may send us. Sends nothing.

What a registry answers decides where a password goes, so this is the place that says no.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.errors import ProviderRejected
from integrations._shared.failures import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations.oci.reference import Repository

PROVIDER = "oci"
_LONGEST = 8192
_WORD = re.compile(
    r"""(?x) [\s,]* (?P<word> [!\#$%&'*+.^_`|~0-9A-Za-z-]+ )
    (?: \s*=\s* (?: "(?P<text> (?: [^"\\] | \\. )* )" | (?P<bare> [^\s,"]* ) ) )?"""
)
_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_ACTIONS = frozenset({"pull", "metadata_read"})
# Whose registry and whose token server share no name that would tell.
_TOGETHER = {"registry-1.docker.io": "auth.docker.io"}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in, as ``WWW-Authenticate`` offers it."""

    scheme: str
    """In lower case."""
    said: Mapping[str, str]


def read(header: str) -> list[Challenge]:
    """Every way in that the header offers; none if it cannot be read."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    text = header[:_LONGEST]
    while match := _WORD.match(text, at):
        at = match.end()
        value = match["bare"] if match["text"] is None else re.sub(r"\\(.)", r"\1", match["text"])
        if value is None:
            found.append((match["word"].lower(), {}))
        elif found:
            found[-1][1].setdefault(match["word"].lower(), value)
    return [Challenge(scheme, said) for scheme, said in found]


def token_server(realm: str, repository: Repository, *, further: tuple[str, ...], insecure: bool) -> str:
    """The host that ``realm`` leads to, if the bot may ask there. Raises `ProviderRejected`.

    That is the registry's own host, a domain that the registry is part of, or one that the catalog names, over TLS.
    Plain http goes to the registry's own host only, and only where the catalog lets the registry itself speak it.
    """
    try:
        parts = urlsplit(realm)
        host = (parts.hostname or "").lower()
        good = bool(_PRINTABLE.fullmatch(realm) and host and parts.port != 0)
    except ValueError:
        good, host = False, ""
    if not good or "@" in parts.netloc or "\\" in realm or parts.fragment:
        raise _refused(repository, "to an address that cannot be read")
    own = host == repository.host
    if parts.scheme != "https" and not (parts.scheme == "http" and insecure and own):
        raise _refused(repository, f"to {told(host)} without TLS")
    if own or _is_above(host, repository.host) or _TOGETHER.get(repository.host) == host:
        return host
    if host in (name.lower() for name in further):
        return host
    raise _refused(
        repository, f"to {told(host)[:100]}, another host; if that is right, name it in the images' token_hosts"
    )


def scope(asked: str, repository: Repository) -> str:
    """The scope to ask for: what the registry says, as long as it is about reading this very repository."""
    own = [f"repository:{repository.name}:pull"]
    for one in asked.split():
        kind, _, rest = one.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind == "repository" and name == repository.name and set(actions.split(",")) <= _ACTIONS:
            own.append(one)
    return " ".join(dict.fromkeys(own))


def _is_above(domain: str, host: str) -> bool:
    """Whether ``host`` is part of ``domain``: gitlab.com and registry.gitlab.com, but never com and gitlab.com."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in domain and host.endswith(f".{domain}")
    return False


def _refused(repository: Repository, where: str) -> ProviderRejected:
    return ProviderRejected(f"{repository.registry} sends us for a token {where}.", provider=PROVIDER)
