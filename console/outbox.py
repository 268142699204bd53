"""`linkgauge outbox`: what lies in an agent's outbox; works while the agent runs, and changes nothing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Annotated, Any

import typer

from console.lying import OLD_S, age_s, age_text, damage_words, damaged_files, octets_text, tell
from console.moment import as_text
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import checked, look_into
from probes.settings import AgentSettings, load
from probes.upload import outbox_file as tables
from probes.upload.outbox import KEEP_FREE_BYTES
from probes.upload.outbox_file import Whole

_SHOWN = 20
"""Dead letters that are shown without --json, the newest."""
_UNUSED = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
_LETTERS = """
SELECT boot, number, created_ns, rows, length(body), coalesce(sentence, '') FROM batch
WHERE state = 3 AND body NOT NULL ORDER BY seq
"""


def run(
    path: Annotated[Path | None, typer.Argument(help="An outbox file; else that of --config.")] = None,
    config: Annotated[Path, typer.Option(help="The agent's settings.")] = Path("/etc/linkgauge/agent.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what waits, what became of the rest, and dead letters with the collector's words.

    Exit 0 when all is well, 1 when something lies there that should not, 2 when it cannot be read.
    """
    file, keep_free = (path, KEEP_FREE_BYTES) if path else _place(load(config))
    told = look_into(file, "the outbox", _inside)
    free = told.pop("unused") + _disk_free(file)
    told |= {"file": str(file), "free_octets": free, "keep_free_octets": keep_free}
    told["damaged_files"] = damaged_files(file)
    tell(told, _lines(told), _troubles(told) + damage_words(file), as_json)


def _place(settings: AgentSettings) -> tuple[Path, int]:
    """The file, and octets of its disk that the agent leaves free."""
    return settings.data_dir / "outbox.sqlite", settings.outbox.keep_free_mb << 20


def _disk_free(file: Path) -> int:
    """Octets that its disk has left for the agent. Raises StoreError."""
    try:
        disk = os.statvfs(file.parent)
    except OSError as err:
        raise StoreError(f"{file}: its disk cannot be asked ({err.strerror}); mend it") from None
    return disk.f_bavail * disk.f_frsize


def _inside(db: sqlite3.Connection) -> dict[str, Any]:
    totals, oldest_ns = tables.totals(db), tables.oldest_ns(db)
    waiting = db.execute(
        "SELECT count(*), CAST(total(size) AS INTEGER) FROM batch WHERE state = 0"
    ).fetchone()
    batches, octets = checked(waiting, tuple[Whole, Whole])
    names = ("boot", "number", "created_ns", "rows", "octets", "words")
    letters = [
        dict(zip(names, checked(row, tuple[str, Whole, Whole, Whole, Whole, str]), strict=True))
        for row in db.execute(_LETTERS)
    ]
    return {
        "waiting": batches,
        "waiting_octets": octets,
        "oldest_s": age_s(oldest_ns),
        "produced": totals.produced,
        "acknowledged": totals.acknowledged,
        "dropped": totals.dropped,
        "rejected": totals.rejected,
        "dead_letters": letters,
        "unused": checked(db.execute(_UNUSED).fetchone()[0], Whole),
    }


def _lines(told: dict[str, Any]) -> list[str]:
    letters = told["dead_letters"]
    return [
        str(told["file"]),
        f"waiting       {told['waiting']} batches, {octets_text(told['waiting_octets'])}, "
        f"oldest {age_text(told['oldest_s'])}",
        f"produced      {told['produced']}",
        f"acknowledged  {told['acknowledged']}",
        f"dropped       {told['dropped']}",
        f"rejected      {told['rejected']}",
        f"disk          {octets_text(told['free_octets'])} left, "
        f"{octets_text(told['keep_free_octets'])} are kept free",
        *(
            f"dead letter   {as_text(each['created_ns'])} {each['boot']}/{each['number']}, "
            f"{each['rows']} rows: {each['words']}"
            for each in letters[-_SHOWN:]
        ),
    ]


def _troubles(told: dict[str, Any]) -> list[str]:
    troubles = []
    if told["free_octets"] < told["keep_free_octets"]:
        left, kept = octets_text(told["free_octets"]), octets_text(told["keep_free_octets"])
        troubles.append(
            f"the disk has {left} left, {kept} are kept free: nothing more is put in, windows are lost; "
            "make room on it"
        )
    if (told["oldest_s"] or 0) > OLD_S:
        troubles.append(
            f"the oldest batch has waited for {age_text(told['oldest_s'])}; "
            "see what the agent says of its collectors"
        )
    if told["dropped"]:
        troubles.append(f"dropped: {told['dropped']}; too old, too many, or not to be written")
    if told["dead_letters"]:
        troubles.append(
            f"dead letters: {len(told['dead_letters'])}; the collector will never take them, see its words"
        )
    return troubles
