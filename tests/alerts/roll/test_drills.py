"""An alert that began in a drill and goes on after it is told as a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alerts.event import Fired
from tests.alerts.test_outcome import ALIVE, DEAD, LINK, Run

DRILLED = {**DEAD, "drill": 1}
ID = f"link-unreachable/{LINK}/-"


def told(run: Run, rows: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """Window, what and whether it is of a drill."""
    made = []
    for at, row in enumerate(rows):
        for event in run.observe([row], at).events:
            fired = event if isinstance(event, Fired) else event.fired
            sign = "+" if event is fired else "-"
            made.append((at, f"{sign}{event.id}", fired.labels.get("drill", "")))
    return made


def test_what_outlives_its_drill_ends_with_it_and_begins_as_real(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1)
    rows = [*[DRILLED] * 4, *[{**DEAD, "drill": 0}] * 6, *[{**ALIVE, "drill": 0}] * 6]
    assert told(run, rows) == [
        (0, f"+{ID}", "true"),
        (5, f"-{ID}", "true"),
        (5, f"+{ID}", ""),
        (13, f"-{ID}", ""),
    ]


def test_its_notices_and_rows_are_told_apart(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1)
    frames = [run.observe([row], at) for at, row in enumerate([DRILLED, *[{**DEAD, "drill": 0}] * 2])]
    over, real = frames[2].events
    assert not isinstance(over, Fired)
    assert isinstance(real, Fired)
    assert real.since_ns > over.fired.since_ns
    assert "the drill is over" in over.summary
    assert frames[2].frames["alert"].count("firing").tolist() == [1]


def test_what_ends_with_its_drill_is_no_real_alert(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1)
    rows = [*[DRILLED] * 3, {**DEAD, "drill": 0}, *[{**ALIVE, "drill": 0}] * 6]
    assert [each[1:] for each in told(run, rows)] == [(f"+{ID}", "true"), (f"-{ID}", "true")]
