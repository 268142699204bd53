"""Another process that delivers to an archive and puts its files together until it is killed.

What is acknowledged stands in a file, as the journal's cursor does; it goes on from there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from collector.archive import compaction
from collector.archive.rules import Rules
from collector.sinks.archive import Archive
from tests.collector.archive.world import clock, delivery, tags


def main() -> None:
    root, acknowledged, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    cursor = int(acknowledged.read_text())
    rules = Rules(compact_after_s=0, step_files=4)
    archive = Archive(root, "abc", cursor, tags, rules, clock())
    sys.stdout.write("up\n")
    sys.stdout.flush()
    while cursor < last:
        archive.write([delivery(cursor + 1)])
        cursor += 1
        beside = acknowledged.with_suffix(".new")
        beside.write_text(str(cursor))
        os.replace(beside, acknowledged)
        compaction.step(archive.opened(), rules, clock())
    archive.close()


if __name__ == "__main__":
    main()
