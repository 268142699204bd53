"""The files of one writer under the archive's root, changed so that a crash at any instant can be mended.

Order of a delivery: files on disk in the work folder; renamed into their places, the folders on disk; a line
of the manifest, on disk; only then the journal's cursor. What is beyond the cursor at the next start is taken
out again, for its rows come again.

Order of putting files together: the new file on disk in the work folder; the line, on disk; a new folder with
the new file and all others that stay takes the place of the old one in one step (renameat2 RENAME_EXCHANGE),
so a listing has either the old files or the new one; the old folder goes a minute later, for one that shrinks
while it is listed would show some of its files only. A start that finds the line but not the file in its
place goes on from there. Where the file system cannot exchange folders, the new file is renamed into its
place and then the old ones go: meanwhile rows are there twice, which the rule for copies settles.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from collector.archive import disk
from collector.archive.layout import Layout, parsed
from collector.archive.manifest import Held, Listed, Manifest, links
from collector.event_line import event_line
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished file in the work folder, and what it will be once it is in its place."""

    path: Path
    file: Listed


LISTED_NS = 60 * NS_PER_S
"""How long a folder that was swapped out stays: nobody lists one for so long."""


class JournalBehind(StoreError):
    """The archive has what the journal has not given yet: the journal is an older copy of itself."""


