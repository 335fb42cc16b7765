"""What an app says through a response_url or in the ack of a command: to one person or to all, new or in place.

Counts the uses of a response_url; a used-up or expired one is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.model import Message, SlackError
from bot.sandbox.webapi import _content
from bot.sandbox.webapi._base import Args

if TYPE_CHECKING:
    from bot.sandbox.model import Hook, JsonDict
    from bot.sandbox.workspace import Workspace

MOST_USES = 5


def use(ws: Workspace, hook_id: str, body: JsonDict) -> None:
    """One post to a response_url; SlackError when it is invented, expired, used up or the content is bad."""
    hook = ws.hooks.get(hook_id)
    if hook is None:
        raise SlackError("no_service")
    if hook.expires_at < ws.now():
        raise SlackError("expired_url")
    if hook.uses >= MOST_USES:
        raise SlackError("used_url")
    respond(ws, hook, body)
    hook.uses += 1


def respond(ws: Workspace, hook: Hook, body: JsonDict) -> None:
    """Carry out a response for the person and place that the hook stands for."""
    args = Args(body)
    original = hook.original
    if args.flag("delete_original"):
        if original is None or original.deleted:
            raise SlackError("message_not_found")
        ws.delete(original)
        return
    content = _content.read(args)
    if content.is_empty:
        raise SlackError("no_text")
    if args.flag("replace_original") and original is not None:
        if original.deleted:
            raise SlackError("message_not_found")
        original.text = content.text
        original.blocks = content.blocks or []
        original.attachments = content.attachments
        ws.changed(original)
        return
    message = Message(
        hook.channel,
        ws.next_ts(),
        ws.bot_user,
        content.text,
        content.blocks or [],
        is_bot=True,
        thread_ts=args.get("thread_ts"),
        attachments=content.attachments,
        metadata=content.metadata or None,
    )
    if args.get("response_type") == "in_channel":
        ws.post(message)
    else:
        message.ephemeral_for = hook.user
        ws.whisper(message)
