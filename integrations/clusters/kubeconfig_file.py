"""What a kubeconfig says about one context. Reads the text only: no file that it names, and runs nothing.

Whatever would send credentials unsafely, or act as somebody else than the file seems to say, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integrations.clusters.credentials import Unusable, address
from integrations.clusters.plain_yaml import read

if TYPE_CHECKING:
    from integrations.clusters.plain_yaml import Plain

_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that stands in the file itself, in base64, or in a file of its own."""

    data: str | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A command that gives credentials."""

    command: str
    args: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = field(repr=False)
    version: str
    """Of the ExecCredential that it is to print."""
    wants_cluster: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A cluster and a user, as a context of the file joins them."""

    server: str
    ca: Source | None
    verify_name: str | None
    token: str | None = field(repr=False)
    token_file: str | None
    client_cert: Source | None
    client_key: Source | None
    plugin: Plugin | None


def described(data: bytes, context: str | None) -> Described:
    """The cluster and the user of a context, the current one if None; raises `Unusable`."""
    root = read(data)
    wanted = context or _text(root, "current-context")
    if not wanted:
        raise Unusable("it has no current-context; name one with 'context'")
    joined = _named(root, "contexts", "context", wanted)
    cluster_name, user_name = _text(joined, "cluster"), _text(joined, "user")
    if not cluster_name:
        raise Unusable(f"the context {_shown(wanted)} names no cluster")
    cluster = _named(root, "clusters", "cluster", cluster_name)
    user = _named(root, "users", "user", user_name) if user_name else {}
    if (_text(cluster, "insecure-skip-tls-verify") or "false").lower() != "false":
        raise Unusable(
            f"the cluster {_shown(cluster_name)} has insecure-skip-tls-verify, so anybody could pose as it and get the "
            "token; put its certificate-authority-data there instead"
        )
    if _text(cluster, "proxy-url"):
        raise Unusable(f"the cluster {_shown(cluster_name)} is behind a proxy-url, which is not supported")
    _check_user(user, user_name or "")
    return Described(
        server=address(_text(cluster, "server")),
        ca=_source(cluster, "certificate-authority"),
        verify_name=_text(cluster, "tls-server-name"),
        token=_text(user, "token"),
        token_file=_text(user, "tokenFile"),
        client_cert=_source(user, "client-certificate"),
        client_key=_source(user, "client-key"),
        plugin=_plugin(user, user_name or ""),
    )


def _check_user(user: dict[str, Plain], name: str) -> None:
    if user.get("auth-provider"):
        raise Unusable(
            f"the user {_shown(name)} has an auth-provider, which Kubernetes has given up; use a cluster of type gke "
            "or aks, a token, or a certificate"
        )
    for key in ("as", "as-uid", "as-groups", "as-user-extra"):
        if user.get(key):
            raise Unusable(f"the user {_shown(name)} acts as somebody else ({key}), which is not supported")
    if user.get("username") or user.get("password"):
        raise Unusable(f"the user {_shown(name)} has a password, which Kubernetes does not take any more; use a token")
    if bool(_source(user, "client-certificate")) != bool(_source(user, "client-key")):
        raise Unusable(f"the user {_shown(name)} has a client-certificate without client-key, or the other way round")


def _plugin(user: dict[str, Plain], name: str) -> Plugin | None:
    block = user.get("exec")
    if block is None:
        return None
    if not isinstance(block, dict):
        raise Unusable(f"exec of the user {_shown(name)} is no mapping")
    command, version = _text(block, "command"), _text(block, "apiVersion") or ""
    if not command:
        raise Unusable(f"exec of the user {_shown(name)} names no command")
    if version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        raise Unusable(f"exec of the user {_shown(name)} has an apiVersion that is not known: {_shown(version)}")
    if (_text(block, "interactiveMode") or "Never") == "Always":
        raise Unusable(f"exec of the user {_shown(name)} wants to ask a person, and there is none here")
    args, variables = block.get("args") or [], block.get("env") or []
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        raise Unusable(f"the args of exec of the user {_shown(name)} are no list of words")
    if not isinstance(variables, list):
        raise Unusable(f"env of exec of the user {_shown(name)} is no list")
    given: list[tuple[str, str]] = []
    for one in variables:
        if not isinstance(one, dict) or not _text(one, "name"):
            raise Unusable(f"env of exec of the user {_shown(name)} has an entry without a name")
        given.append((_text(one, "name") or "", _text(one, "value") or ""))
    return Plugin(
        command=command,
        args=tuple(str(arg) for arg in args),
        variables=tuple(given),
        version=version,
        wants_cluster=_text(block, "provideClusterInfo") == "true",
    )


def _named(root: dict[str, Plain], plural: str, singular: str, name: str) -> dict[str, Plain]:
    listed = root.get(plural) or []
    found = []
    names = []
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        names.append(str(entry.get("name")))
        if entry.get("name") == name:
            found.append(entry.get(singular))
    if not found:
        known = ", ".join(_shown(one) for one in names[:10]) or "none"
        raise Unusable(f"there is no {singular} {_shown(name)} in it; there is {known}")
    if not isinstance(found[0], dict):
        raise Unusable(f"the {singular} {_shown(name)} says nothing")
    return found[0]  # as kubectl does, the first of several


def _text(block: dict[str, Plain], key: str) -> str | None:
    value = block.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise Unusable(f"{key} is no text")


def _source(block: dict[str, Plain], key: str) -> Source | None:
    data, file = _text(block, f"{key}-data"), _text(block, key)
    return Source(data=data, file=file) if data or file else None


def _shown(text: str) -> str:
    """As it may be shown to anybody: one line, no control characters, not endless."""
    return ascii(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
