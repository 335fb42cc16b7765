"""The things a workspace is made of: plain records, without behaviour that needs the server.

Nothing here talks to a socket; whoever changes a record goes through `Workspace`, so that the change is announced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonDict: TypeAlias = dict[str, Any]


class SandboxError(Exception):
    """A person or a test asked for something that the workspace does not offer; the text says what."""


class SlackError(Exception):
    """A refusal in Slack's own words: `error` is the code, `extra` joins the answer (`response_metadata`, ...)."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra: JsonDict = extra


@dataclass(slots=True)
class Person:
    """A member of the workspace, human or bot."""

    id: str
    name: str
    real_name: str
    email: str | None = None
    tz: str = "Etc/UTC"
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_admin: bool = False

    def tz_offset(self) -> int:
        """Seconds east of UTC now; 0 when the machine has no zone database."""
        try:
            offset = datetime.now(ZoneInfo(self.tz)).utcoffset()
        except ZoneInfoNotFoundError:
            return 0
        return int(offset.total_seconds()) if offset is not None else 0


@dataclass(slots=True)
class UserGroup:
    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Message:
    """A message of a channel or, when `ephemeral_for` is set, one that a single person sees.

    `revision` counts its changes; `as_read` keeps its readable text for the revision that it was made from.
    """

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[JsonDict] = field(default_factory=list)
    is_bot: bool = False
    username: str | None = None
    thread_ts: str | None = None
    subtype: str | None = None
    edited_ts: str | None = None
    deleted: bool = False
    ephemeral_for: str | None = None
    metadata: JsonDict | None = None
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[JsonDict] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    changed_at: float = 0.0
    revision: int = 0
    as_read: tuple[int, str] = (-1, "")
    streaming: JsonDict | None = None

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(slots=True)
class Channel:
    id: str
    name: str
    members: set[str] = field(default_factory=set)
    is_private: bool = False
    is_archived: bool = False
    is_im: bool = False
    is_mpim: bool = False
    im_user: str | None = None
    topic: str = ""
    created: int = 0
    messages: dict[str, Message] = field(default_factory=dict)
    bookmarks: list[JsonDict] = field(default_factory=list)
    pins: set[str] = field(default_factory=set)

    @property
    def command_name(self) -> str:
        """The `channel_name` that Slack puts into a slash command."""
        if self.is_im:
            return "directmessage"
        return "privategroup" if self.is_private else self.name


@dataclass(slots=True)
class View:
    """A modal or a Home tab as one person has it open; `values` is what stands in its fields."""

    id: str
    user: str
    body: JsonDict
    hash: str
    root_id: str
    previous_id: str | None = None
    values: dict[str, dict[str, JsonDict]] = field(default_factory=dict)
    updated_at: float = 0.0
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return str(self.body.get("type", ""))

    @property
    def blocks(self) -> list[JsonDict]:
        blocks: list[JsonDict] = self.body.get("blocks", [])
        return blocks


@dataclass(slots=True)
class StoredFile:
    id: str
    name: str
    length: int
    user: str
    created: int
    content: bytes | None = None
    title: str = ""
    alt: str = ""
    mimetype: str = "application/octet-stream"
    shared: bool = False
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command that the app's manifest declares."""

    command: str
    usage_hint: str = ""
    description: str = ""
    should_escape: bool = True


@dataclass(slots=True)
class Trigger:
    """Permission to open one modal for one person; `view_id` is set when it came out of a modal."""

    id: str
    user: str
    expires_at: float
    view_id: str | None = None
    used: bool = False


@dataclass(slots=True)
class Hook:
    """A response_url: five posts within thirty minutes."""

    id: str
    user: str
    channel: str
    expires_at: float
    original: Message | None = None
    uses: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One Web API call as it came in (without tokens) and what it was answered."""

    method: str
    args: Mapping[str, Any]
    at: float
    answer: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change feed. `user` names the only person who may see it; None is everybody in `channel`."""

    seq: int
    kind: str
    at: float
    channel: str | None = None
    user: str | None = None
    message: Message | None = None
    view: View | None = None
    extra: JsonDict = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageRef:
    channel: str
    ts: str
    thread_ts: str | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class ViewRef:
    view_id: str


@dataclass(frozen=True, slots=True)
class Button:
    """A button that a person could press now, and where; `posted_at` is in seconds since the epoch."""

    label: str
    action_id: str
    value: str | None
    container: MessageRef | ViewRef
    confirm: JsonDict | None
    posted_at: float
    block_id: str
    style: str | None = None
    url: str | None = None
    where: Where = "channel"


Where: TypeAlias = Literal["channel", "thread", "dm", "ephemeral", "home", "modal"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that a person can read now. `at` is when it last changed, in seconds since the epoch."""

    where: Where
    text: str
    at: float
    ref: MessageRef | ViewRef
    author: str = ""
    channel: str | None = None
    posted_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a person's act.

    `acked` is False when the app did not answer in time (or the client refused the act before sending it); `error`
    is then the sentence that Slack shows. `response` is the ack's payload. `delivered_at` is in seconds since the
    epoch, `elapsed` in seconds from sending to ack.
    """

    acked: bool
    error: str | None = None
    response: JsonDict | None = None
    delivered_at: float | None = None
    elapsed: float = 0.0
    message: MessageRef | None = None

    @property
    def errors(self) -> dict[str, str]:
        """Validation errors of a submitted view by block_id; empty when there are none."""
        found = (self.response or {}).get("errors")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
