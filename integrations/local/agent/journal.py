"""The operations that were applied to a place, each written exactly once, before it takes effect.

The file is the truth: what is in it has been accepted and must be carried out, what is not has not. It keeps the
newest few hundred operations.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from integrations.local.agent.model import Damaged, Operation
from integrations.local.files import sync_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEPT = 256


class Journal:
    """An append-only file of JSON lines. Not for concurrent writers: its place serialises them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._operations: dict[str, Operation] = {}
        self._size = 0

    def load(self) -> None:
        """Read the file; raises `Damaged`. A last line that a crash tore was never acknowledged and is cut off."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole, newline, torn = content.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
            try:
                operation = Operation.read(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise Damaged(f"line {number} of {self._path} cannot be read ({type(error).__name__})") from None
            self._operations[operation.id] = operation
        self._size = len(content) - len(torn)
        if torn:
            os.truncate(self._path, self._size)

    @property
    def operations(self) -> Sequence[Operation]:
        """What was applied, oldest first."""
        return tuple(self._operations.values())

    @property
    def latest(self) -> Operation | None:
        """What was applied last."""
        return next(reversed(self._operations.values()), None)

    def find(self, operation: str) -> Operation | None:
        """The operation of that id, if it was applied."""
        return self._operations.get(operation)

    def append(self, operation: Operation) -> None:
        """Write ``operation`` down durably; after an `OSError` it is not written."""
        if len(self._operations) >= 2 * KEPT:
            self._shorten()
        line = json.dumps(operation.json(), separators=(",", ":")).encode() + b"\n"
        created = not self._path.exists()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written to {self._path}")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        finally:
            os.close(descriptor)
        if created:
            sync_folder(self._path.parent)
        self._size += len(line)
        self._operations[operation.id] = operation

    def _shorten(self) -> None:
        kept = list(self._operations.values())[-KEPT:]
        content = b"".join(json.dumps(entry.json(), separators=(",", ":")).encode() + b"\n" for entry in kept)
        write_atomically(self._path, content)
        self._operations = {entry.id: entry for entry in kept}
        self._size = len(content)
