"""Verify finds whatever was altered, and finds nothing where nothing was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.archive import compaction
from collector.archive import verify as verify_module
from collector.archive.verify import Chain, read_chain, verify
from collector.sinks.archive import Archive
from linkgauge.errors import StoreError
from tests.collector.archive.world import SOON, clock, holdings, names, tags, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five deliveries, of which the first three became one file, and a sixth after that."""
    root = tmp_path / "archive"
    write(root, range(1, 5))
    files = holdings(root)
    assert compaction.step(files, SOON, clock())
    files.close()
    write(root, [5, 6])
    assert names(root) == [f"abc-{name}.parquet" for name in ("1-3", "4-4", "5-5", "6-6")]
    return root


def _file(root: Path, name: str) -> Path:
    return next(root.rglob(f"abc-{name}.parquet"))


def _manifest(root: Path) -> Path:
    return root / ".manifest" / "abc.jsonl"


def _edit(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = _manifest(root).read_text().splitlines(keepends=True)
    _manifest(root).write_text("".join(change(lines)))


def test_what_was_not_altered_is_whole(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(root, progress=lambda done, whole: seen.append((done, whole)))
    assert report.faults == ()
    (chain,) = report.chains
    assert (len(chain.files), chain.rows, chain.adopted) == (4, 12, 0)
    assert seen[-1][0] == seen[-1][1] == chain.octets
    assert verify(root, chain.hashes).faults == ()


def test_writers_are_not_held_up_while_chains_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = verify(root).chains
    seqs = iter((7, 8))

    def read(path: Path, most: int | None = None) -> Chain:
        write(root, [next(seqs)])  # waits for ever where the lock is held
        return read_chain(path, most)

    monkeypatch.setattr(verify_module, "read_chain", read)
    report = verify(root)
    assert (report.faults, report.chains[0].hashes) == ((), chains[0].hashes)


def test_a_flipped_octet(root: Path) -> None:
    path = _file(root, "1-3")
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    assert verify(root).faults == (f"{path}: the file is not as it was written (SHA-256 differs)",)


def test_a_removed_file(root: Path) -> None:
    path = _file(root, "1-3")
    path.unlink()
    assert verify(root).faults == (f"{path}: the file is missing; 6 rows are gone",)


@pytest.mark.parametrize("name", ["abc-7-7.parquet", "part-0.parquet", ".part-0.parquet", "part-0"])
def test_an_added_file(root: Path, name: str) -> None:
    path = _file(root, "4-4").with_name(name)
    path.write_bytes(_file(root, "4-4").read_bytes())
    (fault,) = verify(root).faults
    assert fault == f"{path}: no manifest lists the file: it was added, or lines were removed"


@pytest.mark.parametrize("place", ["window/date=2027-01-01", "window/date=2027-01-01/network=n", "extra"])
def test_a_linked_folder_that_readers_follow(root: Path, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere" / "network=n"
    elsewhere.mkdir(parents=True)
    (elsewhere / "abc-7-7.parquet").write_bytes(_file(root, "4-4").read_bytes())
    link = root / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere if place.endswith("n") else elsewhere.parent)
    assert verify(root).faults == (f"{link}: it is a link: what readers find there is elsewhere",)


def test_a_file_that_became_a_link(root: Path, tmp_path: Path) -> None:
    path = _file(root, "4-4")
    path.symlink_to(path.rename(tmp_path / "elsewhere"))
    assert verify(root).faults == (f"{path}: it is a link: what readers find there is elsewhere",)


@pytest.mark.parametrize("at", range(7))
def test_an_edited_line(root: Path, at: int) -> None:
    _edit(root, lambda lines: [*lines[:at], lines[at].replace('"at_ns":1', '"at_ns":2'), *lines[at + 1 :]])
    (fault,) = verify(root).faults
    assert f"line {at + 2} does not follow line {at + 1}" in fault


def test_an_edited_last_line_shows_against_a_noted_head(root: Path) -> None:
    head = verify(root).chains[0].head
    _edit(root, lambda lines: [*lines[:-1], lines[-1].replace('"rows":2', '"rows":3')])
    assert verify(root).faults == ()
    (fault,) = verify(root, [head]).faults
    assert fault.startswith(f"head {head}: no chain has it any more")


def test_a_line_that_is_none_or_names_what_is_no_file(root: Path) -> None:
    _edit(root, lambda lines: [*lines, "{}\n", lines[-1].replace("window/", "../window/")])
    faults = verify(root).faults
    assert [fault.rpartition("/")[2] for fault in faults] == [
        "abc.jsonl: line 9 is damaged",
        "abc.jsonl: line 10 is damaged",
    ]


def test_a_removed_and_a_swapped_line(root: Path) -> None:
    _edit(root, lambda lines: lines[:2] + lines[3:])
    assert any("line 3 does not follow line 2" in fault for fault in verify(root).faults)


def test_a_manifest_cut_at_a_line(root: Path) -> None:
    _edit(root, lambda lines: lines[:-1])
    (fault,) = verify(root).faults
    assert fault == f"{_file(root, '6-6')}: no manifest lists the file: it was added, or lines were removed"


def test_a_manifest_cut_inside_a_line(root: Path) -> None:
    _manifest(root).write_bytes(_manifest(root).read_bytes()[:-10])
    faults = verify(root).faults
    assert len(faults) == 2
    assert "its last line is cut short" in faults[0]


def test_lines_cut_together_with_their_files_show_against_a_noted_head(root: Path) -> None:
    head = verify(root).chains[0].head
    _edit(root, lambda lines: lines[:-1])
    _file(root, "6-6").unlink()
    assert verify(root).faults == ()
    assert len(verify(root, [head.upper(), "0" * 64]).faults) == 2


def test_a_manifest_that_is_gone(root: Path) -> None:
    _manifest(root).unlink()
    (fault,) = verify(root).faults
    assert "4 files of abc have no manifest" in fault


def test_an_archive_older_than_manifests_is_taken_up_and_says_so(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _manifest(root).unlink()
    write(root, [7], identity="def", cursor=0)
    report = verify(root)
    assert report.faults == ()
    assert {chain.identity: (len(chain.files), chain.adopted) for chain in report.chains} == {
        "abc": (4, 4),
        "def": (1, 0),
    }
    assert any("archive_adopted writer=abc files=4" in record.message for record in caplog.records)


def test_the_chain_goes_on_behind_a_damaged_line(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    _edit(root, lambda lines: [*lines[:3], "damaged\n", *lines[4:]])
    write(root, [7])
    assert any("archive_manifest_damaged" in record.message for record in caplog.records)
    assert all("line 9" not in fault for fault in verify(root).faults)
    assert _file(root, "7-7").exists()


def test_a_writer_has_its_chain_for_itself(root: Path) -> None:
    archive = Archive(root, "abc", 6, tags, clock=clock())
    assert archive.head == verify(root).chains[0].head
    with pytest.raises(StoreError, match="another process writes this archive under the same name"):
        Archive(root, "abc", 6, tags, clock=clock())
    archive.close()


def test_nothing_is_open_to_the_world(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path
