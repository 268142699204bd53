"""Taking up the last period at start: only a bounded piece of the journal is in memory at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.live import replay as replaying
from collector.live.live import LiveState
from collector.live.recent import Past
from collector.live.replay import replay
from linkgauge.frame import Frame, concat
from linkgauge.table import Table
from tests.collector.journals import open_journal
from tests.collector.world import NOW_NS, WINDOW_NS, body, inventory, windows

LINK = "j1>j2@backbone"


class Empty:
    """An archive without rows."""

    def read(self, table: Table, from_ns: int, to_ns: int) -> Frame:
        return concat(table, [])

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("octets", "pieces"), [(1, 5), (1 << 20, 1)])
def test_what_only_the_journal_has_is_handed_on_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: int, pieces: int
) -> None:
    found = inventory(tmp_path)
    live, journal = LiveState(lambda: found), open_journal(tmp_path)
    journal.register(["archive"])
    for number in range(1, 6):
        brought = body("j1", number, windows([LINK], NOW_NS - number * WINDOW_NS))
        journal.append("j1", "boot", number, NOW_NS, NOW_NS, brought)
    handed: list[int] = []

    def remember(past: Past) -> None:
        handed.append(sum(frame.rows for frame in past.windows))

    monkeypatch.setattr(replaying, "AT_ONCE_BYTES", octets)
    replay(live, Empty(), journal, NOW_NS, 60 * WINDOW_NS, WINDOW_NS, 1, remember)
    assert [rows for rows in handed if rows] == [5 // pieces] * pieces
    journal.close()
