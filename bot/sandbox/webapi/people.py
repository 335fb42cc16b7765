"""users.* and usergroups.*: who is there, and who belongs to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import wire
from bot.sandbox.model import SlackError
from bot.sandbox.webapi._base import page

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict, UserGroup
    from bot.sandbox.webapi._base import Api, Args, Method


def info(api: Api, args: Args) -> JsonDict:
    person = api.ws.people.get(args.need("user"))
    if person is None:
        raise SlackError("user_not_found")
    return {"user": wire.user(api.ws, person)}


def lookup_by_email(api: Api, args: Args) -> JsonDict:
    email = args.need("email").casefold()
    for person in api.ws.people.values():
        if person.email is not None and person.email.casefold() == email and not person.deleted:
            return {"user": wire.user(api.ws, person)}
    raise SlackError("users_not_found")


def list_(api: Api, args: Args) -> JsonDict:
    chosen, following = page(list(api.ws.people.values()), args, default=1000)
    return {
        "members": [wire.user(api.ws, person) for person in chosen],
        "cache_ts": int(api.ws.now()),
        "response_metadata": {"next_cursor": following},
    }


def _group(api: Api, group: UserGroup, *, users: bool, count: bool) -> JsonDict:
    described: JsonDict = {
        "id": group.id,
        "team_id": api.ws.team_id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": "",
        "handle": group.handle,
        "is_external": False,
        "date_create": 0,
        "date_update": 0,
        "date_delete": 0,
        "auto_type": None,
        "created_by": "U0ADA",
        "updated_by": "U0ADA",
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
    }
    if users:
        described["users"] = group.users
    if count:
        described["user_count"] = len(group.users)
    return described


def groups(api: Api, args: Args) -> JsonDict:
    users, count = args.flag("include_users"), args.flag("include_count")
    return {"usergroups": [_group(api, group, users=users, count=count) for group in api.ws.groups.values()]}


def group_users(api: Api, args: Args) -> JsonDict:
    group = api.ws.groups.get(args.need("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": group.users}


METHODS: dict[str, Method] = {
    "users.info": info,
    "users.lookupByEmail": lookup_by_email,
    "users.list": list_,
    "usergroups.list": groups,
    "usergroups.users.list": group_users,
}
