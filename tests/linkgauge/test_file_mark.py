"""Every way in which a file becomes another one is seen, and reading it is none."""

from __future__ import annotations

import time
from pathlib import Path

from linkgauge.file_mark import file_mark


def test_a_mark_tells_versions_apart(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    marks = [file_mark(path)]
    path.write_text("one")
    marks.append(file_mark(path))
    path.write_text("longer")
    marks.append(file_mark(path))
    time.sleep(0.02)  # older kernels tell times in ticks of up to 10 ms
    path.chmod(0o600)
    marks.append(file_mark(path))
    other.write_text("longer")
    other.replace(path)
    marks.append(file_mark(path))
    assert len(set(marks)) == len(marks)
    path.read_text()
    assert file_mark(path) == marks[-1]
    path.unlink()
    assert file_mark(path) is marks[0] is None
