"""YAML text as a tree in which every key and value knows its place. Knows nothing of what the words mean.

YAML 1.2, a subset on purpose: no tags, no merge keys, text keys only. What a hostile or half-written file can do to a
reader (endless nesting, aliases of aliases, megabytes) ends here, as a problem with a line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.catalog.problems import CatalogError, Problem, counted, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple["str | int", ...]
Scalar = str | int | float | bool | None

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
#: YAML's own list of what may stand in a file, less the invisible line ends that no editor counts as lines.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,2})?")
_MINIMAL = "begin with 'version: 1', 'channel: \"#deployments\"', 'environments:' and 'services:'"


@dataclass(slots=True, eq=False)
class Node:
    """A value with its place in the text and in the document."""

    value: Scalar | list[Node] | dict[str, Node]
    at: int
    """Where the value begins, in characters from the start of the text."""
    key_at: int
    """Where the key that names it begins; the same as ``at`` in a list."""
    path: Path

    def get(self, *path: str | int) -> Node | None:
        """The node below this one at ``path``, or None."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            value = node.value
            if isinstance(value, dict) and isinstance(part, str):
                node = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
                node = value[part]
            else:
                return None
        return node

    def items(self) -> dict[str, Node]:
        """Its entries; empty when it is no mapping, which is for somebody else to complain about."""
        return self.value if isinstance(self.value, dict) else {}

    def elements(self) -> list[Node]:
        """Its elements; a single value counts as a list of one, nothing as none."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value is None or isinstance(self.value, dict) else [self]

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def merged(base: Node | None, over: Node | None) -> Node | None:
    """``over`` laid on ``base``: mappings are joined, everything else replaced. Each part keeps its place."""
    if base is None or over is None:
        return over if base is None else base
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    joined = dict(base.value)
    for key, node in over.value.items():
        below = joined.get(key)
        joined[key] = node if below is None else merged(below, node) or node
    return Node(joined, over.at, over.key_at, over.path)


class Source:
    """A text with a name, which can tell the line and column of any character in it."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text) if end.end() < len(text))]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, both from 1. What lies behind the last line counts as the end of it."""
        line = bisect_right(self._starts, at)
        start = self._starts[line - 1]
        end = _LINE_END.search(self.text, start)
        return line, min(at, end.start() if end else len(self.text)) - start + 1

    def problem(
        self, at: int, path: Path, message: str, *, allowed: tuple[str, ...] = (), nearest: str | None = None
    ) -> Problem:
        """A problem at a place in this text."""
        line, column = self.place(at)
        return Problem(
            file=self.name,
            line=line,
            column=column,
            path=dotted(path),
            message=message,
            allowed=allowed,
            nearest=nearest,
        )


@dataclass(slots=True, kw_only=True)
class Document:
    """A text that could be read as YAML."""

    source: Source
    root: Node
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with it although it could be read, such as a key given twice."""


def dotted(path: Path) -> str:
    """``services.checkout.environments[1]``"""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", part) else quoted(part)
            text += f".{word}" if text else word
    return text


def decoded(data: bytes, name: str) -> str:
    """The text of a file; raises `CatalogError` where it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise CatalogError([Problem(file=name, message=f"the file is larger than {MAX_BYTES // 1024} KiB")])
    if data.startswith(_BYTE_ORDER_MARKS):
        message = "the file is saved as UTF-16; save it as UTF-8"
        raise CatalogError([Problem(file=name, line=1, column=1, message=message)])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = Source(data[: error.start].decode("utf-8") + "?", name)
        problem = before.problem(
            len(before.text) - 1, (), f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        )
        raise CatalogError([problem]) from None


