"""The database's address as people write it: read, checked, and shown again without its password.

Must not connect anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

Dialect = Literal["sqlite", "postgresql"]

_HOW = "Write sqlite:///path/to/file.db or postgresql://user:password@host:5432/name."
_DRIVERS: dict[str, Dialect] = {
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is."""

    dialect: Dialect
    url: URL
    """With the driver that the store uses."""
    path: Path | None
    """The file, for SQLite."""

    @property
    def shown(self) -> str:
        """The address for people and logs: never the password."""
        if self.path is not None:
            return str(self.path)
        port = f":{self.url.port}" if self.url.port else ""
        host = self.url.host or self.url.query.get("host") or "localhost"
        return f"{host}{port}/{self.url.database or ''}"


def read_address(text: str) -> Address:
    """The address that ``text`` means; raises `ConfigurationError`, which never shows a password."""
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"The database address cannot be read. {_HOW}") from None
    dialect = _DRIVERS.get(url.drivername)
    if dialect is None:
        raise ConfigurationError(f"The database address begins with {url.drivername!r}, which is not supported. {_HOW}")
    if dialect == "postgresql":
        if not url.database:
            raise ConfigurationError(f"The database address names no database. {_HOW}")
        return Address(dialect=dialect, url=url.set(drivername="postgresql+psycopg"), path=None)
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigurationError(f"The SQLite address must name a file: nothing else outlives the process. {_HOW}")
    path = Path(url.database).expanduser().absolute()
    return Address(dialect=dialect, url=url.set(drivername="sqlite+aiosqlite", database=str(path)), path=path)
