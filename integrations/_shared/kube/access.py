"""How one reaches a cluster: where its API server is, what proves who it is, and what proves who we are.

Imports no vendor. Must never show a secret, in whatever way these objects are printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All that a client needs, as of now."""

    server: str
    """``https://host:port``; a path behind it stays, as proxies of several clusters have one."""
    ca: bytes | None = None
    """PEM that alone is trusted; None: what the system trusts."""
    token: str | None = field(default=None, repr=False)
    """What is sent as bearer token."""
    expires: datetime | None = None
    """When ``token`` is worth nothing any more, as far as that is known."""
    client_cert: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    verify_name: str | None = None
    """The name that the server's certificate must have, where that is not the host of ``server``."""


class ClusterAccess(Protocol):
    """One cluster, as the catalog names it."""

    @property
    def name(self) -> str:
        """What the catalog calls it; for messages."""

    async def access(self, *, fresh: bool = False) -> Access:
        """What to use now, kept until shortly before it expires; ``fresh`` after the server refused it.

        Raises `ProviderError`, or `ConfigurationError` when the catalog or the machine must be mended.
        """
