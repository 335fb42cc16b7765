"""Views in people's hands: opening, pushing, updating, publishing; by a call or by the answer to a submission.

Checks as Slack does and raises SlackError with its words.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from bot.sandbox import blocks as block_kit
from bot.sandbox.block_elements import initial_values
from bot.sandbox.model import SlackError, View

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict, Trigger
    from bot.sandbox.workspace import Workspace

DEEPEST = 3
LARGEST = 250_000


def checked(body: Any, kind: str) -> JsonDict:
    """A view definition that Slack would take, its blocks named."""
    if not isinstance(body, dict):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] must provide an object"]})
    faults = block_kit.view_faults(body)
    if not faults and body["type"] != kind:
        faults = [f"[ERROR] must be a {kind} view [json-pointer:/view/type]"]
    if faults:
        raise SlackError("invalid_arguments", response_metadata={"messages": faults})
    if len(json.dumps(body)) > LARGEST:
        raise SlackError("view_too_large")
    block_kit.name_blocks(body["blocks"])
    return body


def exchange(ws: Workspace, trigger_id: str) -> Trigger:
    """Use up a trigger."""
    trigger = ws.triggers.get(trigger_id)
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if trigger.expires_at < ws.now():
        raise SlackError("expired_trigger_id")
    trigger.used = True
    return trigger


def _make(ws: Workspace, user: str, body: JsonDict, *, below: View | None = None) -> View:
    external = body.get("external_id")
    if external and any(view.body.get("external_id") == external for view in ws.views.values()):
        raise SlackError("duplicate_external_id")
    identifier = ws.new_id("V")
    view = View(
        identifier,
        user,
        body,
        new_hash(ws),
        root_id=below.root_id if below else identifier,
        previous_id=below.id if below else None,
        values=initial_values(body["blocks"]),
        updated_at=ws.now(),
    )
    ws.views[identifier] = view
    return view


def new_hash(ws: Workspace) -> str:
    return f"{int(ws.now())}.{secrets.token_hex(4)}"


def open_(ws: Workspace, trigger: Trigger, body: JsonDict) -> View:
    """Show a modal: on top of the one the trigger came from, else instead of whatever was open."""
    if trigger.view_id is not None and trigger.view_id in ws.views and ws.modals.get(trigger.user):
        return push(ws, trigger.user, body)
    for old in ws.modals.pop(trigger.user, []):
        ws.views.pop(old.id, None)
    view = _make(ws, trigger.user, body)
    ws.modals[trigger.user] = [view]
    ws.feed.publish("modal", user=trigger.user, view=view)
    return view


def push(ws: Workspace, user: str, body: JsonDict) -> View:
    stack = ws.modals.get(user)
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= DEEPEST:
        raise SlackError("push_limit_reached")
    view = _make(ws, user, body, below=stack[-1])
    stack.append(view)
    ws.feed.publish("modal", user=user, view=view)
    return view


def replace(ws: Workspace, view: View, body: JsonDict) -> View:
    """Give a view new content. What stands in fields that stay (same block, action and type) stays."""
    old = view.values
    fresh = initial_values(body["blocks"])
    for block_id, actions in fresh.items():
        for action_id, state in actions.items():
            kept = old.get(block_id, {}).get(action_id)
            if kept is not None and kept["type"] == state["type"]:
                actions[action_id] = kept
    view.body, view.values, view.errors = body, fresh, {}
    view.hash, view.updated_at = new_hash(ws), ws.now()
    ws.feed.publish("home" if view.type == "home" else "modal", user=view.user, view=view)
    return view


def publish(ws: Workspace, user: str, body: JsonDict) -> View:
    """Put a Home tab in place; its id stays the same for a person."""
    view = ws.homes.get(user)
    if view is not None:
        # A Home tab keeps nothing of what stood in its fields.
        view.values = {}
        return replace(ws, view, body)
    view = _make(ws, user, body)
    ws.homes[user] = view
    ws.feed.publish("home", user=user, view=view)
    return view


def follow(ws: Workspace, view: View, answer: JsonDict) -> bool:
    """Do what an app's answer to a submission asks for; True when it found faults in what was filled in.

    SlackError when the answer is one that Slack would not understand.
    """
    match answer.get("response_action"):
        case None:
            stack = ws.modals.get(view.user, [])
            if view in stack:
                ws.close_modals(view.user, down_to=stack.index(view))
        case "errors":
            errors = answer.get("errors")
            known = {block["block_id"] for block in view.blocks if block.get("type") == "input"}
            if not isinstance(errors, dict) or not errors or not set(errors) <= known:
                raise SlackError("invalid_errors")
            return True
        case "clear":
            ws.close_modals(view.user)
        case "update":
            replace(ws, view, checked(answer.get("view"), "modal"))
        case "push":
            push(ws, view.user, checked(answer.get("view"), "modal"))
        case _:
            raise SlackError("invalid_response_action")
    return False
