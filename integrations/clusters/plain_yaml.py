"""A file of somebody else in YAML, read without trust: mappings, lists and text, and nothing that grows.

Aliases, tags and merge keys are refused, so what is read is never larger than what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from integrations.clusters.credentials import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 24
_MAX_NODES = 50_000

Plain = str | None | list["Plain"] | dict[str, "Plain"]


def read(data: bytes) -> dict[str, Plain]:
    """The mapping in ``data``. All scalars are text, as written; nothing is None. Raises `Unusable`."""
    if len(data) > MAX_BYTES:
        raise Unusable(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable("it is not UTF-8") from None
    root = _Builder().built(text)
    if not isinstance(root, dict):
        raise Unusable("it holds no keys with values")
    return root


class _Builder:
    """Builds from the parser's events, without recursion."""

    def __init__(self) -> None:
        self._open: list[dict[str, Plain] | list[Plain]] = []
        self._keys: list[str | None] = []
        self._root: Plain = None
        self._nodes = 0

    def built(self, text: str) -> Plain:
        from ruamel.yaml import events as ev

        documents = 0
        for event in _events(text):
            line = event.start_mark.line + 1
            if isinstance(event, ev.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unusable(f"a second document begins in line {line}")
            elif isinstance(event, ev.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise Unusable(f"line {line} has an alias or an anchor, which are not read here")
            elif getattr(event, "tag", None) is not None:
                raise Unusable(f"line {line} has a tag, which is not read here")
            elif isinstance(event, ev.ScalarEvent):
                # A text with a quote is text; a plain one is nothing where YAML says so.
                empty = not event.style and event.value in ("", "~", "null", "Null", "NULL")
                self._add(None if empty else event.value, line)
            elif isinstance(event, ev.MappingStartEvent | ev.SequenceStartEvent):
                below: dict[str, Plain] | list[Plain] = {} if isinstance(event, ev.MappingStartEvent) else []
                self._add(below, line)
                self._open.append(below)
                self._keys.append(None)
                if len(self._open) > _MAX_DEPTH:
                    raise Unusable(f"line {line} is nested more than {_MAX_DEPTH} levels deep")
            elif isinstance(event, ev.MappingEndEvent | ev.SequenceEndEvent):
                self._open.pop()
                self._keys.pop()
        return self._root

    def _add(self, value: Plain, line: int) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise Unusable(f"it has more than {_MAX_NODES} values")
        if not self._open:
            self._root = value
            return
        frame = self._open[-1]
        if isinstance(frame, list):
            frame.append(value)
            return
        key = self._keys[-1]
        if key is None:
            if not isinstance(value, str) or value == "<<":
                raise Unusable(f"line {line} has a key that is no word")
            if value in frame:
                raise Unusable(f"line {line} has a key that was given already")
            self._keys[-1] = value
        else:
            frame[key] = value
            self._keys[-1] = None


def _events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" from line {mark.line + 1} on" if mark is not None else ""
        raise Unusable(f"it is no YAML{where}") from None
    except (YAMLError, ValueError, OverflowError, RecursionError):
        raise Unusable("it is no YAML") from None
