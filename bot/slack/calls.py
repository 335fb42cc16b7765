"""The calls that the publisher makes, each with an end that can be acted on.

For a new message the question after a failure is always the same: is it there or not? `Lost` means that nobody can
tell yet; every other failure means that it is not.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.domain.errors import ConfigurationError
from bot.slack.names import METADATA_EVENT
from bot.slack.render.notices import METADATA_EVENT as NOTICE_EVENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.budget import Budget, Pacing
    from bot.slack.render.message import Message
    from bot.slack.render.notes import NoteFile

_ALT = 1_000
"""Characters of a picture's description that Slack keeps."""

log = logging.getLogger(__name__)

_GONE = frozenset(
    {
        "message_not_found", "channel_not_found", "is_archived", "not_in_channel", "thread_not_found",
        "cant_update_message", "edit_window_closed", "restricted_action", "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "user_is_restricted",
        "cannot_dm_bot", "cannot_reply_to_message", "user_not_found", "user_disabled", "user_not_visible",
        "messages_tab_disabled", "restricted_action_messages_tab_disabled",
    }
)  # fmt: skip
_CONTENT = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text",
        "invalid_arguments", "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large",
        "too_many_attachments", "block_mismatch",
    }
)  # fmt: skip
_MENDABLE = frozenset(
    {
        "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
        "not_allowed_token_type", "no_permission", "access_denied", "org_login_required", "ekm_access_denied",
    }
)  # fmt: skip
_UNSURE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_PAGE = 200
_PLACES_KEPT = 50
_PEOPLE_KEPT = 1_000


class CallFailed(Exception):
    """A call came to nothing, or to something that we cannot see."""

    def __init__(self, method: str, error: str) -> None:
        super().__init__(f"{method}: {error}")
        self.method = method
        self.error = error


class Limited(CallFailed):
    """Slack asks for a pause of this method; it is on record in the budget."""

    def __init__(self, method: str, seconds: float) -> None:
        super().__init__(method, "ratelimited")
        self.seconds = seconds


class Lost(CallFailed):
    """No answer came: it may have been done or not."""


class NotSent(CallFailed):
    """Slack was never reached."""


class Gone(CallFailed):
    """The message or its channel is not there for us any more."""


class BadContent(CallFailed):
    """Slack does not take what the message says."""


