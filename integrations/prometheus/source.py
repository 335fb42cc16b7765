"""Asks a Prometheus server. Nothing, NaN and infinity are no data; what the server warns about is not trusted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ProviderError, ProviderRejected, ProviderTimeout
from bot.domain.metric import Point
from integrations._shared.failures import told
from integrations._shared.http import Caller
from integrations._shared.numbers import moments, no_data, now, reading
from integrations._shared.secrets import reveal
from integrations.prometheus.promql import PROVIDER, duration, promql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.metric import Reading, Subject
    from integrations._shared.http import Answer
    from integrations.prometheus.options import PrometheusOptions

_NAME = "Prometheus"
_POSITION = re.compile(r"\b(\d+):(\d+): (?:parse error: )?(.*)", re.DOTALL)
_AROUND = 12


class Prometheus:
    """A `MetricSource` that speaks PromQL. Holds no connection and no secret."""

    def __init__(self, options: PrometheusOptions) -> None:
        self._options = options
        self._caller = Caller(PROVIDER, _NAME, options.timeout, options.ca_file)

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        """See `MetricSource`. The query must give one number: a scalar, or a vector of one element."""
        when = at or now()
        text = promql(query, subject=subject, window=window)
        form = {"query": text, "time": f"{when.timestamp():.3f}", "timeout": duration(self._options.timeout)}
        data, warnings = await self._ask("query", form, text)
        match data:
            case {"resultType": "scalar", "result": [_, str(number)]}:
                value = _float(number)
            case {"resultType": "vector", "result": []}:
                return no_data(_also("no series matches the query", warnings), at=when)
            case {"resultType": "vector", "result": [{"value": [_, str(number)]}]}:
                value = _float(number)
            case {"resultType": "vector", "result": [_, _, *_] as many}:
                raise ProviderRejected(
                    f"The query gives {len(many)} series and must give one; sum them up, or name more labels.",
                    provider=PROVIDER,
                )
            case {"resultType": str(kind)}:
                raise ProviderRejected(f"The query gives no single number but a {told(kind)}.", provider=PROVIDER)
            case _:
                raise _unreadable()
        if warnings and not self._options.accept_warnings:
            return no_data(f"{_NAME} warns about its answer: {warnings}", at=when)
        return reading(value, at=when, why=warnings)

    async def series(
        self, query: str, *, subject: Subject, window: float, since: datetime, until: datetime, step: float
    ) -> Sequence[Point]:
        """See `MetricSource`. Each point looks back over ``window`` seconds, as one reading then would have."""
        times = moments(since, until, step, provider=PROVIDER)
        text = promql(query, subject=subject, window=window)
        form = {
            "query": text,
            "start": f"{times[0].timestamp():.3f}",
            "end": f"{times[-1].timestamp():.3f}",
            "step": f"{step:.3f}",
            "timeout": duration(self._options.timeout),
        }
        data, _ = await self._ask("query_range", form, text)
        match data:
            case {"resultType": "matrix", "result": []}:
                pairs: list[Any] = []
            case {"resultType": "matrix", "result": [{"values": [*pairs]}]}:
                pass
            case {"resultType": "matrix", "result": [_, _, *_] as many}:
                raise ProviderRejected(f"The query gives {len(many)} series and must give one.", provider=PROVIDER)
            case _:
                raise _unreadable()
        found: dict[int, float] = {}
        for pair in pairs:
            match pair:
                case [int() | float() as seconds, str(number)]:
                    found[round((seconds - times[0].timestamp()) / step)] = _float(number)
                case _:
                    raise _unreadable()
        return [
            Point(at=when, value=reading(found[index], at=when).value if index in found else None)
            for index, when in enumerate(times)
        ]

    async def _ask(self, what: str, form: dict[str, str], query: str) -> tuple[Any, str]:
        """The data of the answer, and the server's warnings in one line."""
        options = self._options
        headers = dict(options.headers)
        auth = None
        if options.bearer is not None:
            headers["Authorization"] = f"Bearer {await reveal(options.bearer)}"
        elif options.username is not None and options.password is not None:
            auth = (options.username, await reveal(options.password))
        answer = await self._caller.post(f"{options.address}/api/v1/{what}", headers=headers, form=form, auth=auth)
        content = answer.json()
        if answer.status // 100 == 2 and isinstance(content, dict) and content.get("status") == "success":
            warnings = content.get("warnings") or []
            return content.get("data"), told("; ".join(map(str, warnings))) if isinstance(warnings, list) else ""
        raise self._trouble(answer, content, query)

    def _trouble(self, answer: Answer, content: object, query: str) -> ProviderError:
        if not isinstance(content, dict) or not isinstance(content.get("errorType"), str):
            if answer.status // 100 == 2:
                return _unreadable()
            return self._caller.refusal(answer)
        kind, said = content["errorType"], str(content.get("error", ""))
        if kind == "bad_data":
            return ProviderRejected(_what_is_wrong(said, query), provider=PROVIDER)
        if kind in ("timeout", "canceled"):
            return ProviderTimeout(f"{_NAME} gave the query up: {told(said)}.", provider=PROVIDER)
        if kind == "execution":
            return ProviderRejected(f"{_NAME} cannot carry the query out: {told(said)}.", provider=PROVIDER)
        if answer.status // 100 == 2:
            return ProviderError(f"{_NAME} answered an error: {told(said)}.", provider=PROVIDER, retryable=True)
        return self._caller.refusal(answer, said)


def build(*, options: PrometheusOptions) -> Prometheus:
    """The source that ``options`` describe. Reaches for nothing yet."""
    return Prometheus(options)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unreadable() from None


def _also(why: str, warnings: str) -> str:
    return f"{why}, and {_NAME} warns: {warnings}" if warnings else why


def _unreadable() -> ProviderError:
    return ProviderError(f"What answered is not {_NAME}, or its answer cannot be read.", provider=PROVIDER)


def _what_is_wrong(said: str, query: str) -> str:
    """The server's words about a query that it cannot read, with the place shown."""
    match = _POSITION.search(said)
    if match is None:
        return f"{_NAME} cannot read the query: {told(said)}."
    line, column, reason = int(match[1]), int(match[2]), told(match[3])
    lines = query.split("\n")
    # Some positions point behind what is wrong, so both sides are shown.
    there = lines[line - 1] if 1 <= line <= len(lines) else ""
    near = there[max(0, column - 1 - _AROUND) : column - 1 + _AROUND]
    place = f", near {near!r}" if near else ""
    return f"{_NAME} cannot read the query at line {line}, position {column}{place}: {reason}."
