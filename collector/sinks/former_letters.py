"""The dead letters of earlier versions, one JSON line each: taken in once, then the file is removed."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from collector.event_line import event_line
from collector.sinks.dead_letters import DeadLetters, Kind, Letter
from linkgauge.errors import StoreError

log = logging.getLogger(__name__)
_LINE = re.compile(r"[a-z_]+[, ].* -?\d+", re.DOTALL)


def take_in(folder: Path, dead: DeadLetters) -> None:
    """Take in ``dead-letters.jsonl`` and its former part, if they are in `folder`. Raises StoreError."""
    for path in (folder / "dead-letters.jsonl.1", folder / "dead-letters.jsonl"):
        try:
            found = path.stat()
        except OSError:
            continue
        name = f"{path.name} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
        try:
            with path.open("rb") as file:
                dead.take_in(name, _read(file))
            path.unlink()
        except OSError as err:
            raise StoreError(f"{path}: cannot be taken in ({err.strerror}); let its owner read it") from None
        log.info(event_line("dead_letters_taken_in", file=path))


def _read(lines: Iterator[bytes]) -> Iterator[tuple[int, str, Letter]]:
    """When, which sink, what; a line that is not ours becomes a note."""
    for line in lines:
        try:
            told = json.loads(line)
            what, why = str(told["what"]), str(told["why"])
            yield int(told["at_ns"]), str(told["sink"]), _letter(what, why)
        except (ValueError, KeyError, TypeError):
            yield 0, "unknown", Letter(line, "a line of the former file that cannot be read", Kind.NOTE)


def _letter(what: str, why: str) -> Letter:
    if _LINE.fullmatch(what):
        return Letter(what.encode("utf-8", "surrogateescape"), why)
    try:
        return Letter(base64.b64decode(what, validate=True), f"{why} (whose it is was not kept)", Kind.NOTE)
    except binascii.Error:
        return Letter(what.encode("utf-8", "surrogateescape"), why, Kind.NOTE)
