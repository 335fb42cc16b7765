"""What went wrong in the database, in one sentence for people, and whether trying again can help.

Must not show SQL, parameters or passwords.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import exc

from bot.domain.errors import ConfigurationError, DeploymentArchitectError, StoreError

if TYPE_CHECKING:
    from bot.store.address import Address

DATABASE_FAULTS: tuple[type[Exception], ...] = (
    exc.SQLAlchemyError,
    sqlite3.Error,
    psycopg.Error,
    OSError,
    # A text that no UTF-8 can carry, or an integer that no column can.
    UnicodeError,
    OverflowError,
)
"""Everything that the drivers raise."""

_SERIALIZATION = {"40001", "40P01", "55P03"}
_CONNECTION = {"57P01", "57P02", "57P03", "57P05", "53300", "25P03"}
_DATA = {"22", "23"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failure, understood."""

    error: DeploymentArchitectError
    transient: bool = False
    """The same work may well pass when it is done again."""
    dropped: bool = False
    """The connection is gone: what was being committed may or may not be there."""


def understand(error: Exception, address: Address) -> Fault:
    """What ``error`` means for the database at ``address``."""
    driver: BaseException | None = error
    dropped = False
    if isinstance(error, exc.TimeoutError):
        return Fault(error=StoreError(f"The database {address.shown} is too busy: no connection was free in time."))
    if isinstance(error, exc.DBAPIError):
        driver = error.orig
        dropped = error.connection_invalidated
    # Errors of the schema reach the person as they are; the mutation below never hides one of ours.
    if address.dialect == "sqlite":
        return _sqlite(str(driver), address)
    state = getattr(driver, "sqlstate", None) or ""
    return _postgresql(state, str(driver), address, dropped=dropped)


def _sqlite(text: str, address: Address) -> Fault:
    where = address.shown
    lower = text.lower()
    if "locked" in lower or "busy" in lower:
        return Fault(error=StoreError(f"The database {where} is locked by another program."), transient=True)
    if "not a database" in lower or "malformed" in lower:
        return Fault(error=ConfigurationError(f"{where} is not a database, or it is damaged. Name another file."))
    if "readonly" in lower or "read-only" in lower:
        return Fault(error=ConfigurationError(f"The database {where} cannot be written. Check who owns the file."))
    if "unable to open" in lower:
        return Fault(
            error=ConfigurationError(f"The database {where} cannot be opened. Check that its folder can be written.")
        )
    if "no such table" in lower or "no such column" in lower:
        return Fault(error=_no_schema(where))
    if "full" in lower:
        return Fault(error=StoreError(f"The disk of the database {where} is full."))
    if "constraint" in lower or "surrogate" in lower or "too large" in lower:
        return Fault(error=StoreError(f"The database {where} refused a value that does not fit."))
    return Fault(error=StoreError(f"The database {where} does not answer; nothing was changed."))


def _postgresql(state: str, text: str, address: Address, *, dropped: bool) -> Fault:
    where = address.shown
    lower = text.lower()
    if state in _SERIALIZATION:
        return Fault(error=StoreError(f"The database {where} was too busy; nothing was changed."), transient=True)
    if state[:2] == "28" or "authentication failed" in lower or "no password supplied" in lower:
        who = f" as {address.url.username}" if address.url.username else ""
        return Fault(error=ConfigurationError(f"The database {where} refused to let us in{who}. Check the password."))
    if state == "3D000" or ('database "' in lower and "does not exist" in lower):
        return Fault(error=ConfigurationError(f"There is no database {where}. Create it first."))
    if state == "42501":
        return Fault(error=ConfigurationError(f"The database {where} does not let us read or write our tables."))
    if state in {"42P01", "42703"}:
        return Fault(error=_no_schema(where))
    if state == "25006":
        return Fault(error=StoreError(f"The database {where} can only be read now."))
    if state == "57014":
        return Fault(error=StoreError(f"The database {where} took too long; nothing was changed."))
    if dropped or state[:2] == "08" or state in _CONNECTION:
        return Fault(
            error=StoreError(f"The connection to the database {where} broke; nothing was changed."),
            transient=True,
            dropped=True,
        )
    if state[:2] in _DATA or "surrogate" in lower or "nul" in lower:
        return Fault(error=StoreError(f"The database {where} refused a value that does not fit."))
    if not state:
        return Fault(error=StoreError(f"The database {where} cannot be reached. Check its address and that it runs."))
    return Fault(error=StoreError(f"The database {where} does not answer (code {state}); nothing was changed."))


def _no_schema(where: str) -> ConfigurationError:
    return ConfigurationError(f"The database {where} lacks our tables. Run `deployment-architect migrate`.")
