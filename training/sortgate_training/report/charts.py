"""Line charts as inline SVG: no script, no font, colours from the page's CSS variables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

Points = Sequence[tuple[float, float]]

#: Of the drawing, in units of the view box, and the margins of the plot in it.
WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 38
#: Colours that the style sheet has.
COLOURS = 6


class Line(NamedTuple):
    """A named line; with ``dots``, each point is marked."""

    name: str
    points: Points
    dots: bool = False


class Axis(NamedTuple):
    """A named axis; ``percent`` shows 0.5 as 50 %."""

    name: str
    low: float
    high: float
    percent: bool = False


def line_chart(title: str, x: Axis, y: Axis, lines: Sequence[Line], *, diagonal: bool = False) -> str:
    """Return a figure with a legend; ``diagonal`` draws x = y for comparison."""

    def across(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - x.low) / ((x.high - x.low) or 1.0)

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - y.low) / ((y.high - y.low) or 1.0)

    parts = []
    for value in _ticks(y):
        at = up(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{at + 3.5:.1f}" text-anchor="end">{_shown(value, y)}</text>')
    for value in _ticks(x):
        at, anchor = across(value), "middle" if value < x.high else "end"
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 14}" text-anchor="{anchor}">{_shown(value, x)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.name)}</text>')
    if diagonal:
        ends = (across(x.low), up(y.low), across(x.high), up(y.high))
        parts.append('<line class="ideal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends))
    for number, line in enumerate(lines):
        placed = [(across(min(max(a, x.low), x.high)), up(min(max(b, y.low), y.high))) for a, b in line.points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
        parts.append(f'<polyline class="c{number % COLOURS}" points="{path}"/>')
        if line.dots or len(placed) == 1:
            parts += [f'<circle class="c{number % COLOURS}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in placed]
    legend = "".join(
        f'<span><i class="c{number % COLOURS}"></i>{escape(line.name)}</span>' for number, line in enumerate(lines)
    )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(f"{title}: {y.name} over {x.name}")}">{"".join(parts)}</svg>'
        f'<div class="legend">{legend}</div></figure>'
    )


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of an axis for ``values``, a little wider than they are."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.05 or 0.05
    return low - room, high + room


def _ticks(axis: Axis, count: int = 4) -> list[float]:
    if axis.high - axis.low >= 1 and float(axis.low).is_integer() and float(axis.high).is_integer():
        step = max(1, round((axis.high - axis.low) / count))
        whole = list(range(int(axis.low), int(axis.high) + 1, step))
        return [float(value) for value in whole] if not axis.percent else [0.0, 0.25, 0.5, 0.75, 1.0]
    return [axis.low + (axis.high - axis.low) * step / count for step in range(count + 1)]


def _shown(value: float, axis: Axis) -> str:
    if axis.percent:
        return f"{value:.0%}" if axis.high - axis.low > 0.1 else f"{value:.1%}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
