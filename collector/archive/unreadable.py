"""Parquet files that cannot be read: left out of what is asked, said once, counted; the others are read.

A file counts as unreadable when the whole question failed and so does reading that file alone, to its end.
One that was mended or replaced since is read again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from collector.event_line import event_line
from linkgauge.errors import StoreError
from linkgauge.file_mark import FileMark, file_mark

log = logging.getLogger(__name__)
_ATTEMPTS = 3
_BATCH_ROWS = 16_384
T = TypeVar("T")


class Unreadable:
    """The unreadable files of the archive under `root`, as far as somebody asked for them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, FileMark | None] = {}

    @property
    def count(self) -> int:
        """How many are known that still lie there as they were."""
        return sum(file_mark(path) == mark for path, mark in list(self._known.items()))

    def among(self, files: Sequence[str]) -> list[str]:
        """Those of `files` that are known and still lie there as they were."""
        return [path for path in files if path in self._known and file_mark(path) == self._known[path]]

    def ask(self, listed: Callable[[], Sequence[str]], question: Callable[[list[str]], T]) -> T | None:
        """The answer to `question` by the readable ones of the files `listed`; None when there are none.

        A file may be put together with others between listing and opening: then it is asked again. Raises
        StoreError when no single file is at fault.
        """
        words, files = "", list[str]()
        for attempt in range(1, 2 * _ATTEMPTS + 1):
            try:
                files = self._readable(listed())
                return question(files) if files else None
            except (OSError, duckdb.Error) as err:
                words = _words(err)
            if attempt == _ATTEMPTS and not self._look(files):
                break
        raise StoreError(f"{self._root}: the archive cannot be read ({words}); mend or remove that file")

    def _readable(self, files: Sequence[str]) -> list[str]:
        for path in files:
            if path in self._known and file_mark(path) != self._known[path]:
                del self._known[path]
        return [path for path in files if path not in self._known]

    def _look(self, files: Sequence[str]) -> bool:
        """Read each file by itself; True when some cannot be read."""
        before = len(self._known)
        for path in files:
            mark, fault = file_mark(path), _fault(path)
            if fault is not None and os.path.exists(path):
                self._known[path] = mark
                log.error(
                    event_line(
                        "archive_file_unreadable", file=path, error=fault, effect="its rows are left out"
                    )
                )
        return len(self._known) > before


def _fault(path: str) -> str | None:
    """Why the file is none that can be read; None when it can, or when it is not the file's fault."""
    try:
        with open(path, "rb"):
            pass
    except OSError:  # gone, or its rights, or no descriptor is left
        return None
    try:
        with duckdb.connect(config={"threads": 1}) as db:
            for _ in db.sql("SELECT * FROM read_parquet(?)", params=[path]).to_arrow_reader(_BATCH_ROWS):
                pass
    except duckdb.OutOfMemoryException:
        return None
    except (OSError, duckdb.Error, pa.ArrowException) as err:
        return _words(err)
    return None


def _words(err: Exception) -> str:
    return str(err).splitlines()[0][:300]
