"""A stand-in for Datadog's API, strict about what it takes.

Follows the OpenAPI models that datadog-api-client 2.62.0 is generated from (`MetricsQueryResponse`, `Monitor`,
`MonitorOverallStates`, `MatchingDowntime`, `EventCreateRequest`, `DORADeploymentRequestAttributes`) and
docs.datadoghq.com/api/latest: /metrics/#query-timeseries-points, /monitors/#get-all-monitors, /events/#post-an-event,
/dora-metrics/#send-a-deployment-event, /rate-limits. What is known of its manners besides: a query that fails may be
answered 200 with ``status: error``; points are [milliseconds, number or null]; the last bucket is there while it fills;
``interval`` is in seconds.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

API_KEY, APP_KEY = "dd-api-0123456789abcdef", "dd-app-fedcba9876543210"
TAG = r"[a-z][a-z0-9_./-]*:[a-z0-9_.:/-]+"
QUERY = re.compile(
    rf"(?P<aggregate>avg|sum|min|max):(?P<metric>[a-z][\w.]*)\{{(?P<tags>\*|{TAG}(?:,{TAG})*)\}}"
    r"(?P<by> by \{\w+\})?(?P<calls>(?:\.as_(?:count|rate)\(\)|\.rollup\((?:avg|sum|min|max), \d+\))*)"
)
EVENT = {
    "title",
    "text",
    "tags",
    "aggregation_key",
    "alert_type",
    "source_type_name",
    "date_happened",
    "priority",
    "host",
}
ALERT_TYPES = {"error", "warning", "info", "success", "user_update", "recommendation", "snapshot"}
DORA = {"id", "service", "env", "version", "started_at", "finished_at", "git", "team", "custom_tags"}
LONG_AGO, FAR = 1_000_000_000, 100_000_000_000  # seconds are between these, milliseconds are not


@dataclass
class FakeDatadog:
    """What it knows, and what it was told."""

    values: dict[tuple[str, str], list[float | None]] = field(default_factory=dict)
    """(metric, version) -> the values of its buckets, oldest first, repeated."""
    interval: int = 10
    """Seconds in a bucket."""
    monitors: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    """With what error a query is answered, with the status 200."""
    limited: str = ""
    """After how many seconds to come back; empty: at once."""
    queries: list[Mapping[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    pages: list[int] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._door])
        app.router.add_get("/api/v1/query", self._query)
        app.router.add_get("/api/v1/monitor", self._monitor)
        app.router.add_post("/api/v1/events", self._event)
        app.router.add_post("/api/v2/dora/deployment", self._deployment)
        return app

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("DD-API-KEY") != API_KEY:
            return _errors(403, "Forbidden")
        if request.method == "GET" and request.headers.get("DD-APPLICATION-KEY") != APP_KEY:
            return _errors(403, "Forbidden")
        if self.limited:
            return _errors(429, "Rate limit exceeded", **{"X-RateLimit-Reset": self.limited, "X-RateLimit-Limit": "1"})
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _query(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        self.queries.append(asked)
        if set(asked) != {"from", "to", "query"}:
            return _errors(400, f"unknown or missing parameters: {sorted(asked)}")
        if not all(asked[name].isdecimal() and LONG_AGO < int(asked[name]) < FAR for name in ("from", "to")):
            return _errors(400, "from and to are seconds since the epoch")
        start, end = int(asked["from"]), int(asked["to"])
        if start >= end:
            return _errors(400, "from must be before to")
        if self.refuses:
            return web.json_response({"status": "error", "error": self.refuses, "series": [], "query": asked["query"]})
        match = QUERY.fullmatch(asked["query"])
        if match is None:
            return _errors(400, "Error parsing query: Rule 'scope_expr' didn't match at ', }' (line 1, column 12).")
        tags = dict(tag.split(":", 1) for tag in match["tags"].split(",") if tag != "*")
        series = [
            self._series(match["metric"], version, tags, start, end)
            for (metric, version) in self.values
            if metric == match["metric"] and tags.get("version", version) == version
        ]
        if match["by"] is None:
            series = series[:1]
        body = {
            "status": "ok",
            "res_type": "time_series",
            "from_date": start * 1000,
            "to_date": end * 1000,
            "query": asked["query"],
            "message": "",
            "group_by": [],
            "series": series,
        }
        return web.Response(text=json.dumps(body), content_type="application/json")

    def _series(self, metric: str, version: str, tags: dict[str, str], start: int, end: int) -> dict[str, Any]:
        values = self.values[metric, version]
        first = math.floor(start / self.interval)  # the bucket that `from` lies in, whole
        last = math.floor(end / self.interval)  # the one that is just filling
        points = [[float(number * self.interval * 1000), values[number % len(values)]] for number in range(first, last)]
        points.append([float(last * self.interval * 1000), 9999.0])  # nonsense, as half of a bucket is
        return {
            "metric": metric,
            "display_name": metric,
            "unit": None,
            "pointlist": points,
            "start": first * self.interval * 1000,
            "end": (last + 1) * self.interval * 1000 - 1,
            "interval": self.interval,
            "length": len(points),
            "aggr": None,
            "scope": ",".join(f"{k}:{v}" for k, v in tags.items()) or "*",
            "tag_set": [],
            "expression": f"{metric}{{{version}}}",
            "query_index": 0,
        }

    async def _monitor(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        known = {"group_states", "name", "tags", "monitor_tags", "with_downtimes", "page", "page_size", "id_offset"}
        if not set(asked) <= known:
            return _errors(400, f"unknown parameters: {sorted(set(asked) - known)}")
        if asked.get("with_downtimes", "true") not in ("true", "false"):
            return _errors(400, "with_downtimes is true or false")
        if not set(asked.get("group_states", "all").split(",")) <= {"all", "alert", "warn", "no data"}:
            return _errors(400, "unknown group_states")
        wanted = asked.get("monitor_tags", "")
        if not re.fullmatch(rf"{TAG}(?:,{TAG})*", wanted):
            return _errors(400, "monitor_tags is a comma separated list of tags")
        page, size = int(asked.get("page", "0")), int(asked.get("page_size", "100"))
        if size > 1000:
            return _errors(400, "page_size is 1000 at most")
        self.pages.append(page)
        found = [monitor for monitor in self.monitors if set(wanted.split(",")) <= set(monitor["tags"])]
        shown = []
        for monitor in found[page * size : (page + 1) * size]:
            kept = dict(monitor)
            if asked.get("with_downtimes") != "true":
                kept.pop("matching_downtimes", None)
            if "group_states" not in asked:
                kept.pop("state", None)
            shown.append(kept)
        return web.json_response(shown)

    async def _event(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not set(body) <= EVENT or not {"title", "text"} <= set(body):
            return _errors(400, f"unknown or missing fields: {sorted(body)}")
        if body.get("alert_type", "info") not in ALERT_TYPES or len(body["text"]) > 4000:
            return _errors(400, "bad alert_type or text")
        if len(body.get("aggregation_key", "")) > 100:
            return _errors(400, "aggregation_key is too long")
        if not LONG_AGO < body.get("date_happened", LONG_AGO + 1) < FAR:
            return _errors(400, "date_happened is in seconds")
        self.events.append(body)
        return web.json_response({"status": "ok", "event": {"id": len(self.events), **body}}, status=202)

    async def _deployment(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        data = body.get("data", {})
        attributes = data.get("attributes", {})
        if set(body) != {"data"} or not set(data) <= {"attributes", "id", "type"} or not set(attributes) <= DORA:
            return _errors(400, "unknown fields")
        if not {"service", "started_at", "finished_at"} <= set(attributes):
            return _errors(400, "missing fields")
        if not all(10**18 < attributes[name] < 10**19 for name in ("started_at", "finished_at")):
            return _errors(400, "times are in nanoseconds")
        identity = attributes.get("id", "")
        if not re.fullmatch(r"[a-zA-Z0-9\-_.:]{16,128}", identity):
            return _errors(400, "bad id")
        self.deployments.setdefault(identity, attributes)
        return web.json_response({"data": {"id": identity, "type": "dora_deployment"}}, status=202)


def monitor(name: str, status: str, *tags: str, **more: Any) -> dict[str, Any]:
    """A monitor as the API tells it; ``groups`` maps the names of its groups to their states."""
    groups = more.pop("groups", {})
    return {
        "id": abs(hash(name)) % 10**6,
        "name": name,
        "type": "metric alert",
        "query": "avg(last_5m):avg:requests.errors{*} > 1",
        "message": "",
        "tags": list(tags),
        "options": {"thresholds": {"critical": 1.0}, **more.pop("options", {})},
        "overall_state": status,
        "state": {"groups": {key: {"name": key, "status": value} for key, value in groups.items()}},
        **more,
    }


def _errors(status: int, text: str, **headers: str) -> web.Response:
    return web.json_response({"errors": [text]}, status=status, headers=headers)
