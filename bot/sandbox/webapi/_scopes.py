"""Which scope a method asks for; any one of the set is enough. Methods that are not here need none."""

from __future__ import annotations

_READ = frozenset({"channels:read", "groups:read", "im:read", "mpim:read"})
_HISTORY = frozenset({"channels:history", "groups:history", "im:history", "mpim:history"})
_WRITE = frozenset({"chat:write"})
_ASSISTANT = frozenset({"assistant:write", "chat:write"})

NEEDED: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "chat.postMessage",
            "chat.update",
            "chat.delete",
            "chat.postEphemeral",
            "chat.scheduleMessage",
            "chat.deleteScheduledMessage",
            "chat.startStream",
            "chat.appendStream",
            "chat.stopStream",
        ),
        _WRITE,
    ),
    **dict.fromkeys(("conversations.info", "conversations.list", "conversations.members"), _READ),
    **dict.fromkeys(("conversations.history", "conversations.replies"), _HISTORY),
    "conversations.open": frozenset({"im:write", "mpim:write", "channels:manage", "groups:write"}),
    "conversations.join": frozenset({"channels:join"}),
    "users.info": frozenset({"users:read"}),
    "users.list": frozenset({"users:read"}),
    "users.lookupByEmail": frozenset({"users:read.email"}),
    "usergroups.list": frozenset({"usergroups:read"}),
    "usergroups.users.list": frozenset({"usergroups:read"}),
    "files.getUploadURLExternal": frozenset({"files:write"}),
    "files.completeUploadExternal": frozenset({"files:write"}),
    "files.delete": frozenset({"files:write"}),
    "files.info": frozenset({"files:read"}),
    "files.list": frozenset({"files:read"}),
    "reactions.add": frozenset({"reactions:write"}),
    "reactions.remove": frozenset({"reactions:write"}),
    "pins.add": frozenset({"pins:write"}),
    "pins.remove": frozenset({"pins:write"}),
    "bookmarks.add": frozenset({"bookmarks:write"}),
    "bookmarks.list": frozenset({"bookmarks:read"}),
    "team.info": frozenset({"team:read"}),
    "bots.info": frozenset({"users:read"}),
    "assistant.threads.setStatus": _ASSISTANT,
    "assistant.threads.setTitle": _ASSISTANT,
    "assistant.threads.setSuggestedPrompts": _ASSISTANT,
}

ALL = frozenset().union(*NEEDED.values()) | {"commands", "app_mentions:read"}
