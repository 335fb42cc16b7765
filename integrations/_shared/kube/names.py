"""Names and paths of what is in a cluster. Whatever goes into a path has passed here: no name leads elsewhere."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from bot.domain.errors import ProviderRejected
from integrations._shared.kube.errors import PROVIDER

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_WORD = re.compile(r"[a-z][a-z0-9-]{0,62}")
_GROUP_VERSION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?/)?v[0-9][a-z0-9]{0,20}")
_HTTP_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,199}")


def is_label(name: str) -> bool:
    """Whether ``name`` can be that of a namespace or a container (RFC 1123 label)."""
    return bool(_LABEL.fullmatch(name))


def is_subdomain(name: str) -> bool:
    """Whether ``name`` can be that of most objects (RFC 1123 subdomain)."""
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def is_http_path(path: str) -> bool:
    """Whether ``path`` can be asked of a pod without leading anywhere else: no dots, no escapes, no query."""
    segments = path.split("/")[1:]
    return bool(_HTTP_PATH.fullmatch(path)) and not any(
        segment in (".", "..") or (not segment and index < len(segments) - 1) for index, segment in enumerate(segments)
    )


def path_to(api: str, resource: str, *, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
    """The path of a resource, as ``/apis/apps/v1/namespaces/shop/deployments/checkout``.

    ``api`` is a group and version, as ``v1`` or ``apps/v1``. Raises `ProviderRejected` for what cannot be a name.
    """
    checks = [
        (api, bool(_GROUP_VERSION.fullmatch(api)), "version of an API"),
        (resource, bool(_WORD.fullmatch(resource)), "resource"),
        (namespace, namespace is None or is_label(namespace), "namespace"),
        (name, not name or is_subdomain(name), "name"),
        (subresource, not subresource or bool(_WORD.fullmatch(subresource)), "part of an object"),
    ]
    for value, good, what in checks:
        if not good:
            raise ProviderRejected(f"{str(value)[:80]!r} cannot be a {what} in a cluster.", provider=PROVIDER)
    parts = ["/apis" if "/" in api else "/api", api]
    if namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join([*parts, resource, *filter(None, [name, subresource])])


def _label(value: str) -> str:
    if not is_label(value):
        raise ValueError("must be a name as clusters have them: lower-case letters, digits and -, 63 at most")
    return value


def _subdomain(value: str) -> str:
    if not is_subdomain(value):
        raise ValueError("must be a name as clusters have them: lower-case letters, digits, - and ., 253 at most")
    return value


Label = Annotated[str, AfterValidator(_label)]
"""The name of a namespace or of a container."""
Name = Annotated[str, AfterValidator(_subdomain)]
"""The name of an object."""
