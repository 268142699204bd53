"""What lies in a file of ours, for people: ages, sizes, and what should not be there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from linkgauge.aside import moved_aside
from linkgauge.clock import NS_PER_S, SystemClock

OLD_S = 300.0
"""Older than this, what waits tells of a collector or a store that does not take it."""


def age_s(then_ns: int | None) -> float | None:
    """Seconds since then, never below 0; None when there is no then."""
    return None if then_ns is None else max(0, SystemClock().now().wall_ns - then_ns) / NS_PER_S


def age_text(age: float | None) -> str:
    if age is None:
        return "-"
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if age >= 2 * unit_s:
            return f"{age / unit_s:.1f} {unit}"
    return f"{age:.0f} s"


def octets_text(octets: int) -> str:
    return f"{octets / (1 << 20):.1f} MB" if octets >= 1 << 20 else f"{octets} octets"


def damaged_files(path: Path) -> list[str]:
    return [str(each) for each in moved_aside(path)]


def damage_words(path: Path) -> list[str]:
    """A trouble for each damaged file that lies beside `path`."""
    return [
        f"{each}: was damaged and is kept for you to look at; delete it after" for each in moved_aside(path)
    ]


def tell(told: dict[str, Any], lines: list[str], troubles: list[str], as_json: bool) -> None:
    """Print, and end with code 1 when there is a trouble."""
    if as_json:
        print(json.dumps({**told, "troubles": troubles}, ensure_ascii=False))
    else:
        print("\n".join([*lines, *(f"! {trouble}" for trouble in troubles)]))
    if troubles:
        raise typer.Exit(1)
