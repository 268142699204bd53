"""`linkgauge rollup`: which roll-ups wait to be made, and making those of some time again.

Both work beside a running collector: they look into its list of slots, and the collector makes what is noted
there. Without one, it is made when the collector starts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from collector.rollup.notes import FILE_NAME, Grace, Notes
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot
from collector.rollup.source import DAY_NS, ArchiveSource
from collector.settings import Settings
from console.moment import as_text, moment_ns
from console.single import only_one
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.errors import ConfigError
from linkgauge.model import Link

app = typer.Typer(
    name="rollup",
    help="Roll-ups of 5 minutes and of an hour: what waits, and making them again.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
Config = Annotated[Path, typer.Option(help="The collector's settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
SETTINGS = Path("/etc/linkgauge/collector.yaml")
_NAMES = {SHORT_NS: "5 minutes", HOUR_NS: "1 hour"}
_KEYS = {SHORT_NS: "5m", HOUR_NS: "1h"}


@app.command()
def rebuild(
    begin: Annotated[str, typer.Option("--from", help="First moment: 2026-11-21T10:00 (UTC) or 2h ago.")],
    config: Config = SETTINGS,
    end: Annotated[str, typer.Option("--to", help="The moment before which it ends.")] = "now",
    link: Annotated[
        list[str] | None, typer.Option(help="Only slots of this link's agent; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Note every slot of some time that has rows in the archive; the collector makes them again.

    Exit 0 when some are noted, 1 when the archive has no rows of that time.
    """
    now_ns = SystemClock().now().wall_ns
    from_ns, to_ns = moment_ns(begin, now_ns), moment_ns(end, now_ns)
    if from_ns >= to_ns:
        raise ConfigError(f"--from {begin} is not before --to {end}; exchange them")
    agents = None if link is None else sorted({Link.parse(text).src for text in link})
    settings = Settings.load(config)
    _warn_of_retention(settings, from_ns, now_ns)
    slots: set[Slot] = set()
    with _notes(settings) as notes, closing(ArchiveSource(settings.archive_path)) as source:
        for touches in source.touches(from_ns, to_ns, agents):
            notes.note(touches, now_ns)
            slots |= {touch.slot for touch in touches}
    runs = _collector_runs(settings.data_dir)
    counts = {key: sum(slot.length_ns == length for slot in slots) for length, key in _KEYS.items()}
    if as_json:
        print(json.dumps({"noted": counts, "collector_runs": runs}))
    elif slots:
        when = "the collector makes them now" if runs else "they are made when the collector starts"
        print(f"noted: {counts['5m']} slots of 5 minutes, {counts['1h']} of an hour; {when}")
    else:
        print(f"the archive has no rows from {as_text(from_ns)} to {as_text(to_ns)}")
    if not slots:
        raise typer.Exit(1)


@app.command()
def status(config: Config = SETTINGS, as_json: AsJson = False) -> None:
    """Show which slots are noted: those under way, and those that are over and wait to be made."""
    settings = Settings.load(config)
    now_ns = SystemClock().now().wall_ns
    with _notes(settings) as notes:
        counts, due = notes.counts(), notes.due(now_ns, Grace(0, 0))
    oldest_s = None if due.since_ns is None else (now_ns - due.since_ns) / NS_PER_S
    if as_json:
        noted = {
            _KEYS[length]: {"slots": slots, "first_ns": first_ns, "last_ns": last_ns}
            for length, (slots, first_ns, last_ns) in counts.items()
        }
        print(json.dumps({"noted": noted, "over": due.slots, "oldest_s": oldest_s}))
        return
    for length, (slots, first_ns, last_ns) in counts.items():
        print(f"{_NAMES[length]}: {slots} slots noted, {as_text(first_ns)} to {as_text(last_ns)}")
    waits = "" if oldest_s is None else f", the oldest for {oldest_s:.0f} s"
    print(f"{due.slots} of them are over and not made{waits}")


def _warn_of_retention(settings: Settings, from_ns: int, now_ns: int) -> None:
    store = settings.influxdb
    if store is None or not store.rollups:
        return
    for (name, days), length in zip(store.databases[1:], _NAMES.values(), strict=True):
        if from_ns < now_ns - days * DAY_NS:
            print(
                f"InfluxDB keeps {name} for {days} days: it refuses older rows of {length}, which land among"
                " the dead letters; the archive takes them",
                file=sys.stderr,
            )


@contextmanager
def _notes(settings: Settings) -> Iterator[Notes]:
    """The collector's list of slots; raises ConfigError when it has none yet."""
    path = settings.data_dir / FILE_NAME
    if not path.exists():
        raise ConfigError(
            f"{path} is not there; start the collector once, or correct data_dir in {settings.file}"
        )
    with closing(Notes(path, SystemClock())) as notes:
        yield notes


def _collector_runs(folder: Path) -> bool:
    try:
        with only_one(folder, "collector", ""):
            return False
    except ConfigError:
        return True
