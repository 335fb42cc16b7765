"""Built versions as folders: ``<folder>/<version>/release.json`` and whatever it starts. Only reads.

``release.json`` is an object with ``command``, a list of words; ``{python}`` in a word stands for the interpreter that
the platform runs on. Other keys belong to the service itself.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MANIFEST = "release.json"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MANIFEST_LIMIT = 1_000_000
_FILES_LIMIT = 20_000
_CACHE_LIMIT = 256
_IGNORED = frozenset({"__pycache__"})


class ArtifactError(Exception):
    """The artifact cannot be used; the text says why and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an artifact folder holds."""

    digest: str
    command: tuple[str, ...]


def valid_version(version: str) -> bool:
    """Whether ``version`` may name a folder: no separators, no leading dot, at most 64 characters."""
    return VERSION.fullmatch(version) is not None


def version_key(version: str) -> tuple[object, ...]:
    """Sorts versions as people read them: v1.9 < v1.10-rc1 < v1.10."""
    core, _, suffix = version.partition("-")
    return (_natural(core), not suffix, _natural(suffix))


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in re.findall(r"[0-9]+|[^0-9.]+", text)
    )


def nearest(version: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """At most ``limit`` versions that ``version`` may have been meant to be, best first."""
    names = {name.lower(): name for name in known}
    typed = version.lower()
    # A forgotten or superfluous "v" is the commonest slip and no distance measure puts it first.
    twin = typed.removeprefix("v") if typed.startswith("v") else "v" + typed
    found = [twin] if twin in names else []
    if typed:
        # The rest of what was begun: v1.5 for v1.5-rc1. Long names are far away by any measure.
        found += sorted((name for name in names if name.startswith(typed) and name not in found), key=version_key)
    found += [name for name in difflib.get_close_matches(typed, names, n=limit, cutoff=0.6) if name not in found]
    return [names[name] for name in found[:limit]]


class Artifacts:
    """Reads artifact folders and remembers digests for as long as no file's size, mode or time of change differs."""

    def __init__(self) -> None:
        self._digests: OrderedDict[Path, tuple[tuple[object, ...], str]] = OrderedDict()
        self._lock = threading.Lock()

    def versions(self, folder: Path) -> list[str]:
        """Every version in ``folder``, newest first. Raises `ArtifactError`."""
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if valid_version(entry.name) and _has_manifest(entry.path)]
        except FileNotFoundError:
            raise ArtifactError(f"The folder of built versions, {folder}, does not exist.") from None
        except OSError as error:
            raise ArtifactError(f"The folder of built versions, {folder}, cannot be read: {_why(error)}.") from None
        return sorted(names, key=version_key, reverse=True)

    def read(self, folder: Path) -> Content:
        """Check the artifact in ``folder`` and tell its digest and command. Raises `ArtifactError`."""
        command = _command(folder / MANIFEST)
        try:
            files = tuple(_files(folder))
            with self._lock:
                known = self._digests.get(folder)
            if known is not None and known[0] == files:
                return Content(digest=known[1], command=command)
            digest = _digest(folder, ((name, marker) for name, _, _, marker in files))
        except OSError as error:
            raise ArtifactError(f"The artifact {folder} cannot be read: {_why(error)}.") from None
        with self._lock:
            self._digests.pop(folder, None)
            self._digests[folder] = (files, digest)
            while len(self._digests) > _CACHE_LIMIT:
                self._digests.popitem(last=False)
        return Content(digest=digest, command=command)


def _has_manifest(path: str) -> bool:
    return Path(path, MANIFEST).is_file()


def _command(manifest: Path) -> tuple[str, ...]:
    try:
        with manifest.open("rb") as file:
            text = file.read(_MANIFEST_LIMIT + 1)
    except FileNotFoundError:
        raise ArtifactError(f"The artifact has no {MANIFEST}: {manifest} does not exist.") from None
    except OSError as error:
        raise ArtifactError(f"{manifest} cannot be read: {_why(error)}.") from None
    if len(text) > _MANIFEST_LIMIT:
        raise ArtifactError(f"{manifest} is larger than {_MANIFEST_LIMIT:,} bytes.")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{manifest} is not JSON: {error}.") from None
    command = content.get("command") if isinstance(content, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(word, str) and word for word in command):
        raise ArtifactError(
            f'{manifest} must say how to start the service: {{"command": ["{{python}}", "service.py"]}}.'
        )
    if any("\0" in word for word in command):
        raise ArtifactError(f"The command in {manifest} has a NUL character in it.")
    return tuple(command)


def _files(folder: Path) -> Iterator[tuple[str, int, int, str]]:
    """Name, size, time of change and kind of every file, sorted by name; a symbolic link must stay inside."""
    home = folder.resolve(strict=True)
    found: list[tuple[str, int, int, str]] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                name = f"{inside}{entry.name}"
                if entry.is_symlink():
                    if not Path(entry.path).resolve().is_relative_to(home):
                        raise ArtifactError(f"The link {entry.path} leads out of the artifact; remove it.")
                    found.append((name, 0, 0, f"link {Path(entry.path).readlink()}"))
                elif entry.is_dir():
                    if entry.name not in _IGNORED:
                        pending.append(name + "/")
                elif entry.is_file():
                    status = entry.stat()
                    # Only the executable bit: the rest of the mode differs with the umask of whoever unpacked it.
                    marker = "program" if status.st_mode & 0o111 else "file"
                    found.append((name, status.st_size, status.st_mtime_ns, marker))
                else:
                    raise ArtifactError(f"{entry.path} is neither a file nor a folder; an artifact cannot hold it.")
                if len(found) > _FILES_LIMIT:
                    raise ArtifactError(f"The artifact {folder} holds more than {_FILES_LIMIT:,} files.")
    return iter(sorted(found))


def _digest(folder: Path, files: Iterable[tuple[str, str]]) -> str:
    whole = hashlib.sha256()
    for name, marker in files:
        whole.update(f"{name}\0{marker}\0".encode("utf-8", "surrogateescape"))
        if not marker.startswith("link "):
            with (folder / name).open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return "sha256:" + whole.hexdigest()


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
