"""A backtest as a picture: a lane for each thing that fired, a bar for each alert, a row a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from alerts.backtest import Firing, Trial, lanes
from console.backtest import bound_text, span
from console.moment import as_text

MOST_LANES = 40
WIDTH, LEFT, RIGHT, TOP, ROW = 1000, 260, 20, 55, 10
_COLOURS = ("#0072b2", "#d55e00")
"""Told apart by everybody; the second is the bound that is compared."""
_ANCHORS = ("start", "middle", "middle", "middle", "end")


@dataclass(frozen=True, slots=True)
class _Axis:
    """Time from left to right."""

    begin_ns: int
    end_ns: int

    def x(self, time_ns: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (time_ns - self.begin_ns) / (self.end_ns - self.begin_ns)


def svg(trials: Sequence[Trial]) -> str:
    """The trials, at most two, as SVG; of what fired the MOST_LANES that fired longest."""
    shown = lanes(trials)[:MOST_LANES]
    axis = _Axis(trials[0].from_ns, max(trials[0].to_ns, trials[0].from_ns + 1))
    lane_height = ROW * len(trials) + 6
    height = TOP + lane_height * max(1, len(shown)) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *_legend(trials),
        *_ticks(axis, height),
    ]
    for at, lane in enumerate(shown):
        y = TOP + at * lane_height
        parts.append(_text(10, y + 10, " ".join(part for part in lane if part)))
        for which, trial in enumerate(trials):
            parts += [_bar(each, trial, axis, y, which) for each in trial.firings if each.lane == lane]
    if not shown:
        parts.append(_text(10, TOP + 15, "it would not have fired"))
    return "\n".join([*parts, "</svg>", ""])


def _legend(trials: Sequence[Trial]) -> Iterator[str]:
    rule = trials[0].rule
    yield _text(10, 18, f"{rule.title} ({rule.name})", "start", 14)
    for at, trial in enumerate(trials):
        yield f'<rect x="{10 + 300 * at}" y="28" width="10" height="10" fill="{_COLOURS[at]}"/>'
        yield _text(25 + 300 * at, 37, f"{bound_text(trial.rule)}: fired {len(trial.firings)} times")


def _ticks(axis: _Axis, height: int) -> Iterator[str]:
    for at, anchor in enumerate(_ANCHORS):
        time_ns = axis.begin_ns + (axis.end_ns - axis.begin_ns) * at // 4
        x = axis.x(time_ns)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="50" y2="{height - 25}" stroke="#ddd"/>'
        yield _text(x, height - 10, as_text(time_ns), anchor)


def _bar(firing: Firing, trial: Trial, axis: _Axis, y: int, which: int) -> str:
    end_ns = trial.to_ns if firing.ended_ns is None else firing.ended_ns
    start = axis.x(firing.fired_ns)
    wide = max(1.5, axis.x(end_ns) - start)
    words = f"{as_text(firing.fired_ns)}, {span(firing.lasted_s(trial.to_ns))}"
    place = f'x="{start:.1f}" y="{y + ROW * which}" width="{wide:.1f}" height="{ROW - 2}"'
    return f'<rect {place} fill="{_COLOURS[which]}"><title>{words}</title></rect>'


def _text(x: float, y: int, words: str, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