class Refused(CallFailed):
    """Slack says no for a reason that is not about this message, such as a revoked token."""

    @property
    def until_mended(self) -> bool:
        """Whether somebody can mend it in Slack, so that it is worth going on for ever."""
        return self.error in _MENDABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a message that was lost may be, and when it was; instants in seconds since the epoch."""

    channel: str
    thread: str | None = None
    since: float
    """It is not older than this."""
    lost: float
    """When the answer failed to come."""


@dataclass(slots=True)
class _Seen:
    """What one look at a channel or thread found: our messages by deployment and key, our files by name."""

    began: float
    oldest: float
    ours: dict[tuple[str, str], str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Calls:
    """Posts, edits, uploads, and looks for what was lost."""

    def __init__(self, client: AsyncWebClient, budget: Budget, pacing: Pacing, *, wall: Callable[[], float]) -> None:
        if client.retry_handlers:
            raise ConfigurationError(
                "The publisher's Slack client must not retry on its own: a post whose answer was lost would be sent "
                "twice. Build it with retry_handlers=[]."
            )
        self._client = client
        self._budget = budget
        self._pacing = pacing
        self._wall = wall
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._channels: dict[str, str] = {}
        self._channels_at: float | None = None
        self._naming = asyncio.Lock()
        self._direct: dict[str, str] = {}
        self.answers = 0
        """How often Slack has done what it was asked."""

    async def post(
        self, channel: str, message: Message, *, thread: str | None = None, broadcast: bool = False
    ) -> tuple[str, str]:
        """Post a message; where it is: the channel's id and the message's ts."""
        arguments: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        if thread is not None:
            arguments |= {"thread_ts": thread, "reply_broadcast": broadcast}
        answer = await self._content(
            "chat.postMessage", lambda content: self._client.chat_postMessage(**arguments, **content), message
        )
        return str(answer.get("channel") or channel), str(answer["ts"])

    async def edit(self, channel: str, ts: str, message: Message) -> None:
        """Show ``message`` in place of what is there. Safe to repeat."""
        self._budget.edited()
        await self._content(
            "chat.update", lambda content: self._client.chat_update(channel=channel, ts=ts, **content), message
        )

    async def upload(self, channel: str, thread: str, file: NoteFile) -> str:
        """Put a file into a thread; the file's id."""
        answer = await self._call(
            "files.completeUploadExternal",
            lambda: self._client.files_upload_v2(
                content=file.content,
                filename=file.name,
                title=file.title or file.name,
                alt_txt=file.alt[:_ALT] or None,
                channel=channel,
                thread_ts=thread,
            ),
        )
        files = answer.get("files") or [{}]
        return str(files[0].get("id") or file.name)

    async def find(self, where: Whereabouts, deployment: str, key: str) -> str | None:
        """The ts of our message there; None when it is not there. A notice is of no ``deployment``."""
        return (await self._look(where)).ours.get((deployment, key))

    async def find_file(self, where: Whereabouts, name: str) -> str | None:
        """The ts of the message that carries our file of that name; None when there is none."""
        return (await self._look(where)).files.get(name)

    async def channel_id(self, channel: str) -> str:
        """The id of a ``#name``; an id stays as it is. Raises `Gone` when there is no such channel for us."""
        if not channel.startswith("#"):
            return channel
        name = channel.removeprefix("#")
        async with self._naming:
            stale = self._channels_at is None or self._wall() - self._channels_at >= self._pacing.window
            if name not in self._channels and stale:
                self._channels = {found["name"]: found["id"] async for found in self._list() if found.get("name")}
                self._channels_at = self._wall()
        if name not in self._channels:
            raise Gone("conversations.list", f"channel_not_found ({channel})")
        return self._channels[name]

    async def direct(self, user: str) -> str:
        """The id of the conversation with one person, opened if need be. Raises `Gone` for who cannot be written to."""
        if user not in self._direct:
            answer = await self._call("conversations.open", lambda: self._client.conversations_open(users=user))
            if len(self._direct) >= _PEOPLE_KEPT:
                del self._direct[next(iter(self._direct))]
            self._direct[user] = str(answer["channel"]["id"])
        return self._direct[user]

    async def _list(self) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            answer = await self._call(
                "conversations.list",
                partial(
                    self._client.conversations_list,
                    types="public_channel,private_channel",
                    exclude_archived=True,
                    limit=_PAGE,
                    cursor=cursor,
                ),
            )
            for channel in answer.get("channels") or []:
                yield channel
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    async def _look(self, where: Whereabouts) -> _Seen:
        """Everything of ours there; one look serves all who lost something there before it began."""
        place = (where.channel, where.thread or "")
        seen = self._seen.setdefault(place, _Seen(began=0.0, oldest=0.0))
        while len(self._seen) > _PLACES_KEPT:
            del self._seen[next(iter(self._seen))]
        async with seen.lock:
            # Somebody may have looked while we waited for our turn.
            seen = self._seen.get(place, seen)
            if seen.began >= where.lost + self._pacing.settle and seen.oldest <= where.since:
                return seen
            fresh = _Seen(began=self._wall(), oldest=where.since, lock=seen.lock)
            async for message in self._messages(where.channel, where.thread, where.since):
                self._note(fresh, message)
            self._seen[place] = fresh
            return fresh

    def _note(self, seen: _Seen, message: dict[str, Any]) -> None:
        if not (message.get("bot_id") or message.get("app_id")):
            return
        for file in message.get("files") or []:
            seen.files.setdefault(str(file.get("name")), message["ts"])
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        if metadata.get("event_type") in {METADATA_EVENT, NOTICE_EVENT}:
            # Of two that should never be, the older is the one that people have answered to.
            key = (str(payload.get("deployment_id") or ""), str(payload.get("key")))
            known = seen.ours.get(key)
            seen.ours[key] = message["ts"] if known is None else min(known, message["ts"])

    async def _messages(self, channel: str, thread: str | None, since: float) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            if wait := self._budget.look():
                raise Limited("conversations.history", wait)
            self._budget.looked()
            client = self._client
            method = "conversations.history" if thread is None else "conversations.replies"
            read = client.conversations_history if thread is None else partial(client.conversations_replies, ts=thread)
            oldest = f"{since:.6f}"
            answer = await self._call(
                method,
                partial(read, channel=channel, oldest=oldest, limit=_PAGE, cursor=cursor, include_all_metadata=True),
            )
            for message in answer.get("messages") or []:
                yield message
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not answer.get("has_more") or not cursor:
                return

    async def _content(self, method: str, call: Callable[[dict[str, Any]], Awaitable[Any]], message: Message) -> Any:
        """Call with the message's content, or with its sentence alone when Slack does not take the blocks."""
        content: dict[str, Any] = {"text": message.text, "blocks": message.blocks, "metadata": message.metadata}
        try:
            return await self._call(method, lambda: call(content))
        except BadContent as refusal:
            log.error("%s; it is told as plain text: %.200s", refusal, message.text)
            bare = {**content, "blocks": []} if "metadata" not in refusal.error else {**content, "metadata": {}}
            return await self._call(method, lambda: call(bare))

    async def _call(self, method: str, call: Callable[[], Awaitable[Any]]) -> Any:
        if wait := self._budget.paused(method):
            raise Limited(method, wait)
        try:
            async with asyncio.timeout(self._pacing.call):
                answer = await call()
        except SlackApiError as error:
            raise self._failure(method, error) from error
        except aiohttp.ClientConnectorError as error:
            raise NotSent(method, type(error).__name__) from error
        except (TimeoutError, OSError, aiohttp.ClientError, SlackClientError, AttributeError, ValueError) as error:
            # AttributeError and ValueError: the SDK meets a body that is no Slack answer, such as a proxy's page.
            raise Lost(method, type(error).__name__) from error
        self.answers += 1
        return answer

    def _failure(self, method: str, error: SlackApiError) -> CallFailed:
        response = error.response
        status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
        data = getattr(response, "data", None)
        code = str(data.get("error") or "") if isinstance(data, dict) else ""
        if status == 429 or code == "ratelimited":
            headers = {name.lower(): value for name, value in dict(response.headers or {}).items()}
            try:
                seconds = max(0.1, float(headers.get("retry-after") or 1))
            except ValueError:
                seconds = 1.0
            self._budget.pause(method, seconds)
            return Limited(method, seconds)
        if status >= 500 or code in _UNSURE or not code:
            return Lost(method, code or f"HTTP {status}")
        if code in _GONE:
            return Gone(method, code)
        if code in _CONTENT:
            return BadContent(method, code)
        return Refused(method, code)
