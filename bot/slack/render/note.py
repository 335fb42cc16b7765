"""One reply in a thread. What it says, and when, is said in `notes` and `waiting`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.charts import Chart
    from bot.slack.render.message import Message


@dataclass(frozen=True, slots=True)
class NoteFile:
    """Something too long for a message; of something enormous only the tail, where the trouble is."""

    name: str
    content: str | bytes
    alt: str = ""
    """What a picture shows, for who cannot see it."""
    title: str = ""
    """What it is called where it is shown; empty for its name."""


@dataclass(frozen=True, slots=True)
class Note:
    """One reply in the thread."""

    key: str
    message: Message
    broadcast: bool = False
    """Whether the channel sees it too."""
    file: NoteFile | None = None
    picture: Chart | None = None
    """What is drawn and put under it; without anything to draw with, it is left out."""
    live: bool = False
    """It carries buttons or says how something stands: where it was posted, it is edited when it looks otherwise."""
    settled: bool = False
    """What it asked for is over: it is edited where it was posted, and not posted any more where it was not."""
