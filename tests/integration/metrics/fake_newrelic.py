"""A stand-in for New Relic's NerdGraph, strict about what it takes.

Follows docs.newrelic.com: /docs/apis/nerdgraph/get-started/introduction-new-relic-nerdgraph (header ``API-Key``),
/docs/apis/nerdgraph/examples/async-queries-nrql-tutorial (``nrql(async: true)``, ``queryProgress``,
``nrqlQueryProgress``), /docs/change-tracking/config/nerdgraph (``changeTrackingCreateEvent``), and the names of input
types in the schema as newrelic-sb-sdk 0.36 and newrelic-cli have them. Errors come with the status 200 in ``errors``,
beside whatever data there is. It knows just enough GraphQL and NRQL to refuse what it was not made for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

USER_KEY = "NRAK-0123456789ABCDEF0123456789A"
ACCOUNT = 12345
OPERATION = re.compile(r"(query|mutation)\s*\((?P<variables>[^)]*)\)\s*(?P<body>\{.*\})", re.DOTALL)
DECLARED = re.compile(r"\$(\w+):\s*(\w+)(!?)")
TYPES = {"account": "Int", "nrql": "Nrql", "id": "ID", "event": "ChangeTrackingCreateEventInput"}
ROWS_OF = ["results", "queryProgress", "queryId", "completed", "retryAfter", "retryDeadline"]
SELECTIONS = {
    "nrql": ["actor", "account", "nrql", *ROWS_OF],
    "nrqlQueryProgress": ["actor", "account", "nrqlQueryProgress", *ROWS_OF],
    "changeTrackingCreateEvent": ["changeTrackingCreateEvent", "changeTrackingEvent", "changeTrackingId"],
}
NRQL = re.compile(
    r"SELECT (?P<what>.+?) FROM (?P<event>\w+)"
    r"(?: WHERE (?P<where>\w+ = '[^'\\]*'(?: AND \w+ = '[^'\\]*')*))?(?P<facet> FACET \w+)?"
    r"\nSINCE (?P<since>\d+) UNTIL (?P<until>\d+)(?: TIMESERIES (?P<step>\d+) SECONDS)?"
)
EVENT = {
    "categoryAndTypeData": True,
    "entitySearch": True,
    "timestamp": False,
    "groupId": False,
    "shortDescription": False,
    "description": False,
    "user": False,
    "customAttributes": False,
}


@dataclass
class FakeNewRelic:
    """What it knows, and what it was told."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """version -> rows of the answer to whatever is asked about it; others have none."""
    slow: int = 0
    """How often it says that a query is not done yet."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """What it answers beside its data."""
    partial: bool = False
    """Whether a part of the data comes beside the errors."""
    asked: list[re.Match[str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    _pending: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/graphql", self._graphql)
        return app

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("API-Key") != USER_KEY:
            return _answer(401, errors=[_error("Invalid API key", "UNAUTHENTICATED")])
        if request.content_type != "application/json":
            return _answer(400, errors=[_error("send JSON", "BAD_REQUEST")])
        body = await request.json()
        match = OPERATION.fullmatch(body.get("query", ""))
        if set(body) != {"query", "variables"} or match is None:
            return _answer(200, errors=[_error("cannot be parsed", "GRAPHQL_PARSE_FAILED")])
        variables = body["variables"]
        declared = {name: (kind, bang) for name, kind, bang in DECLARED.findall(match["variables"])}
        if set(declared) != set(variables) or any(TYPES.get(n) != kind for n, (kind, _) in declared.items()):
            return _answer(200, errors=[_error("variables do not fit their types", "GRAPHQL_VALIDATION_FAILED")])
        names = re.findall(r"\b[a-z]\w*\b", re.sub(r"\([^)]*\)", "", match["body"]))
        field_ = next((name for name in SELECTIONS if name in names), "")
        if names != SELECTIONS.get(field_) or match["body"].count("{") != match["body"].count("}"):
            return _answer(200, errors=[_error(f"cannot query {names}", "GRAPHQL_VALIDATION_FAILED")])
        if field_ == "changeTrackingCreateEvent":
            return self._event(variables["event"])
        if variables["account"] != ACCOUNT:
            return _answer(
                200, errors=[_error("account not found", "ACCESS_DENIED")], data={"actor": {"account": None}}
            )
        if field_ == "nrql":
            if "async: true" not in match["body"]:
                return _answer(200, errors=[_error("took longer than 5 s", "TIMEOUT")])
            return self._nrql(variables["nrql"])
        return self._progress(variables["id"])

    def _nrql(self, query: str) -> web.StreamResponse:
        match = NRQL.fullmatch(query)
        if match is None:
            error = _error("NRQL Syntax Error: Error at line 1 position 8, unexpected 'FORM'", "NRDB:1106924")
            return _answer(200, errors=[error], data=_data("nrql", None))
        if not all(10**12 < int(match[name]) < 10**13 for name in ("since", "until")):
            return _answer(200, errors=[_error("times are in milliseconds", "NRDB:1")], data=_data("nrql", None))
        self.asked.append(match)
        where = dict(re.findall(r"(\w+) = '([^']*)'", match["where"] or ""))
        if match["event"] == "ChangeTrackingEvent":
            there = [
                e
                for e in self.events
                if e["groupId"] == where.get("groupId") and e["customAttributes"]["phase"] == where.get("phase")
            ]
            rows: list[dict[str, Any]] = [{"count": len(there)}]
        else:
            rows = self.rows.get(where.get("version", ""), [])
        if match["step"]:
            rows = _stretches(rows, int(match["since"]) / 1000, int(match["until"]) / 1000, int(match["step"]))
        if self.errors:
            return _answer(200, errors=self.errors, data=_data("nrql", {"results": rows} if self.partial else None))
        if self.slow:
            identity = f"query-{len(self._pending) + 1}"
            self._pending[identity] = (self.slow, rows)
            return _answer(200, data=_data("nrql", _pending(identity)))
        return _answer(200, data=_data("nrql", {"results": rows, "queryProgress": None}))

    def _progress(self, identity: str) -> web.StreamResponse:
        if identity not in self._pending:
            return _answer(200, errors=[_error("no such query", "NOT_FOUND")])
        self.polls += 1
        left, rows = self._pending[identity]
        self._pending[identity] = (left - 1, rows)
        if left > 1:
            return _answer(200, data=_data("nrqlQueryProgress", _pending(identity)))
        done = {"queryId": identity, "completed": True, "retryAfter": None, "retryDeadline": None}
        return _answer(200, data=_data("nrqlQueryProgress", {"results": rows, "queryProgress": done}))

    def _event(self, event: dict[str, Any]) -> web.StreamResponse:
        wrong = set(event) - set(EVENT) or {name for name, needed in EVENT.items() if needed} - set(event)
        kind = event.get("categoryAndTypeData", {})
        if wrong or set(kind) != {"kind", "categoryFields"} or set(kind["kind"]) != {"category", "type"}:
            return _answer(200, errors=[_error(f"unknown or missing fields: {wrong}", "BAD_USER_INPUT")])
        if not kind["categoryFields"].get("deployment", {}).get("version"):
            return _answer(200, errors=[_error("a deployment needs a version", "BAD_USER_INPUT")])
        if not 10**12 < event.get("timestamp", 10**12 + 1) < 10**13:
            return _answer(200, errors=[_error("timestamp is in milliseconds", "BAD_USER_INPUT")])
        if self.errors:
            return _answer(200, errors=self.errors, data={"changeTrackingCreateEvent": None})
        self.events.append(event)
        made = {"changeTrackingId": f"event-{len(self.events)}"}
        return _answer(200, data={"changeTrackingCreateEvent": {"changeTrackingEvent": made}})


def _stretches(rows: list[dict[str, Any]], since: float, until: float, step: int) -> list[dict[str, Any]]:
    if (until - since) / step > 367:
        return []
    count = int((until - since) / step)
    return [
        {"beginTimeSeconds": since + n * step, "endTimeSeconds": since + (n + 1) * step, **row}
        for n in range(count)
        for row in rows
    ]


def _pending(identity: str) -> dict[str, Any]:
    progress = {"queryId": identity, "completed": False, "retryAfter": 0, "retryDeadline": 60}
    return {"results": None, "queryProgress": progress}


def _data(field_: str, value: object) -> dict[str, Any]:
    return {"actor": {"account": {field_: value}}}


def _error(message: str, kind: str) -> dict[str, Any]:
    return {"message": message, "path": ["actor"], "extensions": {"errorClass": kind}}


def _answer(status: int, **content: Any) -> web.Response:
    return web.json_response({"data": None, **content}, status=status)
