"""Records as Slack writes them in JSON. Pure: a record in, a dict out, nothing announced or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox import seed

if TYPE_CHECKING:
    from bot.sandbox.model import Channel, JsonDict, Message, Person, StoredFile, View
    from bot.sandbox.workspace import Workspace


def message(ws: Workspace, msg: Message, *, metadata: bool = False) -> JsonDict:
    """A message as conversations.history and interaction payloads carry it."""
    wire: JsonDict = {
        "type": "message",
        "user": msg.user,
        "ts": msg.ts,
        "text": msg.text,
        "team": ws.team_id,
    }
    if msg.subtype:
        wire["subtype"] = msg.subtype
    if msg.is_bot and msg.user == ws.bot_user:
        wire["bot_id"] = ws.bot_id
        wire["app_id"] = ws.app_id
        wire["bot_profile"] = bot_profile(ws)
    if msg.blocks:
        wire["blocks"] = msg.blocks
    if msg.attachments:
        wire["attachments"] = msg.attachments
    if msg.thread_ts:
        wire["thread_ts"] = msg.thread_ts
        if msg.is_reply:
            wire["parent_user_id"] = root_author(ws, msg)
    if msg.replies:
        users = reply_users(ws, msg)
        wire |= {
            "reply_count": len(msg.replies),
            "reply_users_count": len(users),
            "reply_users": users,
            "latest_reply": msg.replies[-1],
            "is_locked": False,
            "subscribed": True,
        }
    if msg.edited_ts:
        wire["edited"] = {"user": msg.user, "ts": msg.edited_ts}
    if msg.files:
        wire["files"] = [file(ws, ws.files[identifier]) for identifier in msg.files]
        wire["upload"] = False
    if msg.reactions:
        wire["reactions"] = [
            {"name": name, "users": users, "count": len(users)} for name, users in msg.reactions.items()
        ]
    if metadata and msg.metadata:
        wire["metadata"] = msg.metadata
    return wire


def root_author(ws: Workspace, msg: Message) -> str:
    root = ws.channels[msg.channel].messages.get(msg.thread_ts or "")
    return root.user if root else ""


def reply_users(ws: Workspace, root: Message) -> list[str]:
    """Who has replied, in order of first reply."""
    messages = ws.channels[root.channel].messages
    return list(dict.fromkeys(messages[ts].user for ts in root.replies if ts in messages))


def bot_profile(ws: Workspace) -> JsonDict:
    bot = ws.people[ws.bot_user]
    return {
        "id": ws.bot_id,
        "deleted": False,
        "name": bot.real_name,
        "updated": 0,
        "app_id": ws.app_id,
        "user_id": bot.id,
        "icons": {},
        "team_id": ws.team_id,
    }


def user(ws: Workspace, person: Person) -> JsonDict:
    """The user object of users.info."""
    profile: JsonDict = {
        "real_name": person.real_name,
        "real_name_normalized": person.real_name,
        "display_name": "" if person.is_bot else person.name,
        "display_name_normalized": "" if person.is_bot else person.name,
        "title": "",
        "phone": "",
        "status_text": "",
        "status_emoji": "",
        "team": ws.team_id,
    }
    if person.email is not None:
        profile["email"] = person.email
    if person.id == ws.bot_user:
        profile |= {"api_app_id": ws.app_id, "bot_id": ws.bot_id, "always_active": True}
    wire: JsonDict = {
        "id": person.id,
        "team_id": ws.team_id,
        "name": person.name,
        "deleted": person.deleted,
        "profile": profile,
        "is_bot": person.is_bot and person.id != seed.SLACKBOT,
        "is_app_user": False,
        "updated": 0,
    }
    if not person.deleted:
        wire |= {
            "real_name": person.real_name,
            "tz": person.tz,
            "tz_label": person.tz,
            "tz_offset": person.tz_offset(),
            "is_admin": person.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": person.is_restricted,
            "is_ultra_restricted": person.is_ultra_restricted,
            "is_stranger": person.is_stranger,
            "is_email_confirmed": True,
            "who_can_share_contact_card": "EVERYONE",
        }
    return wire


def channel(ws: Workspace, conversation: Channel, *, members: bool = False) -> JsonDict:
    """The channel object of conversations.info, as the bot sees it."""
    wire: JsonDict = {
        "id": conversation.id,
        "created": conversation.created,
        "is_archived": conversation.is_archived,
        "is_im": conversation.is_im,
        "is_mpim": conversation.is_mpim,
        "is_channel": not (conversation.is_im or conversation.is_mpim or conversation.is_private),
        "is_group": conversation.is_private and not (conversation.is_im or conversation.is_mpim),
        "is_private": conversation.is_private,
        "is_shared": False,
        "is_org_shared": False,
        "is_ext_shared": False,
        "context_team_id": ws.team_id,
        "updated": conversation.created * 1000,
    }
    if conversation.is_im:
        person = ws.people.get(conversation.im_user or "")
        wire |= {"user": conversation.im_user, "is_user_deleted": bool(person and person.deleted), "priority": 0}
    else:
        wire |= {
            "name": conversation.name,
            "name_normalized": conversation.name,
            "is_general": conversation.name == "general",
            "is_member": ws.bot_user in conversation.members,
            "creator": "U0ADA",
            "topic": {"value": conversation.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "previous_names": [],
            "shared_team_ids": [ws.team_id],
        }
    if members:
        wire["num_members"] = len(conversation.members)
    return wire


def view(ws: Workspace, shown: View) -> JsonDict:
    """A view as views.* answer with it and interaction payloads carry it, its fields' state included."""
    body = shown.body
    empty: Any = ""
    return {
        "id": shown.id,
        "team_id": ws.team_id,
        "type": shown.type,
        "blocks": shown.blocks,
        "private_metadata": body.get("private_metadata", empty),
        "callback_id": body.get("callback_id", empty),
        "state": {"values": shown.values},
        "hash": shown.hash,
        "title": body.get("title"),
        "clear_on_close": bool(body.get("clear_on_close", False)),
        "notify_on_close": bool(body.get("notify_on_close", False)),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "previous_view_id": shown.previous_id,
        "root_view_id": shown.root_id,
        "app_id": ws.app_id,
        "external_id": body.get("external_id", empty),
        "app_installed_team_id": ws.team_id,
        "bot_id": ws.bot_id,
    }


def file(ws: Workspace, stored: StoredFile) -> JsonDict:
    """The file object of files.info."""
    link = f"{ws.base_url}/sandbox/files/{stored.id}"
    suffix = stored.name.rpartition(".")[2] if "." in stored.name else ""
    return {
        "id": stored.id,
        "created": stored.created,
        "timestamp": stored.created,
        "name": stored.name,
        "title": stored.title or stored.name,
        "mimetype": stored.mimetype,
        "filetype": suffix or "binary",
        "pretty_type": suffix.upper() or "Binary",
        "user": stored.user,
        "user_team": ws.team_id,
        "size": stored.length,
        "mode": "hosted",
        "is_external": False,
        "is_public": bool(stored.channels),
        "url_private": link,
        "url_private_download": link,
        "permalink": link,
        "channels": stored.channels,
        "groups": [],
        "ims": [],
        "has_rich_preview": False,
        **({"alt_txt": stored.alt} if stored.alt else {}),
        "file_access": "visible",
    }
