"""The end of a log as people may see it: the secrets taken out. Must not judge what the text means."""

from __future__ import annotations

from bot.domain.redact import redact

__all__ = ["last_lines", "redact"]


def last_lines(text: str, *, lines: int = 5, width: int = 200) -> list[str]:
    """The last non-empty ``lines`` of a log, redacted, each cut to ``width`` characters."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    redacted = [redact(line) for line in kept]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in redacted]
