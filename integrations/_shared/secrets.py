"""References to secrets: the catalog says where a secret stands, and it is read at every use and kept nowhere.

Must never put a secret into a message, and never quote a reference that may be the secret itself, pasted by mistake.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from bot.domain.errors import ConfigurationError

_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+)$"
_REFERENCE = re.compile(_PATTERN)
_SENDABLE = re.compile(r"[!-~]+")
_LIMIT = 64 * 1024


def _is_reference(value: object) -> str:
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise ValueError("must say where the secret stands, as env:NAME or file:/path, and not be the secret itself")
    return value


SecretRef = Annotated[
    str,
    BeforeValidator(_is_reference),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["env:PROMETHEUS_TOKEN"]}),
]
"""``env:NAME`` or ``file:/path``."""


async def reveal(reference: str) -> str:
    """The secret that ``reference`` leads to, as it is now, without white space around it.

    Raises `ConfigurationError` when there is none, or when it could not be sent in a header.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        found = os.environ.get(place)
    else:
        try:
            found = await asyncio.to_thread(_content, Path(place))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
            raise ConfigurationError(f"The secret {reference} cannot be read: {reason}.") from None
    secret = (found or "").strip()
    if not secret:
        raise ConfigurationError(f"The secret {reference} is {'not set' if found is None else 'empty'}.")
    if not _SENDABLE.fullmatch(secret):
        raise ConfigurationError(f"The secret {reference} has characters in it that cannot be sent, such as a space.")
    return secret


def _content(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LIMIT)
