"""Damaged files are kept, whatever else is there."""

from __future__ import annotations

from pathlib import Path

from linkgauge.aside import move_aside


def test_all_parts_move_and_an_earlier_one_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for turn in ("first", "second"):
        path.write_text(turn)
        Path(f"{path}-wal").write_text(turn)
        move_aside(path, 7_000_000_001, ("", "-wal", "-shm"))
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "x.db.damaged-7": "first",
        "x.db.damaged-7-wal": "first",
        "x.db.damaged-7-2": "second",
        "x.db.damaged-7-2-wal": "second",
    }
