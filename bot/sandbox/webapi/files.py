"""files.*: the two-step external upload, and what became of it. The bytes themselves come to POST /upload/<id>."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.sandbox import wire
from bot.sandbox.model import Message, SlackError, StoredFile
from bot.sandbox.webapi import _content
from bot.sandbox.webapi._base import invalid_arguments, page, writable_channel
from bot.sandbox.webapi.chat import thread_of

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict
    from bot.sandbox.webapi._base import Api, Args, Method
    from bot.sandbox.workspace import Workspace

LARGEST = 1024**3


def get_upload_url(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    name, length = args.need("filename"), args.number("length", -1)
    if length < 0:
        raise invalid_arguments("[ERROR] missing required field: length")
    if length == 0:
        raise SlackError("file_upload_size_restricted")
    if length > LARGEST:
        raise SlackError("file_too_large")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    stored = StoredFile(ws.new_id("F"), name, length, ws.bot_user, int(ws.now()), mimetype=kind)
    stored.alt = args.get("alt_txt") or ""
    ws.files[stored.id] = stored
    return {"upload_url": f"{ws.base_url}/upload/{stored.id}", "file_id": stored.id}


async def receive(ws: Workspace, request: web.Request) -> web.Response:
    """POST /upload/<id>: the raw bytes, or one part of a multipart form."""
    stored = ws.files.get(request.match_info["file_id"])
    if stored is None or stored.shared:
        return web.Response(status=404, text="no such upload")
    if request.content_type == "multipart/form-data":
        form = await request.post()
        parts = [part.file.read() for part in form.values() if isinstance(part, web.FileField)]
        content = parts[0] if parts else b""
    else:
        content = await request.read()
    if len(content) != stored.length:
        return web.Response(status=400, text=f"expected {stored.length} bytes, received {len(content)}")
    stored.content = content
    return web.Response(text=f"OK - {len(content)}")


def complete_upload(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    listed = args.structure("files", "invalid_arguments")
    if not isinstance(listed, list) or not listed:
        raise invalid_arguments("[ERROR] must have at least 1 item [json-pointer:/files]")
    chosen = [_uploaded(ws, entry) for entry in listed]
    targets = [args.get("channel_id"), *(args.get("channels") or "").split(",")]
    channels = [writable_channel(api, identifier) for identifier in targets if identifier]
    threads = [thread_of(channel, args) for channel in channels]
    blocks = args.structure("blocks", "invalid_blocks_format")
    if blocks is not None:
        _content.check_blocks(blocks)
    for entry, stored in zip(listed, chosen, strict=True):
        stored.title = str(entry.get("title") or stored.name)
        stored.shared = True
        stored.channels = [channel.id for channel in channels]
    for channel, thread_ts in zip(channels, threads, strict=True):
        ws.post(
            Message(
                channel.id,
                ws.next_ts(),
                ws.bot_user,
                args.get("initial_comment") or "",
                blocks or [],
                is_bot=True,
                thread_ts=thread_ts,
                files=[stored.id for stored in chosen],
            )
        )
    return {"files": [wire.file(ws, stored) for stored in chosen]}


def _uploaded(ws: Workspace, entry: Any) -> StoredFile:
    identifier = entry.get("id") if isinstance(entry, dict) else None
    stored = ws.files.get(str(identifier))
    if stored is None or stored.content is None:
        raise SlackError("file_not_found")
    if stored.shared:
        raise SlackError("file_already_completed")
    return stored


def info(api: Api, args: Args) -> JsonDict:
    return {"file": wire.file(api.ws, _shared(api, args)), "comments": [], "response_metadata": {"next_cursor": ""}}


def list_(api: Api, args: Args) -> JsonDict:
    found = [stored for stored in api.ws.files.values() if stored.shared]
    chosen, following = page(found, args)
    return {
        "files": [wire.file(api.ws, stored) for stored in chosen],
        "response_metadata": {"next_cursor": following},
    }


def delete(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    stored = _shared(api, args)
    del ws.files[stored.id]
    for identifier in stored.channels:
        for message in list(ws.channels[identifier].messages.values()):
            if stored.id in message.files:
                message.files.remove(stored.id)
                ws.changed(message)
    return {}


def _shared(api: Api, args: Args) -> StoredFile:
    stored = api.ws.files.get(args.need("file"))
    if stored is None or not stored.shared:
        raise SlackError("file_not_found")
    return stored


METHODS: dict[str, Method] = {
    "files.getUploadURLExternal": get_upload_url,
    "files.completeUploadExternal": complete_upload,
    "files.info": info,
    "files.list": list_,
    "files.delete": delete,
}
