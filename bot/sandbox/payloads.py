"""What Slack sends to an app, field by field. Pure builders: they announce nothing and deliver nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import wire

if TYPE_CHECKING:
    from bot.sandbox.model import Button, Channel, Command, JsonDict, Message, Person, View
    from bot.sandbox.workspace import Workspace


def command(
    ws: Workspace, person: Person, channel: Channel, declared: Command, text: str, trigger_id: str, url: str
) -> JsonDict:
    """A slash command (form fields in HTTP mode, hence all strings)."""
    return {
        "token": ws.verification_token,
        "team_id": ws.team_id,
        "team_domain": ws.team_domain,
        "channel_id": channel.id,
        "channel_name": channel.command_name,
        "user_id": person.id,
        "user_name": person.name,
        "command": declared.command,
        "text": text,
        "api_app_id": ws.app_id,
        "is_enterprise_install": "false",
        "response_url": url,
        "trigger_id": trigger_id,
    }


def interaction(ws: Workspace, kind: str, person: Person, trigger_id: str | None) -> JsonDict:
    """What every interactive payload starts with."""
    payload: JsonDict = {
        "type": kind,
        "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": ws.team_id},
        "api_app_id": ws.app_id,
        "token": ws.verification_token,
        "team": {"id": ws.team_id, "domain": ws.team_domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    if trigger_id is not None:
        payload["trigger_id"] = trigger_id
    return payload


def in_message(ws: Workspace, message: Message, values: JsonDict) -> JsonDict:
    """Where an action happened, when it was on a message. An ephemeral one is not quoted, as in Slack."""
    channel = ws.channels[message.channel]
    container: JsonDict = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": message.ephemeral_for is not None,
    }
    if message.is_reply:
        container["thread_ts"] = message.thread_ts
    place: JsonDict = {
        "container": container,
        "channel": {"id": channel.id, "name": channel.command_name},
        "state": {"values": values},
    }
    if message.ephemeral_for is None:
        place["message"] = wire.message(ws, message)
    return place


def in_view(ws: Workspace, view: View) -> JsonDict:
    """Where an action happened, when it was in a modal or on the Home tab."""
    return {"container": {"type": "view", "view_id": view.id}, "view": wire.view(ws, view)}


def suggestion(
    ws: Workspace, person: Person, place: JsonDict, *, action_id: str, block_id: str, query: str
) -> JsonDict:
    """block_suggestion: the options of an external select are wanted."""
    payload = interaction(ws, "block_suggestion", person, None)
    payload |= {"action_id": action_id, "block_id": block_id, "value": query}
    return payload | {key: value for key, value in place.items() if key != "state"}


def submission(ws: Workspace, person: Person, view: View, trigger_id: str) -> JsonDict:
    payload = interaction(ws, "view_submission", person, trigger_id)
    return payload | {"view": wire.view(ws, view), "response_urls": []}


def closed(ws: Workspace, person: Person, view: View, *, cleared: bool) -> JsonDict:
    payload = interaction(ws, "view_closed", person, None)
    return payload | {"view": wire.view(ws, view), "is_cleared": cleared}


def event(ws: Workspace, body: JsonDict) -> JsonDict:
    """The Events API envelope around one event."""
    return {
        "token": ws.verification_token,
        "team_id": ws.team_id,
        "context_team_id": ws.team_id,
        "context_enterprise_id": None,
        "api_app_id": ws.app_id,
        "event": body,
        "type": "event_callback",
        "event_id": ws.new_id("Ev"),
        "event_time": int(ws.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": ws.team_id,
                "user_id": ws.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{ws.new_id('EC')}",
    }


def message_event(ws: Workspace, message: Message, kind: str) -> JsonDict:
    """app_mention, or message (with the channel's type)."""
    channel = ws.channels[message.channel]
    body: JsonDict = {
        "user": message.user,
        "type": kind,
        "ts": message.ts,
        "client_msg_id": ws.new_id("MSG"),
        "text": message.text,
        "team": ws.team_id,
        "channel": message.channel,
        "event_ts": message.ts,
        "blocks": message.blocks,
    }
    if message.is_reply:
        body["thread_ts"] = message.thread_ts
        body["parent_user_id"] = wire.root_author(ws, message)
    if kind == "message":
        kinds = {"im": channel.is_im, "mpim": channel.is_mpim, "group": channel.is_private}
        body["channel_type"] = next((name for name, holds in kinds.items() if holds), "channel")
    return body


def home_opened(ws: Workspace, person: Person, channel: Channel, tab: str) -> JsonDict:
    body: JsonDict = {
        "type": "app_home_opened",
        "user": person.id,
        "channel": channel.id,
        "tab": tab,
        "event_ts": ws.next_ts(),
    }
    if tab == "home" and (home := ws.homes.get(person.id)):
        body["view"] = wire.view(ws, home)
    return body


def pressed(button: Button) -> JsonDict:
    """The action of a button, whatever its message looks like by now."""
    text = {"type": "plain_text", "text": button.label, "emoji": False}
    action: JsonDict = {"type": "button", "block_id": button.block_id, "action_id": button.action_id, "text": text}
    return action if button.value is None else action | {"value": button.value}
