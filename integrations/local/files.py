"""Where the platform keeps what, and writing that a crash cannot leave half done. Knows no content."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Root:
    """The folder of one platform: one agent, any number of services."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lock(self) -> Path:
        """Held by the agent as long as it lives."""
        return self.path / "agent.lock"

    @property
    def address(self) -> Path:
        """Where the agent listens and who it is, as JSON."""
        return self.path / "agent.json"

    @property
    def token(self) -> Path:
        """What a client must show; readable by its owner only."""
        return self.path / "agent.token"

    @property
    def log(self) -> Path:
        """What the agent tells about itself."""
        return self.path / "agent.log"

    @property
    def places(self) -> Path:
        """One folder for each service@environment."""
        return self.path / "places"

    def place(self, service: str, environment: str) -> Path:
        """The folder of one service in one environment."""
        return self.places / f"{service}@{environment}"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; a reader, even after a crash, sees the old or the new and nothing between."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
