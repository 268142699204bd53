"""Whether an archive is what its manifests say: chains whole, files as they were written, none more or less.

Works while collectors write: what looks wrong is looked at again before it is told. What was removed together
with the last lines of a manifest shows only against a head that was noted elsewhere.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.archive import disk
from collector.archive.layout import Layout, parsed
from collector.archive.manifest import NO_HASH, Held, apply, links

Progress = Callable[[int, int], None]
"""Called with the octets checked so far, and those of all files."""


@dataclass(slots=True)
class Chain:
    """One writer's manifest. hashes: of every line, in order; adopted: files older than the chain."""

    identity: str
    files: dict[str, Held] = field(default_factory=dict)
    hashes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    adopted: int = 0
    doubles: int = 0

    @property
    def head(self) -> str:
        return self.hashes[-1] if self.hashes else NO_HASH

    @property
    def rows(self) -> int:
        return sum(held.file.rows for held in self.files.values())

    @property
    def octets(self) -> int:
        return sum(held.file.octets for held in self.files.values())


@dataclass(frozen=True, slots=True)
class Report:
    """faults: a sentence for each thing that is not as it was written; none: the archive is whole."""

    chains: tuple[Chain, ...]
    faults: tuple[str, ...]


def read_chain(path: Path, most: int | None = None) -> Chain:
    """A manifest and what is wrong with it; most: octets of it to read. Raises OSError."""
    chain, size = Chain(path.stem), 0
    for at, link in enumerate(links(path), 1):
        if most is not None and size + link.octets > most:
            break
        size += link.octets
        line = link.line
        if line is None:
            chain.faults.append(f"{path}: line {at} is damaged")
        else:
            if line.before != chain.head or line.n != at:
                chain.faults.append(
                    f"{path}: line {at} does not follow line {at - 1}: lines were changed, added or removed"
                )
            apply(line, chain.files)
            chain.doubles += line.doubles
            chain.adopted += len(line.files) if line.what == "begun" else 0
        chain.hashes.append(link.hash)
    whole = path.stat().st_size
    if (whole if most is None else min(most, whole)) > size:
        chain.faults.append(f"{path}: its last line is cut short; if a crash did it, the next start mends it")
    return chain


def verify(root: Path, heads: Sequence[str] = (), progress: Progress = lambda *_: None) -> Report:
    """Check everything under `root`. heads: hashes that were noted formerly, each of some chain's last line.

    Raises OSError when the root or a manifest cannot be read.
    """
    layout = Layout(root)
    chains, in_place = _snapshot(layout)
    listed = {path: held for chain in chains for path, held in chain.files.items()}
    wrong = set(listed) ^ in_place
    whole, done = sum(held.file.octets for held in listed.values()), 0
    for path in sorted(set(listed) & in_place):
        if not _same(root, listed[path]):
            wrong.add(path)
        done += listed[path].file.octets
        progress(done, whole)
    if wrong or any(chain.faults for chain in chains):
        chains, in_place = _snapshot(layout)
    faults = [fault for chain in chains for fault in chain.faults]
    faults += _told(root, wrong, chains, in_place) + _missing_heads(heads, chains)
    return Report(tuple(chains), tuple(faults))


def _snapshot(layout: Layout) -> tuple[list[Chain], set[str]]:
    """The chains and the files in their places, at one instant.

    Chains only grow: they are read afterwards, as far as they went then, while writers go on.
    """
    with _still(layout):
        sizes = {path: path.stat().st_size for path in sorted(layout.manifests.glob("*.jsonl"))}
        in_place = set(_entries(layout.root))
    return [read_chain(path, size) for path, size in sizes.items()], in_place


@contextlib.contextmanager
def _still(layout: Layout) -> Iterator[None]:
    """Names do not change while inside; a copy of an archive that nobody may write does not change anyway."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(disk.held(layout.lock, make=False))
        yield


def _entries(root: Path) -> Iterator[str]:
    """Whatever lies in the folders of tables and is no folder. Links lead readers elsewhere, so none is one.

    Hidden files are read by nobody, but as Parquet by some.
    """
    for folder, folders, names in os.walk(root):
        if folder == str(root):
            folders[:], names = [name for name in folders if not name.startswith(".")], []
        names = [name for name in names if not name.startswith(".") or name.endswith(".parquet")]
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (str((Path(folder) / name).relative_to(root)) for name in (*names, *linked))


def _same(root: Path, held: Held) -> bool:
    path = root / held.file.path
    try:
        return not path.is_symlink() and disk.sha256(path) == held.file.sha256
    except OSError:
        return False


def _told(root: Path, wrong: set[str], chains: Sequence[Chain], in_place: set[str]) -> list[str]:
    """Sentences on what is still wrong."""
    listed = {path: held for chain in chains for path, held in chain.files.items()}
    known = {chain.identity for chain in chains}
    faults, strays = [], Counter[str]()
    for path in sorted(wrong):
        name = parsed(Path(path).name)
        if path in listed and path not in in_place:
            faults.append(f"{root / path}: the file is missing; {listed[path].file.rows} rows are gone")
        elif path in in_place and (root / path).is_symlink():
            faults.append(f"{root / path}: it is a link: what readers find there is elsewhere")
        elif path in listed and not _same(root, listed[path]):
            faults.append(f"{root / path}: the file is not as it was written (SHA-256 differs)")
        elif path in in_place and path not in listed:
            if name is not None and name.identity not in known:
                strays[name.identity] += 1
            else:
                faults.append(
                    f"{root / path}: no manifest lists the file: it was added, or lines were removed"
                )
    for identity, count in strays.items():
        faults.append(
            f"{root}: {count} files of {identity} have no manifest; if they are older than manifests,"
            " the collector's next start takes them up"
        )
    return faults


def _missing_heads(heads: Sequence[str], chains: Sequence[Chain]) -> list[str]:
    known = {hash_ for chain in chains for hash_ in chain.hashes}
    return [
        f"head {head}: no chain has it any more: lines up to it were changed or removed"
        for head in heads
        if head.lower() not in known
    ]
