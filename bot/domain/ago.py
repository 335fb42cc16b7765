"""How long ago something was, as people say it in a sentence. No instants: these are shown on the reader's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def ago(then: datetime, now: datetime) -> str:
    """``just now``, ``12 s ago``, ``5 min ago``, ``3 h ago``, ``4 d ago``; a clock that runs ahead says just now."""
    seconds = round((now - then).total_seconds())
    if seconds < 1:
        return "just now"
    for most, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3_600, 3_600, "h")):
        if seconds < most:
            return f"{round(seconds / unit)} {name} ago"
    return f"{round(seconds / 86_400)} d ago"
