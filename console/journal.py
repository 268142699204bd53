"""`linkgauge journal`: what lies in a collector's journal; works while it runs, and changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.journal import journal_file as tables
from collector.journal.journal_file import Whole
from collector.settings import Settings
from console.lying import OLD_S, age_s, age_text, damage_words, damaged_files, octets_text, tell
from linkgauge.sqlite_file import checked, look_into

_WHY = {
    tables.SIZE: "by journal.max_mb",
    tables.AGE: "by journal.body_days",
    tables.DAMAGE: "with a damaged file",
}


def run(
    path: Annotated[Path | None, typer.Argument(help="A journal file; else that of --config.")] = None,
    config: Annotated[Path, typer.Option(help="The collector's settings.")] = Path(
        "/etc/linkgauge/collector.yaml"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show how far each sink has come, what waits for it, and what was dropped.

    Exit 0 when all is well, 1 when something lies there that should not, 2 when it cannot be read.
    """
    file = path or Settings.load(config).data_dir / "journal.sqlite"
    told = look_into(file, "the journal", _inside)
    told = {"file": str(file), **told, "damaged_files": damaged_files(file)}
    tell(told, _lines(told), _troubles(told) + damage_words(file), as_json)


def _inside(db: sqlite3.Connection) -> dict[str, Any]:
    known = tables.known_of(db)
    sinks = {}
    for sink, seq in sorted(known.cursors.items()):
        batches, oldest_ns = tables.backlog(db, sink)
        sinks[sink] = {"cursor": seq, "backlog": batches, "oldest_s": age_s(oldest_ns)}
    agents = db.execute("SELECT count(DISTINCT agent) FROM span").fetchone()[0]
    last_ns = tables.number(db, "received_ns")
    return {
        "identity": known.identity,
        "first_seq": known.first,
        "last_seq": known.last,
        "batches": known.last - known.first + 1,
        "octets": tables.number(db, "octets"),
        "agents": checked(agents, Whole),
        "last_s": age_s(last_ns or None),
        "sinks": sinks,
        "dropped": dict(known.dropped),
    }


def _lines(told: dict[str, Any]) -> list[str]:
    return [
        f"{told['file']}, identity {told['identity']}",
        f"bodies   {told['batches']} batches, {octets_text(told['octets'])}, "
        f"seqs {told['first_seq']} to {told['last_seq']}",
        f"agents   {told['agents']}, the last batch came {age_text(told['last_s'])} ago",
        *(
            f"sink     {name}: {sink['backlog']} batches wait, oldest {age_text(sink['oldest_s'])}, "
            f"has all up to {sink['cursor']}"
            for name, sink in told["sinks"].items()
        ),
        "dropped  " + ", ".join(f"{count} {_WHY[reason]}" for reason, count in told["dropped"].items()),
    ]


def _troubles(told: dict[str, Any]) -> list[str]:
    troubles = [
        f"sink {name} has not taken what came {age_text(sink['oldest_s'])} ago; see `linkgauge status`"
        for name, sink in told["sinks"].items()
        if (sink["oldest_s"] or 0) > OLD_S
    ]
    troubles += [
        f"{count} batches were dropped {_WHY[reason]} before every sink had them"
        for reason, count in told["dropped"].items()
        if count
    ]
    return troubles
