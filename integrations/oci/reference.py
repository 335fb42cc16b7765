"""Names of repositories, tags and digests, as the OCI distribution specification writes them. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass

MARK = "{version}"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*")
_REGISTRY = re.compile(
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
# Signatures and the like hang on an image as tags that name its digest.
_ATTACHED = re.compile(r"sha256-[0-9a-f]{64}(?:\.[A-Za-z0-9._-]+)?")
_HUB, _HUB_API = ("docker.io", "index.docker.io"), "registry-1.docker.io"
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry."""

    registry: str
    """Host, and port if it has one, as people write it."""
    name: str

    @classmethod
    def read(cls, text: str) -> Repository:
        """What ``text`` names; raises `ValueError` saying how to write it."""
        registry, _, name = text.partition("/")
        found = _REGISTRY.fullmatch(registry) if len(text) <= _LONGEST else None
        if "://" in text or "@" in text:
            raise ValueError("must be the registry's host and the repository only, such as ghcr.io/acme/checkout")
        if not name or not found or not ("." in registry or ":" in registry or registry == "localhost"):
            raise ValueError("must begin with the registry's host, such as docker.io/acme/checkout")
        if found["port"] and not 0 < int(found["port"]) < 65536:
            raise ValueError("names a port that does not exist")
        if not all(_NAME.fullmatch(part) for part in name.split("/")):
            raise ValueError("must be a repository in lower case without a tag, such as ghcr.io/acme/checkout")
        if registry in _HUB and "/" not in name:
            name = f"library/{name}"
        return cls(registry, name)

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def authority(self) -> str:
        """Where its API is."""
        return _HUB_API if self.registry in _HUB else self.registry

    @property
    def host(self) -> str:
        """The host of its API, in lower case and without a port."""
        found = _REGISTRY.fullmatch(self.authority)
        return (found["host"] if found else self.authority).strip("[]").lower()

    @property
    def is_here(self) -> bool:
        """Whether it is on this very machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def at(self, digest: str) -> str:
        """Where a platform finds the image of that digest."""
        return f"{self}@{digest}"


def is_tag(text: object) -> bool:
    """Whether a tag can be called that."""
    return isinstance(text, str) and bool(_TAG.fullmatch(text))


def is_attached(tag: str) -> bool:
    """Whether this is no image but what was said about one."""
    return bool(_ATTACHED.fullmatch(tag))


def is_digest(text: str) -> bool:
    """Whether this is a digest, of the one kind that registries give."""
    return bool(_DIGEST.fullmatch(text))


def digest_of(content: bytes) -> str:
    """The digest of ``content``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tag_of(version: str, template: str) -> str | None:
    """The tag of a version; None if there cannot be one."""
    tag = template.replace(MARK, version)
    return tag if version and is_tag(tag) else None


def version_of(tag: str, template: str) -> str | None:
    """The version that a tag stands for; None if it stands for none."""
    before, _, after = template.partition(MARK)
    if len(tag) <= len(before) + len(after) or not (tag.startswith(before) and tag.endswith(after)):
        return None
    return tag[len(before) : len(tag) - len(after)]
