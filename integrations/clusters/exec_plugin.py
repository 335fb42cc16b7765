"""Runs a command that a kubeconfig names for credentials, if the catalog allows it by name. Never runs any other.

No shell, no terminal, an environment of a few variables, its own process group that is ended with it. What it prints is
a secret; what it complains about is shown, redacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from integrations._shared.redact import last_lines
from integrations.clusters.credentials import Unusable, token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integrations.clusters.kubeconfig_file import Plugin

_ALWAYS = ("PATH", "HOME", "LANG")
_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a plugin gave. Shown nowhere."""

    token: str | None = field(repr=False)
    cert: bytes | None = field(repr=False)
    key: bytes | None = field(repr=False)
    expires: datetime | None


class Slow(Exception):
    """The command did not end in time."""


def allowed(plugin: Plugin, names: Sequence[str]) -> str:
    """The file that is to be run; raises `Unusable` unless ``names`` has exactly the command that the file has."""
    command = plugin.command
    shown = ascii(command[:100])
    if command not in names:
        raise Unusable(
            f"its user is told by the command {shown}, which may not be run; if you trust it, write "
            f"exec: [{command if command.isascii() and command.isprintable() else shown}] beside path"
        )
    if "/" in command:
        return command  # a whole path, as the options see to
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder.startswith("/")]
    found = shutil.which(command, path=os.pathsep.join(folders))
    if found is None:
        raise Unusable(f"the command {shown} is not installed where the bot runs")
    return found


def environment(plugin: Plugin, names: Sequence[str], cluster: Mapping[str, object] | None) -> dict[str, str]:
    """All that the command gets to know; raises `Unusable` for a variable of the file that ``names`` does not have.

    A variable can make a harmless command load code, so the file may set only what the catalog names.
    """
    given = dict(plugin.variables)
    for name in given:
        if name not in names:
            word = name if name.isascii() and name.isprintable() else ascii(name)
            raise Unusable(
                f"its command is to get the variable {word[:100]}, which is not allowed; if you trust it, write "
                f"variables: [{word[:100]}] beside exec"
            )
    found = {name: value for name in (*_ALWAYS, *names) if (value := os.environ.get(name)) is not None}
    spec: dict[str, object] = {"interactive": False}
    if plugin.wants_cluster and cluster is not None:
        spec["cluster"] = dict(cluster)
    info = {"apiVersion": plugin.version, "kind": "ExecCredential", "spec": spec}
    return {**found, **given, "KUBERNETES_EXEC_INFO": json.dumps(info)}


async def run(plugin: Plugin, *, file: str, variables: Mapping[str, str], timeout: float) -> Credential:
    """What the command prints as a credential. Raises `Unusable`, and `Slow` when it did not end in time."""
    try:
        process = await asyncio.create_subprocess_exec(
            file,
            *plugin.args,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(variables),
            cwd="/",
            start_new_session=True,
            limit=_LARGEST,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its arguments cannot be passed"
        raise Unusable(f"its command cannot be started: {reason.lower()}") from None
    try:
        async with asyncio.timeout(timeout):
            printed, complained = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
            status = await process.wait()
    except TimeoutError:
        raise Slow(f"its command did not end within {timeout:g} s") from None
    finally:
        # Also what it has started and left behind, and also when nobody waits for it any more.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # What has left the group may hold the pipes for ever, and waiting means waiting for those too: they are closed.
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no other way
        await process.wait()
    if status != 0:
        said = "; ".join(last_lines(complained.decode("utf-8", "replace"), lines=2, width=150))
        said = "".join(c if c.isprintable() else "?" for c in said)
        raise Unusable(f"its command ended with {status}{f': {said}' if said else ''}")
    return credential(printed, plugin.version)


async def _bounded(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    content = bytearray()
    while part := await stream.read(16 * 1024):
        if len(content) <= _LARGEST:  # what comes after is read, so that the command can end, and thrown away
            content += part
    return bytes(content)


def credential(printed: bytes, version: str) -> Credential:
    """The credential in what a command printed; raises `Unusable`, which quotes nothing of it."""
    try:
        found: Any = json.loads(printed) if len(printed) <= _LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kind") != "ExecCredential":
        raise Unusable("its command printed no ExecCredential")
    if found.get("apiVersion") != version:
        raise Unusable(f"its command printed an ExecCredential of another version than {version}")
    status = found.get("status")
    status = status if isinstance(status, dict) else {}
    cert, key = status.get("clientCertificateData"), status.get("clientKeyData")
    if bool(cert) != bool(key) or not all(isinstance(one, str | None) for one in (cert, key)):
        raise Unusable("its command printed a certificate without a key, or the other way round")
    if not status.get("token") and not cert:
        raise Unusable("its command printed neither a token nor a certificate")
    return Credential(
        token=token(status["token"]) if status.get("token") else None,
        cert=_pem(cert) if cert else None,
        key=_pem(key) if key else None,
        expires=_moment(status.get("expirationTimestamp")),
    )


def _pem(text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise Unusable("its command printed a certificate that is none") from None


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Unusable("its command printed an expirationTimestamp that is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
