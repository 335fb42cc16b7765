"""Charts: the same figure in both formats, for everybody, whatever text is in it and however short or long its time."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from bot.charts import _LOOKS, Bars, Chart, Format, Limit, Series, Span, Theme, render

NOON = datetime(2031, 5, 12, 12, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
LINES = Chart(
    title="Errors of checkout v1.3",
    alt="The canary's errors rise over their limit of 5 % at 12:20.",
    unit="errors, %",
    series=(
        Series(label="stable", points=tuple((NOON + timedelta(minutes=n), 1.0) for n in range(40))),
        Series(label="canary", points=tuple((NOON + timedelta(minutes=n), n / 4) for n in range(40))),
    ),
    limits=(Limit(label="limit", value=5),),
    spans=(Span(label="canary at 25 %", begin=NOON, end=NOON + timedelta(minutes=9)),),
    zone=ZoneInfo("Europe/Paris"),
)
BARS = Chart(
    title="Deployments",
    alt="Three succeeded and one failed.",
    categories=("mon", "tue"),
    bars=(Bars(label="succeeded", values=(1, 2)), Bars(label="failed", values=(1, 0))),
)


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


@pytest.mark.parametrize("chart", [LINES, BARS], ids=["lines", "bars"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_both_formats(chart: Chart, theme: Theme) -> None:
    png, svg = await render(chart, format="png", theme=theme), await render(chart, format="svg", theme=theme)
    drawn = picture(png)
    assert drawn.size == (1600, 900)
    paper = _LOOKS[theme].paper
    assert "#{:02x}{:02x}{:02x}".format(*drawn.getpixel((2, 2))) == paper  # type: ignore[misc]  # three numbers
    shown = {"#{:02x}{:02x}{:02x}".format(*colour) for _, colour in drawn.getcolors(2**20) or []}  # type: ignore[misc]
    assert {_LOOKS[theme].ink, *_LOOKS[theme].colours[:2]} <= shown
    assert all(colour in svg.decode() for colour in (paper, *_LOOKS[theme].colours[:2]))


async def test_who_cannot_see_it_is_told() -> None:
    root = ET.fromstring(await render(LINES, format="svg"))
    assert (root.get("role"), root.get("aria-label")) == ("img", LINES.alt)
    assert (root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")) == (LINES.title, LINES.alt)
    assert Image.open(io.BytesIO(await render(LINES))).info["Description"] == LINES.alt
    with pytest.raises(ValueError, match="cannot see"):
        replace(LINES, alt=" ")


async def test_the_same_figure_is_the_same_file() -> None:
    for form in ("png", "svg"):
        first, *others = await asyncio.gather(*(render(LINES, format=form) for _ in range(3)))  # type: ignore[arg-type]
        assert all(other == first for other in others)
        assert await render(replace(LINES, limits=()), format=form) != first  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["png", "svg"])
async def test_foreign_text_is_text(form: Format) -> None:
    hostile = '$x^{2$ _a <script>alert("1")</script> \ud800 \x00 日本 🚀 & "q" ' + "long " * 99
    chart = Chart(
        title=hostile,
        alt=hostile,
        unit="$",
        series=(Series(label="_" + hostile, points=((NOON, 1.0),)), Series(label="$", points=())),
        limits=(Limit(label=hostile, value=2),),
        spans=(Span(label="$$", begin=NOON, end=NOON),),
    )
    drawn = await render(chart, format=form)
    if form == "svg":
        root = ET.fromstring(drawn)
        assert not list(root.iter(f"{SVG}script"))
        assert "<script>" in (root.get("aria-label") or "")
    else:
        assert picture(drawn).size == (1600, 900)


@pytest.mark.parametrize(
    "length",
    [timedelta(microseconds=1), timedelta(seconds=9), timedelta(minutes=3), timedelta(minutes=59), timedelta(hours=5)]
    + [timedelta(days=n) for n in (1, 2, 6, 30, 95, 400, 9_000)],
)
async def test_any_stretch_of_time(length: timedelta) -> None:
    points = tuple((NOON + length * n / 20, float(n)) for n in range(21))
    assert await render(replace(LINES, series=(Series(label="a", points=points),), spans=()))


@pytest.mark.parametrize(
    "changes",
    [
        {"series": (Series(label="nothing", points=()),), "spans": (), "limits": ()},
        {"series": (Series(label="gaps", points=((NOON, None), (NOON + timedelta(hours=1), None))),)},
        {"series": (Series(label="zero", points=((NOON, 0.0), (NOON + timedelta(hours=1), 0.0))),)},
        {"series": (Series(label="below", points=((NOON, -5.0), (NOON + timedelta(hours=1), 5e9))),)},
        {"series": tuple(Series(label=f"line {n}", points=((NOON, float(n)),)) for n in range(12))},
        {"series": (), "spans": (), "categories": (), "bars": (Bars(label="none", values=()),)},
        {"series": (), "spans": (), "categories": ("a" * 90,) * 60, "bars": (Bars(label="many", values=(0,) * 60),)},
    ],
    ids=["nothing", "gaps", "zero", "below zero", "many lines", "no bars", "many bars"],
)
async def test_whatever_there_is_to_draw(changes: dict[str, Any]) -> None:
    assert picture(await render(replace(LINES, **changes))).size == (1600, 900)


async def test_a_gap_is_no_zero() -> None:
    some = ((NOON, 5.0), (NOON + timedelta(minutes=1), None), (NOON + timedelta(minutes=2), 5.0))
    zero = tuple((at, value or 0.0) for at, value in some)
    charts = [replace(LINES, series=(Series(label="a", points=points),), spans=()) for points in (some, zero)]
    gap, fall = [picture(await render(chart)) for chart in charts]
    blue = tuple(bytes.fromhex(_LOOKS["light"].colours[0][1:]))
    drawn = [{colour: count for count, colour in one.getcolors(2**20) or []}[blue] for one in (gap, fall)]
    assert drawn[0] < drawn[1] / 2  # two marks alone, against two long strokes


def test_what_would_be_drawn_wrongly_is_refused() -> None:
    naive = Series(label="a", points=((NOON.replace(tzinfo=None), 1.0),))
    wrong: list[dict[str, Any]] = [
        {"series": ()},
        {"bars": BARS.bars, "categories": BARS.categories},
        {"series": (), "bars": BARS.bars, "categories": ("one",)},
        {"series": (), "bars": BARS.bars, "categories": BARS.categories},
        {"series": (naive,)},
    ]
    for changes in wrong:
        with pytest.raises(ValueError, match=r"\.$"):
            replace(LINES, **changes)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_stands_out_from_its_paper(theme: Theme) -> None:
    """At least 3 to 1 for shapes and 4.5 to 1 for words: WCAG 2.2, criteria 1.4.11 and 1.4.3."""
    look = _LOOKS[theme]
    assert min(contrast(colour, look.paper) for colour in look.colours) >= 3
    assert contrast(look.ink, look.paper) >= 4.5
    assert len(set(look.colours)) == len(look.colours)


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_nobody_waits_for_the_library_who_draws_nothing() -> None:
    code = "import sys, bot.charts; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
