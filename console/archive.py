"""`linkgauge archive`: check that nothing in it was altered, see what it holds, put small files together.

All of it works beside running collectors. Exit 0: as it should be; 1: not; 2: it could not be looked at.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from collector.archive import compaction
from collector.archive.holdings import Holdings
from collector.archive.layout import Layout
from collector.archive.manifest import Listed
from collector.archive.rules import Rules
from collector.archive.verify import Chain, Report, read_chain
from collector.archive.verify import verify as verified
from collector.settings import Settings
from linkgauge.clock import SystemClock
from linkgauge.errors import StoreError

app = typer.Typer(
    name="archive",
    help="The Parquet archive: check it, see what it holds, put small files together.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
SETTINGS = Path("/etc/linkgauge/collector.yaml")
Root = Annotated[Path | None, typer.Argument(help="The archive's folder; else that of --config.")]
Config = Annotated[Path, typer.Option(help="The collector's settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def verify(
    root: Root = None,
    config: Config = SETTINGS,
    head: Annotated[
        list[str] | None, typer.Option(help="A head that was noted formerly; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every file against the manifests, and their chains of hashes; exit 1: something was altered."""
    with _told(folder := _root(root, config)), Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking")
        report = verified(
            folder, head or (), lambda done, whole: bar.update(task, completed=done, total=whole)
        )
    if not report.chains and not head:
        raise StoreError(f"{folder}: there is no archive (no manifest); name its folder, or give --config")
    if as_json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report)
    raise typer.Exit(1 if report.faults else 0)


@app.command("list")
def list_(root: Root = None, config: Config = SETTINGS, as_json: AsJson = False) -> None:
    """Files, rows and octets of each table, day and network, as the manifests tell them."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    with _told(folder := _root(root, config)):
        for chain in _chains(folder):
            for path, held in chain.files.items():
                _add(sums[path.rpartition("/")[0]], held.file)
    rows = [(*_parts(place), *sums[place]) for place in sorted(sums)]
    if as_json:
        names = ("table", "date", "network", "files", "rows", "octets")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    table = Table("table", "date", "network", box=None)
    for name in ("files", "rows", "octets"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)


@app.command()
def compact(
    root: Root = None,
    config: Config = SETTINGS,
    all_: Annotated[bool, typer.Option("--all", help="Whatever its age and however few.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put small files together, as a running collector does by itself; a writer that runs is left alone."""
    rules = Settings.load(config).archive if root is None else None
    wanted = Rules.of(rules) if rules else Rules()
    if all_:
        wanted = Rules(-math.inf, None, wanted.keep_free_bytes, step_files=2)
    steps, left = 0, list[str]()
    with _told(folder := _own(_root(root, config))):
        for path in sorted(Layout(folder).manifests.glob("*.jsonl")):
            try:
                with closing(Holdings(folder, path.stem, SystemClock())) as holdings:
                    steps += _compact(holdings, wanted, left)
            except StoreError as err:
                left.append(str(err))
    if as_json:
        print(json.dumps({"put_together": steps, "left": left}))
    else:
        print("\n".join([f"{steps} times files of a folder were put together", *left]))
    raise typer.Exit(1 if left else 0)


def _compact(holdings: Holdings, rules: Rules, left: list[str]) -> int:
    """How often; what cannot be put together is added to `left`."""
    steps, aside = 0, set[str]()
    while True:
        try:
            if not compaction.step(holdings, rules, SystemClock(), aside):
                return steps
            steps += 1
        except compaction.FolderFault as err:
            aside.add(err.folder)
            left.append(f"{holdings.layout.root}/{err}")


def _own(folder: Path) -> Path:
    """What somebody else writes here, the collector could not read."""
    if (owner := folder.stat().st_uid) != os.geteuid():
        raise StoreError(f"{folder}: the archive is that of user {owner}; run this as that user")
    return folder


def _root(root: Path | None, config: Path) -> Path:
    folder = root or Settings.load(config).archive_path
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no archive; name its folder or the collector's settings")
    return folder


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StoreError(
            f"{folder}: the archive cannot be read ({err.strerror}); look at its rights"
        ) from None


def _chains(folder: Path) -> list[Chain]:
    return [read_chain(path) for path in sorted(Layout(folder).manifests.glob("*.jsonl"))]


def _add(sums: list[int], file: Listed) -> None:
    for at, value in enumerate((1, file.rows, file.octets)):
        sums[at] += value


def _parts(place: str) -> tuple[str, str, str]:
    table, date, network = place.split("/")
    return table, date.removeprefix("date="), network.removeprefix("network=")


def _as_json(report: Report) -> dict[str, Any]:
    chains = [_chain_as_json(chain) for chain in report.chains]
    return {"whole": not report.faults, "faults": list(report.faults), "writers": chains}


def _chain_as_json(chain: Chain) -> dict[str, Any]:
    return {
        "writer": chain.identity,
        "lines": len(chain.hashes),
        "head": chain.head,
        "files": len(chain.files),
        "rows": chain.rows,
        "octets": chain.octets,
        "doubles_removed": chain.doubles,
        "adopted_files": chain.adopted,
    }


def _print(report: Report) -> None:
    for chain in report.chains:
        print(
            f"writer {chain.identity}: {len(chain.hashes)} lines, {len(chain.files)} files,"
            f" {chain.rows} rows, {chain.octets} octets; head {chain.head}"
        )
        if chain.adopted:
            print(f"  {chain.adopted} files are older than the manifest: what they were before is not known")
    for fault in report.faults:
        print(fault)
    print("the archive is as it was written" if not report.faults else f"{len(report.faults)} faults")
