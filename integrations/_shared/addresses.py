"""Addresses of servers as the catalog gives them: http or https, and without secrets in them."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

_PLAIN = re.compile(r"https?://[!-~]+")


def _is_address(value: str) -> str:
    # The value may hold a password, so no message quotes it.
    try:
        parts = urlsplit(value)
        good = bool(_PLAIN.fullmatch(value) and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        good = False
    if not good or "\\" in value:
        raise ValueError("must be an address such as https://metrics.example.com")
    if "@" in parts.netloc:
        raise ValueError("has a user or a password in it; those have options of their own")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path, without ? and #")
    return value.rstrip("/")


Address = Annotated[
    str,
    AfterValidator(_is_address),
    WithJsonSchema({"type": "string", "pattern": "^https?://", "examples": ["https://metrics.example.com"]}),
]
"""Where a server is; no slash at the end."""
