"""`linkgauge drill`: break something on purpose, and see whether it is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from console.demo.processes import is_root
from console.drill import live as live_drill
from console.drill.rehearsal import Rehearsal
from console.drill.score import Score
from console.drill.setting import LABS, lab_fault, lab_setting
from console.interrupt import interrupted_once
from console.single import only_one
from lab.faults.fault import KINDS
from lab.faults.truths import truth
from linkgauge.errors import LinkgaugeError
from probes.stamp.played_fault import PLAYABLE

STATE = Path(".drill")
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 2, 60
app = typer.Typer(name="drill", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
Json = Annotated[bool, typer.Option("--json", help="Print only the result, as JSON.")]
Magnitude = Annotated[float | None, typer.Option(help="How strong, in the fault's unit.")]


@app.callback()
def _drill() -> None:
    """Break something on purpose, and see whether it is noticed, where, and how soon."""


@app.command("list")
def list_faults(as_json: Json = False) -> None:
    """Show the faults, what they do, and which rules must notice them."""
    if as_json:
        print(json.dumps([_as_dict(name) for name in KINDS], indent=1))
        return
    wide = max(map(len, KINDS))
    for kind in KINDS.values():
        usual = f", usually {kind.text(kind.magnitude)}" if kind.unit else ""
        live = "; also live" if kind.name in PLAYABLE else ""
        seen = ", ".join(sorted(kind.must)) or f"no rule; column {', '.join(kind.seen_in)}"
        print(f"{kind.name:<{wide}}  {kind.what}")
        print(f"{'':<{wide}}  on a {kind.on}{usual}{live}; noticed by {seen}")


@app.command("run")
def run_in_lab(
    fault: Annotated[str, typer.Argument(help="One of `linkgauge drill list`.")],
    lab: Annotated[str, typer.Option(help=f"Which lab: {', '.join(LABS)}.")] = "auto",
    link: Annotated[str | None, typer.Option(help="src>dst@network, or one in the direction meant.")] = None,
    place: Annotated[str | None, typer.Option(help="The node, site, hub or trunk that is broken.")] = None,
    magnitude: Magnitude = None,
    window_s: Annotated[int, typer.Option(help="Length of the lab's windows.")] = 10,
    folder: Annotated[
        Path, typer.Option(help="Where everything is written; an earlier run in it is removed.")
    ] = STATE,
    as_json: Json = False,
) -> None:
    """Build a lab with agents, collector and alerts, break it, tell how soon and how rightly that is told.

    Exit 0 when the fault was told rightly, 1 when not, 2 when the drill could not run.
    """
    if not SHORTEST_WINDOW_S <= window_s <= LONGEST_WINDOW_S:
        raise LinkgaugeError(f"--window-s {window_s}: give {SHORTEST_WINDOW_S} to {LONGEST_WINDOW_S}")
    setting = lab_setting(fault, lab, window_s)
    wanted = lab_fault(fault, link, place, magnitude)
    assert setting.topology is not None
    truth(setting.topology, wanted)  # raises LabError for a link or place that is not there
    if not is_root():
        raise LinkgaugeError("the lab of a drill is made of network namespaces: run it as root")
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    try:
        with (
            only_one(folder, "drill", "use --folder"),
            interrupted_once(),
            Rehearsal(folder, setting, window_s, console) as lab_run,
        ):
            found, archive = lab_run.play(wanted), lab_run.archive
    except KeyboardInterrupt:
        raise LinkgaugeError("interrupted; the lab is taken down") from None
    if as_json:
        print(json.dumps(found.as_dict(), indent=1))
    else:
        show(found, console)
        console.print(f"what was measured, as `linkgauge alerts backtest --archive` takes it: {archive}")
    raise typer.Exit(0 if found.good else 1)


@app.command("live")
def run_live(
    fault: Annotated[str, typer.Argument(help="One that `linkgauge drill list` says can be played live.")],
    link: Annotated[str, typer.Option(help="src>dst@network; this node is dst.")],
    lasts: Annotated[str, typer.Option("--for", help="How long, up to 1h: 90s, 2m.")] = "2m",
    magnitude: Magnitude = None,
    config: Annotated[Path, typer.Option(help="The settings of this node's agent.")] = Path(
        "/etc/linkgauge/agent.yaml"
    ),
) -> None:
    """Let the running agent of this node play a fault on what one peer sends it; it ends by itself.

    Alerts of it are marked as a drill and go to receivers with `drills: true` only; scores leave it out.
    """
    wanted = live_drill.order(config, fault, link, live_drill.span_s(lasts), magnitude)
    path = live_drill.place(config, wanted)
    print(f"ordered: {wanted.sentence()}")
    print(f"it begins with a window of its own and is in the agent's log; removing {path} ends it at once")


def show(found: Score, console: Console) -> None:
    """The result for people."""
    table = Table(box=None, pad_edge=False, show_header=False)
    rows = {
        "detected": "yes" if found.detected else "NO",
        "to detect (window)": _seconds(found.detect_s),
        "to notify (webhook)": _seconds(found.notify_s),
        "to resolve (webhook)": _seconds(found.resolve_s),
        "rules": ", ".join(found.rules) or "-",
        "link": _right(found.link),
        "direction": _right(found.direction),
        "place": f"{found.place}" + (f" ({', '.join(found.places_told)})" if found.places_told else ""),
        "measured": ", ".join(found.measured) or "-",
        "not explained": ", ".join(found.others) or "none",
        "drill": "good" if found.good else "BAD",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _as_dict(name: str) -> dict[str, object]:
    kind = KINDS[name]
    return {
        "fault": name,
        "what": kind.what,
        "on": kind.on,
        "magnitude": kind.magnitude if kind.unit else None,
        "unit": kind.unit or None,
        "live": name in PLAYABLE,
        "must": sorted(kind.must),
        "may": sorted(kind.may),
        "seen_in": kind.seen_in,
    }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _right(value: bool | None) -> str:
    return {True: "right", False: "WRONG", None: "not told"}[value]