class Holdings:
    """Opens the archive as the writer `identity`, mended: see the top of the file. Thread safe.

    cursor: the last of the journal's batches that is known to be here; last: the last that it has, None = not
    known. Raises StoreError when another process is that writer, JournalBehind, OSError when the disk will
    not.
    """

    def __init__(
        self, root: Path, identity: str, clock: Clock, cursor: int | None = None, last: int | None = None
    ) -> None:
        self.layout, self._identity, self._clock = Layout(root), identity, clock
        self._last = last
        disk.make_folder(root)
        self._manifest = Manifest(self.layout.manifest(identity))
        self._work = self.layout.work(identity)
        self._changing = threading.RLock()
        self._left: list[tuple[int, Path]] = []
        self._leaving = count()
        try:
            with self._change():
                self._mend(cursor)
        except BaseException:
            self._manifest.close()
            raise

    @property
    def head(self) -> str:
        """Hash of the manifest's last line."""
        return self._manifest.head

    @property
    def identity(self) -> str:
        """The writer."""
        return self._identity

    @property
    def work(self) -> Path:
        return self._work

    def held(self) -> list[Held]:
        """The files that are there, in no order."""
        return self._manifest.held()

    def settled(self, path: str) -> bool:
        """Whether the journal's cursor has surely passed the file: a later delivery has come."""
        return path not in self._manifest.latest

    def close(self) -> None:
        self._manifest.close()

    def stage(self, path: Path, place: str, rows: int) -> Staged:
        """A file that was written into the work folder, made to last; place: its path below the root."""
        disk.settle(path)
        return Staged(path, Listed(place, rows, path.stat().st_size, disk.sha256(path)))

    def publish(self, staged: Sequence[Staged]) -> None:
        """Bring the files of a delivery into their places."""
        with self._change():
            for each in staged:
                place = self.layout.root / each.file.path
                disk.make_folder(place.parent)
                disk.move(each.path, place)
                disk.sync_folder(place.parent)
            self._append("added", [each.file for each in staged])

    def merge(self, staged: Staged, gone: Sequence[str], doubles: int) -> None:
        """Put one file, named as it is in the work folder, into the place of others of its folder."""
        with self._change():
            disk.sync_folder(staged.path.parent)
            self._append("merged", [staged.file], gone, doubles)
            self._swap(staged.file.path, frozenset(gone))

    def expire(self, paths: Sequence[str]) -> None:
        """Take files out for good, and folders that are empty then."""
        with self._change():
            self._append("expired", [], paths)
            self._remove(paths)
            for folder in {(self.layout.root / path).parent for path in paths}:
                with contextlib.suppress(OSError):  # not empty: another writer has files there
                    folder.rmdir()
                    folder.parent.rmdir()

    def _append(
        self, what: str, files: Sequence[Listed] = (), gone: Sequence[str] = (), doubles: int = 0
    ) -> None:
        self._manifest.append(self._clock.now().wall_ns, what, files, gone, doubles)

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """While inside, no other thread or process changes names under the root."""
        with self._changing, disk.held(self.layout.lock):
            yield

    def _swap(self, path: str, gone: frozenset[str]) -> None:
        """Bring a file from the work folder into its place and take out others: see the top of the file."""
        place, made = self.layout.root / path, self._work / Path(path).name
        folder, fresh = place.parent, self._work / "fresh"
        disk.make_folder(folder)
        disk.remove_folder(fresh)
        fresh.mkdir(mode=disk.FOLDER_MODE)
        leave = {Path(each).name for each in gone} | {place.name}
        for other in folder.iterdir():
            if other.name not in leave:
                disk.link(other, fresh / other.name)
        disk.link(made, fresh / place.name)
        disk.sync_folder(fresh)
        if disk.exchange(fresh, folder):
            disk.sync_folder(folder.parent)
            for other in fresh.iterdir():  # by somebody who knows no lock
                if other.name not in leave and not (folder / other.name).exists():
                    disk.link(other, folder / other.name)
            self._leave(fresh)
        else:
            disk.move(fresh / place.name, place)
            disk.sync_folder(folder)
            self._remove(gone)
            disk.remove_folder(fresh)
        disk.remove(made)

    def _leave(self, former: Path) -> None:
        """Set a folder that was swapped out aside: who is listing it just now must not see it shrink."""
        now_ns = self._clock.now().mono_ns
        aside = self._work / f"former-{next(self._leaving)}"
        disk.move(former, aside)
        self._left.append((now_ns, aside))

    def sweep(self) -> None:
        """Remove the folders that were swapped out long enough ago."""
        with self._change():
            due_ns = self._clock.now().mono_ns - LISTED_NS
            for at_ns, folder in [each for each in self._left if each[0] <= due_ns]:
                disk.remove_folder(folder)
                self._left.remove((at_ns, folder))

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            disk.remove(self.layout.root / path)

    def _mend(self, cursor: int | None) -> None:
        """From whatever a crash left to what the manifest says; see the top of the file."""
        self._adopt_others()
        for path in self.layout.root.glob(f"*/date=*/network=*/.tmp-{self._identity}-*"):
            disk.remove(path)
        in_place = set(self.layout.files(self._identity))
        if not self._manifest.begun:
            beyond = _beyond(in_place, cursor)
            self._remove(beyond)
            self._begin(self._manifest, self._identity, in_place - beyond)
        else:
            self._go_on(in_place)
            self._withdraw(in_place, cursor)
            self._leftovers(in_place)
        if self._manifest.faults:
            log.error(event_line("archive_manifest_damaged", file=self._manifest.path))
        disk.remove_folder(self._work)
        disk.make_folder(self._work)

    def _begin(self, manifest: Manifest, identity: str, adopted: Iterable[str]) -> None:
        """First line of a chain; files that are older than it are taken up as they are."""
        files = [self._listed(path) for path in sorted(adopted)]
        manifest.append(self._clock.now().wall_ns, "begun", files)
        if files:
            log.warning(event_line("archive_adopted", writer=identity, files=len(files)))

    def _adopt_others(self) -> None:
        """Begin a chain for files of writers of former times that have none."""
        found: dict[str, list[str]] = {}
        for path in self.layout.files():
            name = parsed(Path(path).name)
            if name is not None and name.identity != self._identity:
                found.setdefault(name.identity, []).append(path)
        for identity, paths in found.items():
            if not self.layout.manifest(identity).exists():
                other = Manifest(self.layout.manifest(identity))
                self._begin(other, identity, paths)
                other.close()

    def _listed(self, path: str) -> Listed:
        place = self.layout.root / path
        try:
            rows = pq.read_metadata(place).num_rows
        except pa.ArrowException as err:
            log.error(event_line("archive_file_damaged", file=place, error=err))
            rows = 0
        return Listed(path, rows, place.stat().st_size, disk.sha256(place))

    def _go_on(self, in_place: set[str]) -> None:
        """Finish what was put together but did not come into its place."""
        for path in [each.file.path for each in self._manifest.held() if each.file.path not in in_place]:
            if (self._work / Path(path).name).exists():
                folder = path.rpartition("/")[0] + "/"
                gone = {p for p in in_place if p.startswith(folder) and p not in self._manifest.files}
                self._swap(path, frozenset(gone))
                in_place.difference_update(gone)
                in_place.add(path)
            else:
                log.error(event_line("archive_file_missing", file=path, effect="its rows are lost"))

    def _withdraw(self, in_place: set[str], cursor: int | None) -> None:
        """Take out what was written, but whose rows come again."""
        listed = _beyond(self._manifest.files, cursor)
        if listed - self._manifest.latest or _beyond(listed, self._last):
            raise JournalBehind(
                f"{self.layout.root}: the archive has deliveries that the journal {self._identity} has not"
                " made yet, so that journal is an older copy; restart the collector, it goes on under a new"
                " name"
            )
        if listed:
            self._append("withdrawn", [], sorted(listed))
        beyond = listed | _beyond(in_place, cursor)
        self._remove(beyond)
        in_place.difference_update(beyond)

    def _leftovers(self, in_place: set[str]) -> None:
        """Remove files that a line took out; tell of those that no line ever had."""
        left = in_place.difference(self._manifest.files)
        if left:
            gone = {path for link in links(self._manifest.path) if link.line for path in link.line.gone}
            self._remove(left & gone)
            for path in sorted(left - gone):
                log.error(event_line("archive_file_unlisted", file=path, effect="left as it is"))


def _beyond(paths: Iterable[str], cursor: int | None) -> set[str]:
    """Those whose batches come after the cursor."""
    if cursor is None:
        return set()
    return {path for path in paths if (name := parsed(Path(path).name)) and name.first > cursor}
