"""The rows of an archive for a backtest, in slices, and what came out, as table and timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from alerts.backtest import Backtest, Firing, Lane, Trial, lanes, narrowed, windows_of
from alerts.evaluation.evaluate import Window
from alerts.quantity import quantity
from alerts.rule import TABLES, Rule
from collector.archive.unreadable import Unreadable
from collector.sinks.archive_reader import ArchiveReader
from console.moment import as_text
from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.schema import NODE, PLACE, STATE
from linkgauge.table import Table

ROWS_AT_ONCE = 500_000
FIRST_SLICE_NS = 600 * NS_PER_S
LONGEST_SLICE_NS = 6 * 3600 * NS_PER_S
MOST_LINES = 20
_BLOCKS = " ▁▂▃▄▅▆▇█"


def run_backtest(
    archive: Path, rules: Sequence[Rule], from_ns: int, to_ns: int, progress: Callable[[int], None]
) -> tuple[Backtest, tuple[Trial, ...], int]:
    """Evaluate the rules (versions of one) over an archive; with how many damaged files were left out.

    progress: told the time that is reached. Raises StoreError when there is no archive, or it has nothing of
    that time. Of places there are rows in trouble only: no rows of windows that were judged are an answer.
    """
    if not archive.is_dir():
        raise StoreError(f"{archive}: there is no such folder; name that of an archive")
    table, test, unreadable = TABLES[rules[0].table], Backtest(rules), Unreadable(archive)
    sparse = table is PLACE
    with closing(ArchiveReader(archive, unreadable)) as reader:

        def read(a_ns: int, b_ns: int) -> tuple[Frame, list[Window]]:
            rows = reader.read(narrowed(table, rules[0]), a_ns, b_ns)
            return rows, _judged(reader, a_ns, b_ns) if sparse else []

        for frame, windows in _slices(read, from_ns, to_ns, progress):
            test.take(frame, windows)
    if not test.windows:
        left = f"; {unreadable.count} of its files are damaged and were left out" if unreadable.count else ""
        raise StoreError(
            f"{archive}: has no rows of {(STATE if sparse else table).name} from {as_text(from_ns)} to "
            f"{as_text(to_ns)}{left}; see `linkgauge archive list` for what it has, and give another --from "
            "and --to"
        )
    return test, test.trials(from_ns, to_ns), unreadable.count


def _judged(reader: ArchiveReader, from_ns: int, to_ns: int) -> list[Window]:
    """Windows that were judged; of nodes there are the fewest rows to tell that by."""
    found = windows_of(reader.read(Table(NODE.name, NODE.keys, ()), from_ns, to_ns))
    return found or windows_of(reader.read(Table(STATE.name, STATE.keys, ()), from_ns, to_ns))


def _slices(
    read: Callable[[int, int], tuple[Frame, list[Window]]],
    from_ns: int,
    to_ns: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[Frame, list[Window]]]:
    """Frames of about ROWS_AT_ONCE rows and windows, those without either left out."""
    at_ns, length_ns = from_ns, FIRST_SLICE_NS
    while at_ns < to_ns:
        until_ns = min(to_ns, at_ns + length_ns)
        frame, windows = read(at_ns, until_ns)
        if frame.rows or windows:
            yield frame, windows
        factor = min(4.0, ROWS_AT_ONCE / max(1, frame.rows))
        length_ns = min(LONGEST_SLICE_NS, max(NS_PER_S, round(length_ns * factor)))
        at_ns = until_ns
        progress(at_ns)


def bound_text(rule: Rule) -> str:
    """`above 0`, `below 14 d`: the bound as a person reads it."""
    return f"{'below' if rule.above is None else 'above'} {quantity(rule.field, rule.bound)}"


def told(trial: Trial) -> dict[str, object]:
    """A trial as JSON-like values."""
    lengths = trial.lengths_s
    return {
        "above": trial.rule.above,
        "below": trial.rule.below,
        "fired": len(trial.firings),
        "per_day": trial.per_day,
        "things": trial.things,
        "total_s": sum(lengths),
        "median_s": lengths[len(lengths) // 2] if lengths else None,
        "longest_s": lengths[-1] if lengths else None,
        "firings": [_as_json(firing) for firing in trial.firings],
    }


def show(console: Console, trials: Sequence[Trial]) -> None:
    """The table of trials, a timeline of each, and what fired most."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("bound")
    for name in ("fired", "a day", "for", "median", "longest", "in all"):
        grid.add_column(name, justify="right")
    for trial in trials:
        grid.add_row(bound_text(trial.rule), *_cells(trial))
    console.print(grid)
    _timeline(console, trials)
    _most(console, trials)


def _cells(trial: Trial) -> tuple[str, ...]:
    lengths = trial.lengths_s
    middle = lengths[len(lengths) // 2] if lengths else 0.0
    return (
        str(len(trial.firings)), f"{trial.per_day:.3g}", counted(trial.things, "thing"), span(middle),
        span(lengths[-1] if lengths else 0.0), span(sum(lengths)),
    )  # fmt: skip


def _timeline(console: Console, trials: Sequence[Trial]) -> None:
    """One line of bars a trial: how many alerts fired in each part of the time."""
    names = [bound_text(trial.rule) for trial in trials]
    wide = max(map(len, names))
    parts = max(10, min(96, console.width - wide - 12))
    begin_ns, end_ns = trials[0].from_ns, trials[0].to_ns
    edges = [begin_ns + (end_ns - begin_ns) * at // parts for at in range(parts + 1)]
    counts = [trial.firing_at(edges) for trial in trials]
    top = max(max(each) for each in counts)
    if not top:
        return
    console.print(f"\nalerts at a time, {as_text(begin_ns)} to {as_text(end_ns)}, █ = {top}")
    for name, each in zip(names, counts, strict=True):
        bars = "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // top)] for count in each)
        console.print(f"{name:>{wide}} │{bars}│", highlight=False)


def _most(console: Console, trials: Sequence[Trial]) -> None:
    """The things for which it fired longest, by the first trial that fired."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("about")
    for trial in trials:
        grid.add_column(bound_text(trial.rule), justify="right")
    found = lanes(trials)
    for lane in found[:MOST_LINES]:
        grid.add_row(" ".join(part for part in lane if part), *(_sum(trial, lane) for trial in trials))
    if found:
        console.print()
        console.print(grid)
    if len(found) > MOST_LINES:
        console.print(f"and {len(found) - MOST_LINES} more, see --json")


def _sum(trial: Trial, lane: Lane) -> str:
    lengths = [each.lasted_s(trial.to_ns) for each in trial.firings if each.lane == lane]
    return f"{counted(len(lengths), 'time')}, {span(sum(lengths))}" if lengths else "-"


def counted(number: int, noun: str) -> str:
    """`1 time`, `2 times`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time for people: 40 s, 12 min, 3.5 h, 2.1 d."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def _as_json(firing: Firing) -> dict[str, object]:
    return {
        "about": firing.thing,
        "direction": firing.direction or None,
        "since": as_text(firing.since_ns),
        "fired_at": as_text(firing.fired_ns),
        "ended_at": None if firing.ended_ns is None else as_text(firing.ended_ns),
        "no_longer_judged": firing.unjudged,
    }
