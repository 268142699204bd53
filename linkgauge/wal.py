"""What SQLite's write-ahead log holds, from the log's own headers (https://sqlite.org/fileformat2.html#walformat).

At open SQLite takes the log up to the first frame that is wrong, and says nothing of what follows. After a
crash that is right: the last transaction may be half written. But each commit of ours was on disk before
the next was begun, so two commits behind a wrong frame say that an acknowledged one was damaged.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">6I")
_MAGIC = (0x377F0682, 0x377F0683)


def commits_after(log: Path, frames: int) -> int:
    """Commits that the log has behind its first `frames` frames and that belong to it; 0 without a log.

    Raises OSError.
    """
    if not log.exists():
        return 0
    with log.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return 0
        magic, _, page, _, *salt, _, _ = _HEADER.unpack(header)
        if magic not in _MAGIC or not 512 <= page <= 65536:
            return 0
        found, size = 0, _FRAME.size + page
        file.seek(_HEADER.size + frames * size)
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            _, pages, *its_salt, _, _ = _FRAME.unpack(head)
            found += pages > 0 and its_salt == salt
            file.seek(page, 1)
    return found
