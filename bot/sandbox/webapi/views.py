"""views.*: modals and the Home tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import view_stack, wire
from bot.sandbox.model import SlackError
from bot.sandbox.webapi._base import invalid_arguments

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict, View
    from bot.sandbox.webapi._base import Api, Args, Method


def _body(args: Args, kind: str) -> JsonDict:
    given = args.structure("view", "invalid_arguments")
    if given is None:
        raise invalid_arguments("[ERROR] missing required field: view")
    return view_stack.checked(given, kind)


def _trigger(args: Args) -> str:
    return args.get("trigger_id") or args.need("interactivity_pointer")


def _fresh(api: Api, args: Args, view: View | None) -> None:
    """Refuse a change that was made from an older picture of the view."""
    given = args.get("hash")
    if given is not None and (view is None or given != view.hash or api.faults.makes_hash_stale()):
        raise SlackError("hash_conflict")


def open_(api: Api, args: Args) -> JsonDict:
    trigger_id, body = _trigger(args), _body(args, "modal")
    view = view_stack.open_(api.ws, view_stack.exchange(api.ws, trigger_id), body)
    return {"view": wire.view(api.ws, view)}


def push(api: Api, args: Args) -> JsonDict:
    trigger_id, body = _trigger(args), _body(args, "modal")
    trigger = view_stack.exchange(api.ws, trigger_id)
    return {"view": wire.view(api.ws, view_stack.push(api.ws, trigger.user, body))}


def update(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    view_id, external_id = args.get("view_id"), args.get("external_id")
    if view_id is None and external_id is None:
        raise invalid_arguments("[ERROR] missing required field: view_id")
    if view_id is not None:
        view = ws.views.get(view_id)
    else:
        view = next((v for v in ws.views.values() if v.body.get("external_id") == external_id), None)
    if view is None:
        raise SlackError("not_found")
    body = _body(args, view.type)
    _fresh(api, args, view)
    return {"view": wire.view(ws, view_stack.replace(ws, view, body))}


def publish(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    person = ws.people.get(args.need("user_id"))
    if person is None or person.deleted or person.is_bot:
        raise invalid_arguments("[ERROR] user not found [json-pointer:/user_id]")
    body = _body(args, "home")
    if "app_home_opened" not in ws.events:
        raise SlackError("not_enabled")
    _fresh(api, args, ws.homes.get(person.id))
    return {"view": wire.view(ws, view_stack.publish(ws, person.id, body))}


METHODS: dict[str, Method] = {
    "views.open": open_,
    "views.push": push,
    "views.update": update,
    "views.publish": publish,
}
