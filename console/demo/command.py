"""`linkgauge demo`: the whole chain on real packets, in a small network with a known truth."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console.demo.chain import Chain
from console.demo.processes import is_root
from console.demo.summary import Summary, summarise
from console.interrupt import interrupted_once, uninterrupted
from console.single import only_one
from linkgauge.errors import LinkgaugeError

SHORTEST_S = 45.0
STATE = Path(".demo")
_FILE_WIDTH = 130
"""Columns of what is printed where there is no terminal."""


def run(
    seconds: Annotated[
        float | None,
        typer.Option(help=f"End by itself after so long (at least {SHORTEST_S:.0f}); else Ctrl-C ends it."),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Where everything is written; an earlier run in it is removed.")
    ] = STATE,
    loopback: Annotated[
        bool, typer.Option("--loopback", help="Use loopback addresses even as root, as without root.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the summary, as JSON.")] = False,
) -> None:
    """Measure a lab network, break one link for a third of the time, and check that everything was seen.

    Exit 0 when the chain worked, 1 when it did not, 2 when it could not run.
    """
    if seconds is not None and seconds < SHORTEST_S:
        raise LinkgaugeError(
            f"--seconds {seconds:g}: too short to see the fault come and go; give {SHORTEST_S:.0f} or more"
        )
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    _check_folder(folder)
    with only_one(folder, "demo", "use --folder"), interrupted_once():
        summary = _measure(seconds, folder, loopback or not is_root(), console)
    target = folder / "summary.json"
    text = json.dumps(summary.as_dict(), indent=1, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)
    else:
        summary.show(console, target)
    raise typer.Exit(0 if summary.worked else 1)


def _measure(seconds: float | None, folder: Path, loopback: bool, console: Console) -> Summary:
    """Build, measure until the time is over or Ctrl-C, take down; the summary is made from what was kept."""
    for line in missing_parts(loopback):
        console.print(line)
    with Chain(folder, loopback) as chain:
        try:
            chain.start(console)
            chain.measure(seconds, console)
        except KeyboardInterrupt:
            console.print("interrupted: ending in order")
        with uninterrupted():
            chain.finish(console)
            return summarise(chain)


def missing_parts(loopback: bool) -> list[str]:
    """One line for each thing that is not here, with what is left out."""
    lines = []
    if loopback and not is_root():
        lines.append("not root: agents run on loopback addresses, without delays; loss is made by a relay")
        low, high = Path("/proc/sys/net/ipv4/ping_group_range").read_text().split()
        if not any(int(low) <= group <= int(high) for group in {os.getgid(), *os.getgroups()}):
            lines.append("ping sockets are not allowed here (net.ipv4.ping_group_range): no ICMP is measured")
    for program, part in (("iperf3", "no throughput is measured"), ("influxd", "no InfluxDB is filled")):
        if shutil.which(program) is None:
            lines.append(f"{program} is not installed: {part}")
    return lines


def _check_folder(folder: Path) -> None:
    """Raise LinkgaugeError for a folder with somebody else's files: `run` in it is removed at each start."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "lock").exists():
        raise LinkgaugeError(f"{folder}: is not empty and no demo's folder; name another with --folder")
