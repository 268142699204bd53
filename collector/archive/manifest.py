"""The manifest: what a writer did to its files, line by line, each line bound to the one before by its hash.

A line is one JSON object: n from 1, at_ns, what, `files` that it adds (path below the root, rows, octets,
SHA-256), paths that it takes out (`gone`), `doubles` removed on the way, and `before`, the SHA-256 of the
line before without its line break (of the first: 64 zeros). `what` is one of

    begun       the chain starts; files that were there before it are in its `files` (adopted)
    added       a delivery was written; a path that is listed already is listed anew
    merged      the files of `gone` were put together into one, less `doubles` rows of keys that came again
    expired     older than what is kept
    withdrawn   written, but its journal's cursor had not moved when the process ended: the rows come again

Only the last line can be cut short, by a crash while it was written; nothing depends on such a line.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collector.archive import disk
from collector.archive.layout import name_of
from linkgauge.errors import StoreError

NO_HASH = "0" * 64


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: path below the root, rows, octets, SHA-256 in hexadecimal."""

    path: str
    rows: int
    octets: int
    sha256: str


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """See the top of the file."""

    n: int
    at_ns: int
    what: str
    before: str
    files: tuple[Listed, ...] = ()
    gone: tuple[str, ...] = ()
    doubles: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A line of the chain as it was read: `line` None when it is no line, `hash` that of its octets."""

    line: Line | None
    hash: str
    octets: int


@dataclass(frozen=True, slots=True)
class Held:
    """A file that the chain says is there: since when, and by which kind of line."""

    file: Listed
    at_ns: int
    what: str


def links(path: Path) -> Iterator[Link]:
    """The whole lines of a chain; a last one without a line break is left out. Raises OSError."""
    with path.open("rb") as file:
        for text in file:
            if text.endswith(b"\n"):
                yield Link(_line(text), hashlib.sha256(text[:-1]).hexdigest(), len(text))


def _line(text: bytes) -> Line | None:
    try:
        line = msgspec.json.decode(text, type=Line)
        for path in (*line.gone, *(file.path for file in line.files)):
            name_of(path)  # what names no file of the archive is not followed
    except (msgspec.DecodeError, ValueError):
        return None
    return line


def apply(line: Line, files: dict[str, Held]) -> None:
    """What the line changes in the files that are there, by path."""
    for path in line.gone:
        files.pop(path, None)
    for file in line.files:
        files[file.path] = Held(file, line.at_ns, line.what)


class Manifest:
    """One writer's chain, open for more; nobody else may write it meanwhile. Thread safe.

    Raises StoreError when another process has it open, OSError when the disk will not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, Held] = {}
        self.latest: frozenset[str] = frozenset()
        """Paths of the last delivery, which its journal may not know of yet."""
        self.head, self.faults, self._n = NO_HASH, 0, 0
        self._lock = threading.Lock()
        disk.make_folder(path.parent)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, disk.FILE_MODE)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise StoreError(
                f"{path}: another process writes this archive under the same name; stop one of the two"
            ) from None
        self._load()

    @property
    def begun(self) -> bool:
        """Whether the chain has a line."""
        return self._n > 0

    def append(
        self, at_ns: int, what: str, files: Sequence[Listed] = (), gone: Sequence[str] = (), doubles: int = 0
    ) -> None:
        """Add a line; it lasts when this returns. Raises OSError, and then nothing was added."""
        with self._lock:
            line = Line(self._n + 1, at_ns, what, self.head, tuple(files), tuple(gone), doubles)
            text = msgspec.json.encode(line)
            disk.append(self._handle, text + b"\n")
            self._take(line, hashlib.sha256(text).hexdigest())

    def held(self) -> list[Held]:
        """The files that are there now."""
        with self._lock:
            return list(self.files.values())

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _take(self, line: Line, hash_: str) -> None:
        apply(line, self.files)
        self._n, self.head = line.n, hash_
        if line.what == "added":
            self.latest = frozenset(file.path for file in line.files)

    def _load(self) -> None:
        """Read the chain, and cut off a line that a crash left unfinished. A line that is damaged stays and
        is counted in `faults`; the chain goes on behind it."""
        whole = 0
        for link in links(self.path):
            whole += link.octets
            if link.line is None:
                self.faults, self.head, self._n = self.faults + 1, link.hash, self._n + 1
                continue
            self.faults += link.line.before != self.head
            self._take(link.line, link.hash)
        if os.fstat(self._handle).st_size != whole:
            os.ftruncate(self._handle, whole)
            os.fsync(self._handle)