def compose(text: str, name: str) -> Document:
    """The document in ``text``; raises `CatalogError` when it is not one YAML mapping. ``name`` is for messages."""
    source = Source(text.removeprefix("\ufeff"), name)
    if len(source.text) > MAX_BYTES:
        raise CatalogError([Problem(file=name, message=f"the text is larger than {MAX_BYTES // 1024} KiB")])
    unprintable = _UNPRINTABLE.search(source.text)
    if unprintable:
        message = f"the character U+{ord(unprintable.group()):04X} may not stand in the file; delete it"
        raise CatalogError([source.problem(unprintable.start(), (), message)])
    return _Composer(source).document()


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end was not met yet."""

    node: Node
    anchor: str | None
    nodes_before: int
    key: str | None = None
    key_at: int = 0


class _Composer:
    """Builds the tree from the parser's events, without recursion."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def document(self) -> Document:
        from ruamel.yaml import events as ev

        documents = 0
        for event in self._events():
            at: int = event.start_mark.index
            if isinstance(event, ev.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(at, "a second document begins here; the catalog is one document, without '---'")
                if event.version is not None and tuple(event.version) != (1, 2):
                    raise self._stop(at, "the catalog is YAML 1.2; delete the %YAML line")
            elif isinstance(event, ev.AliasEvent):
                self._alias(event.anchor, at)
            elif isinstance(event, ev.ScalarEvent):
                self._scalar(event, at)
            elif isinstance(event, ev.MappingStartEvent | ev.SequenceStartEvent):
                self._begin(event, at, {} if isinstance(event, ev.MappingStartEvent) else [])
            elif isinstance(event, ev.CollectionEndEvent):
                done = self._stack.pop()
                self._anchor(done.anchor, done.node, self._nodes - done.nodes_before)
        if self._root is None or self._root.value is None:
            raise self._stop(0, f"the file is empty; {_MINIMAL}")
        if not isinstance(self._root.value, dict):
            kind = "a list" if isinstance(self._root.value, list) else "a single value"
            raise self._stop(self._root.at, f"the file holds {kind} instead of keys with values; {_MINIMAL}")
        return Document(source=self._source, root=self._root, problems=self._problems)

    def _events(self) -> Iterator[Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        events = YAML(typ="safe", pure=True).parse(self._source.text)
        seen = 0
        while True:
            try:
                event = next(events, None)
            except MarkedYAMLError as error:
                at, message = _explained(error, self._source.text)
                raise self._stop(at, message) from None
            except (ValueError, OverflowError):
                # An escape such as "\UFFFFFFFF" that names no character; the scanner does not say where.
                raise self._stop(seen, "after this comes an escape that is no character") from None
            if event is None:
                return
            seen = event.end_mark.index
            yield event

    def _stop(self, at: int, message: str) -> CatalogError:
        return CatalogError([*self._problems, self._source.problem(at, self._here(), message)])

    def _here(self) -> Path:
        """The path of what comes next."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.node.value, list):
            return (*frame.node.path, len(frame.node.value))
        return frame.node.path if frame.key is None else (*frame.node.path, frame.key)

    def _scalar(self, event: Any, at: int) -> None:
        text: str = event.value
        if any((c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text):
            raise self._stop(at, f"{quoted(text)} has a control character in it")
        if self._key_expected():
            self._key(text, at)
            return
        if event.tag is not None:
            self._tagged(at)
        value: Scalar = _resolved(text) if not event.style else text
        node = self._add(value, at)
        self._anchor(event.anchor, node, 1)

    def _key_expected(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and self._stack[-1].key is None

    def _key(self, text: str, at: int) -> None:
        if text == "<<":
            raise self._stop(at, "merge keys are not part of YAML 1.2; put what services share under 'defaults'")
        if text == "":
            raise self._stop(at, "a key is missing before ':'")
        self._stack[-1].key = text
        self._stack[-1].key_at = at

    def _begin(self, event: Any, at: int, value: list[Node] | dict[str, Node]) -> None:
        if self._key_expected():
            raise self._stop(at, "a key must be a word; put text with '{' or '[' in quotes")
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(at, f"nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None:
            self._tagged(at)
        before = self._nodes
        node = self._add(value, at)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)  # until its end is met it may not hold itself
        self._stack.append(_Open(node, event.anchor, before))

    def _alias(self, name: str, at: int) -> None:
        if self._key_expected():
            raise self._stop(at, "a key must be a word, not an alias")
        if name not in self._anchors:
            hint = '; to mean "everything" write "*" in quotes' if not self._anchors else ""
            if not name[:1].isalnum():  # such as */5 of a cron line
                hint = "; put a text that begins with '*' in quotes"
            raise self._stop(at, f"'*{name}' refers to '&{name}', which is not complete before this place{hint}")
        target, size = self._anchors[name]
        node = self._add(target.value, at)
        self._count(size - 1, at)
        node.path = target.path if isinstance(target.value, dict | list) else node.path

    def _anchor(self, name: str | None, node: Node, size: int) -> None:
        if name is not None:
            self._anchors[name] = (node, size)

    def _tagged(self, at: int) -> None:
        self._problems.append(
            self._source.problem(at, self._here(), "tags such as '!!str' are not used here; write text in quotes")
        )

    def _count(self, nodes: int, at: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._stop(at, f"more than {counted(MAX_NODES, 'value')}, aliases counted where they are used")

    def _add(self, value: Scalar | list[Node] | dict[str, Node], at: int) -> Node:
        self._count(1, at)
        path = self._here()
        if not self._stack:
            self._root = Node(value, at, at, path)
            return self._root
        frame = self._stack[-1]
        node = Node(value, at, at, path)
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif isinstance(frame.node.value, dict) and frame.key is not None:
            node.key_at = frame.key_at
            earlier = frame.node.value.setdefault(frame.key, node)
            if earlier is not node:
                line, _ = self._source.place(earlier.key_at)
                message = f"the key {quoted(frame.key)} is in line {line} already"
                self._problems.append(self._source.problem(frame.key_at, path, message))
            frame.key = None
        return node


def _resolved(text: str) -> Scalar:
    """A word without quotes, by YAML 1.2's core schema. Infinity, NaN and endless numbers stay text."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)
    return float(text) if _FLOAT.fullmatch(text) else text


def _explained(error: Any, text: str) -> tuple[int, str]:
    """The parser's complaint in words of the person who wrote the file, and where the mend belongs."""
    mark = error.problem_mark or error.context_mark
    at = min(mark.index if mark else 0, len(text))
    began = error.context_mark.index if error.context_mark else at
    character = text[at : at + 1]
    problem = str(error.problem or error.context or "unreadable")
    context = str(error.context or "")
    if "cannot start any token" in problem:
        if character == "\t":
            return at, "a tab; indent with spaces"
        return at, f"a value may not begin with {character!r}; put it in quotes"
    if "scanning an alias" in context:
        if re.match(r"\*[ ]+[0-9*]", text[began:]):
            return began, "a text that begins with '*' must be in quotes as a whole"
        return began, "a bare '*' is an alias; write \"*\" in quotes"
    if "quoted scalar" in context and "end of stream" in problem:
        return began, "the quote that begins here is never closed"
    if "flow sequence" in context or "flow mapping" in context:
        closing = "]" if "sequence" in context else "}"
        return (
            began,
            f"the '{text[began : began + 1]}' that begins here is not closed by '{closing}' where it should be",
        )
    if "<stream end>" in problem:
        return at, "the file ends before this is complete"
    if "mapping values are not allowed" in problem:
        return at, "a ':' where none can be; check the indentation, or put text with ': ' in it in quotes"
    if "could not find expected ':'" in problem:
        return began, "a key without ':' and value"
    if "expected <block end>" in problem:
        return at, "this does not fit what stands above it; check the indentation and the quotes"
    if "unknown escape character" in problem:
        return at, f"the escape '\\{character}' does not exist; use single quotes or write '\\\\'"
    return at, f"not readable as YAML: {' '.join(problem.split())}"
