"""What a look at the bot's access and settings found. Judges nothing that runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, before anything is deployed."""

    ok: bool
    what: str
    """What was looked at, and what is wrong with it when it is not ok; plain words without a full stop."""
    fix: str = ""
    """What to write or to do; may have several lines, such as a rule of a role in YAML. Empty when it is ok."""
    optional: bool = False
    """Whether everything can be deployed without it, and only less can be told of it."""

    @property
    def wrong(self) -> bool:
        """Whether something cannot be deployed as it is."""
        return not self.ok and not self.optional

    @property
    def less(self) -> bool:
        """Whether it is not there, and nothing that is needed is missing for that."""
        return not self.ok and self.optional
