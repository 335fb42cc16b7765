"""chat.startStream, appendStream and stopStream: messages that grow, for five minutes at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox import wire
from bot.sandbox.model import Message, SlackError
from bot.sandbox.webapi import _content
from bot.sandbox.webapi._base import invalid_arguments, visible_channel, writable_channel

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict
    from bot.sandbox.webapi._base import Api, Args, Method

STREAM_SECONDS = 5 * 60.0
TASK_STATES = {"pending", "in_progress", "complete", "error"}


def start(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = writable_channel(api, args.need("channel"))
    thread_ts = args.need("thread_ts")
    if thread_ts not in channel.messages:
        raise SlackError("invalid_thread_ts")
    if not channel.is_im:
        for name in ("recipient_user_id", "recipient_team_id"):
            if args.get(name) is None:
                raise SlackError(f"missing_{name}")
    message = Message(channel.id, ws.next_ts(), ws.bot_user, is_bot=True, thread_ts=thread_ts)
    message.streaming = {
        "until": ws.now() + STREAM_SECONDS,
        "markdown": "",
        "title": None,
        "tasks": {},
        "display": args.get("task_display_mode") or "timeline",
    }
    _grow(message, args)
    ws.post(message)
    return {"channel": channel.id, "ts": message.ts}


def append(api: Api, args: Args) -> JsonDict:
    message = _streaming(api, args)
    if args.get("markdown_text") is None and args.raw.get("chunks") is None:
        raise SlackError("no_text")
    _grow(message, args)
    api.ws.changed(message)
    return {"channel": message.channel, "ts": message.ts}


def stop(api: Api, args: Args) -> JsonDict:
    message = _streaming(api, args)
    blocks = args.structure("blocks", "invalid_blocks_format")
    if blocks is not None:
        _content.check_blocks(blocks)
    metadata = _content.metadata(args)
    _grow(message, args)
    message.blocks = message.blocks + (blocks or [])
    message.metadata = metadata or message.metadata
    message.streaming = None
    api.ws.changed(message)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "message": wire.message(api.ws, message, metadata=True),
    }


def _streaming(api: Api, args: Args) -> Message:
    channel = visible_channel(api, args.need("channel"))
    message = channel.messages.get(args.need("ts"))
    if message is None:
        raise SlackError("message_not_found")
    if message.user != api.ws.bot_user:
        raise SlackError("message_not_owned_by_app")
    if message.streaming is None or message.streaming["until"] <= api.ws.now():
        raise SlackError("message_not_in_streaming_state")
    return message


def _grow(message: Message, args: Args) -> None:
    state = message.streaming
    assert state is not None
    markdown = args.get("markdown_text")
    chunks = args.structure("chunks", "invalid_chunks")
    if markdown is not None and chunks:
        raise SlackError("cannot_provide_both_markdown_text_and_chunks")
    if markdown is not None and len(markdown) > _content.LONGEST_MARKDOWN:
        raise SlackError("msg_too_long")
    grown: JsonDict = {**state, "tasks": dict(state["tasks"])}
    grown["markdown"] += markdown or ""
    for index, chunk in enumerate(chunks or []):
        _take(grown, chunk, index)
    message.streaming = grown
    message.text = grown["markdown"]
    message.blocks = _rendered(grown)


def _take(state: JsonDict, chunk: Any, index: int) -> None:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    pointer = f"[json-pointer:/chunks/{index}]"
    match kind:
        case "markdown_text":
            state["markdown"] += str(chunk.get("text", ""))
        case "plan_update":
            state["title"] = str(chunk.get("title", ""))
        case "task_update":
            if not chunk.get("id") or not chunk.get("title"):
                raise invalid_arguments(f"[ERROR] missing required field: id, title {pointer}")
            if chunk.get("status") not in TASK_STATES:
                raise invalid_arguments(f"[ERROR] unknown task status {pointer}")
            state["tasks"][chunk["id"]] = chunk
        case _:
            raise invalid_arguments(f"[ERROR] unsupported chunk type {pointer}")


def _rendered(state: JsonDict) -> list[JsonDict]:
    blocks: list[JsonDict] = []
    cards = [
        {
            "type": "task_card",
            "block_id": f"task-{identifier}",
            "task_id": identifier,
            "title": task["title"],
            "status": task["status"],
        }
        for identifier, task in state["tasks"].items()
    ]
    if cards and state["display"] == "plan":
        blocks.append({"type": "plan", "block_id": "plan", "title": state["title"] or "Plan", "tasks": cards})
    else:
        blocks += cards
    if state["markdown"]:
        blocks.append({"type": "markdown", "block_id": "stream", "text": state["markdown"]})
    return blocks


METHODS: dict[str, Method] = {
    "chat.startStream": start,
    "chat.appendStream": append,
    "chat.stopStream": stop,
}
