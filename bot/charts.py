"""The one place that draws charts: the same figure as PNG for Slack and as SVG for pages, light or dark.

Must not know what a figure means. Colours are told apart by everybody, and never only by colour: lines differ in their
marks too, bars in their hatching. matplotlib is imported by the first chart, and charts are drawn one at a time in a
thread, because it is slow and not made for several.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import textwrap
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg"]
Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line through points in time. A value of None is a gap: no data, which is not zero."""

    label: str
    points: tuple[tuple[datetime, float | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One value for each of the chart's categories; several stand on each other."""

    label: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A horizontal line that something must stay under or over."""

    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A shaded stretch of time."""

    label: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure: lines over time, or bars over categories, never both. Raises `ValueError` when it is neither."""

    title: str
    alt: str
    """The figure in a sentence or two, for who cannot see it: what it shows, and what is remarkable about it."""
    unit: str = ""
    """Of the values, as it stands at their axis."""
    series: tuple[Series, ...] = ()
    categories: tuple[str, ...] = ()
    bars: tuple[Bars, ...] = ()
    limits: tuple[Limit, ...] = ()
    spans: tuple[Span, ...] = ()
    zone: tzinfo = UTC
    """In which the times at the axis are."""

    def __post_init__(self) -> None:
        """Refuse what could only be drawn wrongly."""
        if bool(self.series) == bool(self.bars):
            raise ValueError("A chart has either lines or bars.")
        if any(len(bar.values) != len(self.categories) for bar in self.bars):
            raise ValueError("Bars need a value for each category.")
        if self.bars and self.spans:
            raise ValueError("Only lines have a time that can be shaded.")
        if not self.alt.strip():
            raise ValueError("A chart needs a text for those who cannot see it.")
        if any(at.tzinfo is None for one in self.series for at, _ in one.points):
            raise ValueError("A time without a time zone cannot be drawn.")


async def render(figure: Chart, *, format: Format = "png", theme: Theme = "light") -> bytes:  # noqa: A002 - its name
    """The figure as a file of that format: 1,600 pixels wide as PNG, which is legible on a phone."""
    return await asyncio.to_thread(_draw, figure, format, theme)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    paper: str
    ink: str
    faint: str
    shade: str
    colours: tuple[str, ...]


# Okabe and Ito's colours, which people with any colour vision tell apart, each dark or light enough for its paper.
_LOOKS: dict[Theme, _Look] = {
    "light": _Look(
        paper="#ffffff",
        ink="#1d1c1d",
        faint="#d5d8dc",
        shade="#8a8f98",
        colours=("#0072b2", "#d55e00", "#007a5a", "#9a4f82", "#7a6a00", "#3a3a3a"),
    ),
    "dark": _Look(
        paper="#1a1d21",
        ink="#e8e8e8",
        faint="#3c4046",
        shade="#9aa0a8",
        colours=("#56b4e9", "#e69f00", "#2fbf9b", "#e29cc6", "#f0e442", "#d0d0d0"),
    ),
}
_MARKS = ("o", "s", "^", "D", "v", "P")
_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")
_SHADES = (0.2, 0.42)
"""How dark stretches of time are, in turns: two that meet are told apart at the size of a thumb."""
_SIZE = (8.0, 4.5)
_DPI = 200
_ROOM = 56
"""Letters that stand side by side below a chart."""
_FEW = 14
_SHORTEST = timedelta(seconds=2)
"""Of the time that is shown."""
_ONE_AT_A_TIME = threading.Lock()


def _draw(chart: Chart, format: Format, theme: Theme) -> bytes:  # noqa: A002 - as in `render`
    with _ONE_AT_A_TIME:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        look = _LOOKS[theme]
        with mpl.rc_context(_settings(look)):
            layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
            drawn = Figure(figsize=_SIZE, dpi=_DPI, layout=layout, facecolor=look.paper)
            FigureCanvasAgg(drawn)
            _fill(drawn, chart, look)
            to = io.BytesIO()
            # Without the date the same figure is the same file.
            about: dict[str, Any] = {"Title": _sayable(chart.title), "Description": _sayable(chart.alt)}
            about |= {"Date": None, "Creator": None} if format == "svg" else {"Software": None}
            drawn.savefig(to, format=format, facecolor=look.paper, metadata=about)
    return _spoken(to.getvalue(), chart) if format == "svg" else to.getvalue()


def _settings(look: _Look) -> Any:
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so it is there
        "font.size": 13,
        "text.color": look.ink,
        # Foreign text is text: a dollar sign does not begin a formula.
        "text.parse_math": False,
        "axes.labelcolor": look.ink,
        "axes.edgecolor": look.faint,
        "axes.facecolor": look.paper,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": look.ink,
        "ytick.color": look.ink,
        "grid.color": look.faint,
        "hatch.color": look.paper,
        "hatch.linewidth": 1.6,
        # Letters as shapes: no page needs the font, and none can set another that does not fit.
        "svg.fonttype": "path",
        "svg.hashsalt": "deployment-architect",
    }


def _fill(drawn: Figure, chart: Chart, look: _Look) -> None:
    text = _drawable()
    axes = drawn.add_subplot()
    title = textwrap.fill(text(chart.title, 100), 54, max_lines=2, placeholder="…")
    axes.set_title(title, loc="left", fontsize=16, fontweight="bold", pad=14)
    axes.set_ylabel(text(chart.unit, 40))
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=8)
    legend: list[tuple[Any, str]] = []
    if chart.bars:
        legend += _bars(axes, chart, look, text)
    else:
        legend += _lines(axes, chart, look, text)
        legend += _spans(axes, chart, look, text)
    for limit in chart.limits:
        line = axes.axhline(limit.value, color=look.ink, linewidth=2.2, linestyle=(0, (6, 3)), zorder=4)
        legend.append((line, text(limit.label, 40)))
    axes.margins(y=0.12)
    values = [value for one in chart.series for _, value in one.points if value is not None]
    values += [value for bar in chart.bars for value in bar.values] + [limit.value for limit in chart.limits]
    if all(value >= 0 for value in values):
        axes.set_ylim(bottom=0, top=None if any(values) else 1)
    if len(legend) > 1 or chart.limits or chart.spans:
        drawn.legend(
            [handle for handle, _ in legend],
            [label for _, label in legend],
            loc="outside lower left",
            ncols=min(3, len(legend)),
            frameon=False,
            fontsize=12,
        )


def _lines(axes: Axes, chart: Chart, look: _Look, text: Callable[[str, int], str]) -> list[tuple[Any, str]]:
    dates = _dates()
    handles: list[tuple[Any, str]] = []
    for n, one in enumerate(chart.series):
        (line,) = axes.plot(
            [dates.date2num(at) for at, _ in one.points],
            [float("nan") if value is None else value for _, value in one.points],
            color=look.colours[n % len(look.colours)],
            linewidth=2.6,
            marker=_MARKS[n % len(_MARKS)],
            markersize=7,
            markevery=max(1, len(one.points) // 12),
            zorder=3,
        )
        handles.append((line, text(one.label, 40)))
    times = [at for one in chart.series for at, _ in one.points]
    times += [at for span in chart.spans for at in (span.begin, span.end)]
    if times and max(times) - min(times) < _SHORTEST:
        axes.set_xlim(dates.date2num(min(times) - _SHORTEST), dates.date2num(max(times) + _SHORTEST))
    axes.xaxis_date(tz=chart.zone)
    locator = dates.AutoDateLocator(tz=chart.zone, minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=chart.zone))
    axes.set_xlabel(text(str(chart.zone), 40))
    if not any(value is not None for one in chart.series for _, value in one.points):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", fontsize=18)
    return handles


def _spans(axes: Axes, chart: Chart, look: _Look, text: Callable[[str, int], str]) -> list[tuple[Any, str]]:
    dates = _dates()
    handles: list[tuple[Any, str]] = []
    for n, span in enumerate(chart.spans):
        shade = axes.axvspan(
            dates.date2num(span.begin),
            dates.date2num(max(span.end, span.begin + timedelta(seconds=1))),
            facecolor=look.shade,
            edgecolor=look.ink,
            alpha=_SHADES[n % len(_SHADES)],
            hatch=_HATCHES[(n + 1) % len(_HATCHES)],
            linewidth=0,
            zorder=1,
        )
        handles.append((shade, text(span.label, 40)))
    return handles


def _bars(axes: Axes, chart: Chart, look: _Look, text: Callable[[str, int], str]) -> list[tuple[Any, str]]:
    handles: list[tuple[Any, str]] = []
    places = range(len(chart.categories))
    bottom = [0.0] * len(chart.categories)
    for n, bar in enumerate(chart.bars):
        colour = look.colours[n % len(look.colours)]
        hatch = _HATCHES[n % len(_HATCHES)]
        drawn = axes.bar(places, bar.values, bottom=bottom, width=0.7, color=colour, hatch=hatch, zorder=3)
        handles.append((drawn, text(bar.label, 40)))
        bottom = [under + value for under, value in zip(bottom, bar.values, strict=True)]
    # All of a few, tilted if they need it; of many, such as days, those that have room.
    count, longest = len(chart.categories), min(24, max((len(name) for name in chart.categories), default=0))
    crowded = count * (longest + 2) > _ROOM
    step = -(-count * (longest + 2) // _ROOM) if crowded and count > _FEW else 1
    tilt: dict[str, Any] = {"rotation": 30, "ha": "right"} if crowded and count <= _FEW else {}
    axes.set_xticks(places[::step], [text(name, 24) for name in chart.categories[::step]], **tilt)
    if all(float(value).is_integer() for bar in chart.bars for value in bar.values):
        from matplotlib.ticker import MaxNLocator

        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return handles


def _dates() -> Any:
    """matplotlib's dates, whose functions carry no types."""
    return importlib.import_module("matplotlib.dates")


def _drawable() -> Callable[[str, int], str]:
    """Cuts text to a length and leaves out of it what the font has no shape for, which would be drawn as noise."""
    from matplotlib.font_manager import findfont, get_font

    # What it can draw is read once for each chart, not for each text.
    known = get_font(findfont("DejaVu Sans")).get_charmap()

    def text(value: str, longest: int) -> str:
        value = " ".join(value.split())
        value = value if len(value) <= longest else value[: longest - 1] + "…"
        # A legend leaves out what begins with an underscore; a thin space before it keeps it.
        value = f"\u2009{value}" if value.startswith("_") else value
        return "".join(letter if ord(letter) in known else "\ufffd" for letter in value)

    return text


def _spoken(svg: bytes, chart: Chart) -> bytes:
    """The drawing with its title and its text alternative, as screen readers look for them."""
    from xml.sax.saxutils import escape, quoteattr

    alt, title = (_sayable(text) for text in (chart.alt, chart.title))
    head, tag, rest = svg.decode().partition("<svg ")
    opening, end, body = rest.partition(">")
    spoken = f"<title>{escape(title)}</title>\n <desc>{escape(alt)}</desc>"
    return f'{head}{tag}role="img" aria-label={quoteattr(alt)} {opening}{end}\n {spoken}{body}'.encode()


def _sayable(text: str) -> str:
    """Without what no file can hold and nobody could read aloud, such as a lone half of a character."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
