"""Takes secrets out of text that people and other programs wrote, before it is shown or kept.

Must not judge what the text means. Every pattern takes time in proportion to the text, whatever it says.
"""

from __future__ import annotations

import re

_NAMED = re.compile(
    r"""(?ix)
    ((?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization)[\w.-]{0,80}+)
    (["']?\s*+[:=]\s*+["']?)
    ((?:bearer|basic|token)\s+)?
    [^\s"',;&]+
    """
)
_IN_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}+://)[^\s/@:]*+:[^\s/@]+@")
_WELL_KNOWN = re.compile(
    r"\b(?:xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}"
    r"|hvs\.[\w-]{16,}|eyJ[\w-]{8,2000}+\.[\w-]{8,}+\.[\w-]*)"
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_HIDDEN = "[hidden]"


def redact(text: str) -> str:
    """``text`` without what looks like a password, a token or a key, and without control characters."""
    text = _UNPRINTABLE.sub("", text)
    text = _IN_ADDRESS.sub(rf"\1{_HIDDEN}@", text)
    text = _NAMED.sub(rf"\1\2{_HIDDEN}", text)
    text = _BEARER.sub(rf"\1{_HIDDEN}", text)
    return _WELL_KNOWN.sub(_HIDDEN, text)
