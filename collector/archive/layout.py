"""Where things lie under the archive's root, and what a file's name tells.

<table>/date=YYYY-MM-DD/network=<name>/<identity>-<first seq>-<last seq>.parquet
.manifest/<identity>.jsonl     the chain of one writer
.work/<identity>/              what is not finished yet; never read
.lock                          held while names under the root change
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_FILE = re.compile(r"([0-9a-f]+)-(\d+)-(\d+)\.parquet")
_PLACE = re.compile(r"[a-z0-9_]+/date=\d{4}-\d\d-\d\d/network=[^/]+")


@dataclass(frozen=True, slots=True)
class FileName:
    """Whose file it is, and the first and last of its batches in that journal."""

    identity: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.identity}-{self.first}-{self.last}.parquet"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one archive."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def manifests(self) -> Path:
        return self.root / ".manifest"

    def manifest(self, identity: str) -> Path:
        return self.manifests / f"{identity}.jsonl"

    def work(self, identity: str) -> Path:
        return self.root / ".work" / identity

    def place(self, table: str, day: int, network: str) -> Path:
        """The folder of a table's rows of a day (since 1970, UTC) on a network."""
        return self.root / table / f"date={date_of(day)}" / f"network={network}"

    def files(self, identity: str | None = None) -> Iterator[str]:
        """Every Parquet file in its place, relative to the root; of one writer or of all."""
        for path in self.root.glob("[!.]*/date=*/network=*/*.parquet"):
            found = parsed(path.name)
            if identity is None or (found is not None and found.identity == identity):
                yield str(path.relative_to(self.root))


def parsed(name: str) -> FileName | None:
    """What the name of a file tells; None when it is none of ours."""
    found = _FILE.fullmatch(name)
    return FileName(found[1], int(found[2]), int(found[3])) if found else None


def name_of(path: str) -> FileName:
    """What the path of a listed file tells; raises ValueError when it is none."""
    folder, _, name = path.rpartition("/")
    found = parsed(name)
    if found is None or not _PLACE.fullmatch(folder) or ".." in folder:
        raise ValueError(f"{path!r} is no path of an archive's file")
    return found


def date_of(day: int) -> str:
    """2027-01-15, from days since 1970, UTC."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
