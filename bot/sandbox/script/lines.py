"""The typed lines of a script: what the grammar produces and the player consumes.

Only data. No parsing and no playing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_CHANNEL = "deployments"

STATES = tuple(phase.value for phase in Phase)

Place = Literal["channel", "thread", "dm", "ephemeral", "home", "modal"]
PLACES: tuple[Place, ...] = ("channel", "thread", "dm", "ephemeral", "home", "modal")

FaultName = Literal["429", "down", "socket drop", "duplicate deliveries", "metrics down"]
ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script: where it stands (from 1) and its source without comment and outer white space."""

    number: int
    column: int
    source: str


@dataclass(frozen=True, slots=True)
class PersonLine(Line):
    """A line in which a person does something; `who` is the name after the @."""

    who: str


@dataclass(frozen=True, slots=True)
class Command(PersonLine):
    """`@who [#channel] /deploy …`: `text` is everything after the command, as it was typed."""

    command: str
    text: str
    channel: str


@dataclass(frozen=True, slots=True)
class Mention(PersonLine):
    """`@who mention "…" [in thread]`: the text goes to the bot, in the newest bot message's thread if asked."""

    text: str
    in_thread: bool


@dataclass(frozen=True, slots=True)
class Direct(PersonLine):
    """`@who dm "…"`: the text goes to the bot alone."""

    text: str


@dataclass(frozen=True, slots=True)
class Click(PersonLine):
    """`@who click "Label" [in place] [cancel]`: the newest button of that label; `cancel` declines its dialog.

    An `old` one is pressed as it was when they remembered it; `others` press the same button at the same time.
    """

    label: str
    cancel: bool
    place: Place | None = None
    old: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remember(PersonLine):
    """`@who remembers "Label" [in place]`: the newest button of that label as it is now, for `click old`."""

    label: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Submit(PersonLine):
    """`@who submit {json}`: the open modal's fields by block id, action id or label."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OpenHome(PersonLine):
    """`@who opens home`."""


@dataclass(frozen=True, slots=True)
class Wait(Line):
    """`wait STATE [within 30s]`; `within` in seconds, None for the default."""

    state: str
    within: float | None


@dataclass(frozen=True, slots=True)
class Expect(Line):
    """`expect "text" [in place] [for @who]` or, when `absent`, `expect no "text"`.

    Without `who` it is what the last person sees; for `anyone`, what somebody of the script does.
    """

    text: str
    place: Place | None
    absent: bool
    who: str | None = None


@dataclass(frozen=True, slots=True)
class KillBot(Line):
    """`kill bot`: SIGKILL, nothing is tidied up."""


@dataclass(frozen=True, slots=True)
class StartBot(Line):
    """`start bot`."""


@dataclass(frozen=True, slots=True)
class Fault(Line):
    """`fault …`; `seconds` is None for a fault that has no length."""

    name: FaultName
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Sleep(Line):
    """`sleep 2s`."""

    seconds: float


PersonDeed = Command | Mention | Direct | Click | Remember | Submit | OpenHome
AnyLine = (
    Command
    | Mention
    | Direct
    | Click
    | Remember
    | Submit
    | OpenHome
    | Wait
    | Expect
    | KillBot
    | StartBot
    | Fault
    | Sleep
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script that was understood to the last line."""

    name: str
    lines: tuple[AnyLine, ...]
