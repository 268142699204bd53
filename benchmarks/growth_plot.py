"""Figures of benchmarks.growth as an SVG picture: both axes logarithmic, a panel for each unit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 54, 44
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. series: label to the figure's name; bound: a line to keep under, and its label."""

    title: str
    series: Mapping[str, str]
    bound: tuple[float, str] | None = None


PANELS = (
    Panel(
        "CPU-seconds for one window",
        {"accept": "accept_cpu_s", "judge": "judge_cpu_s", "archive": "archive_cpu_s"},
        (10.0, "the window: 10 s"),
    ),
    Panel("Resident memory, MB", {"full period": "memory_mb", "peak": "peak_memory_mb"}, (600.0, "600 MB")),
    Panel("Octets of one window", {"journal": "journal_octets", "archive": "archive_octets"}),
    Panel(
        "Time of a request, ms",
        {"batch, p99": "request_p99_ms", "batch, median": "request_p50_ms"},
        (50.0, "50 ms"),
    ),
)


def draw(sizes: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of these sizes, each with `links` and the figures that the panels name."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{2 * HEIGHT}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for at, panel in enumerate(PANELS):
        parts.append(f'<g transform="translate({at % 2 * WIDTH},{at // 2 * HEIGHT})">')
        parts += _panel(panel, sizes)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, sizes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    links = [float(size["links"]) for size in sizes]
    values = [float(size[name]) for name in panel.series.values() for size in sizes]
    bound = [panel.bound[0]] if panel.bound else []
    across = _Axis.over(links, LEFT, WIDTH - RIGHT)
    up = _Axis.over([value for value in [*values, *bound] if value > 0], HEIGHT - BOTTOM, TOP)
    yield f'<text x="{LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>'
    for value in across.decades:
        x = across.at(value)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_told(value)}</text>'
    for value in up.decades:
        y = up.at(value)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_told(value)}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">links</text>'
    if panel.bound:
        y = up.at(panel.bound[0])
        yield (
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#666"'
            ' stroke-dasharray="5 4"/>'
        )
        yield f'<text x="{LEFT + 4}" y="{y - 4:.1f}" fill="#666">{escape(panel.bound[1])}</text>'
    for number, (label, name) in enumerate(panel.series.items()):
        colour = COLOURS[number]
        points = [(across.at(size["links"]), up.at(size[name])) for size in sizes if size[name] > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
        yield f'<text x="{LEFT + 110 * number}" y="38" fill="{colour}">{escape(label)}</text>'


@dataclass(frozen=True, slots=True)
class _Axis:
    """Decades lowest..highest between two places of the picture."""

    lowest: int
    highest: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> _Axis:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), begin, end)

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.lowest, self.highest + 1)]

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.lowest) / (self.highest - self.lowest)
        return self.begin + share * (self.end - self.begin)


def _told(value: float) -> str:
    power = round(math.log10(value))
    return f"{value:g}" if -3 <= power <= 3 else f"10<tspan dy='-5' font-size='9'>{power}</tspan>"
