"""Taking up the last period at start: only a bounded piece of the journal is in memory at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.live import replay as replaying
from collector.live.excuses import Excuses
from collector.live.live import LiveState
from collector.live.recent import Past
from collector.live.replay import replay
from linkgauge.frame import Frame, concat
from linkgauge.schema import CERTIFICATE, EVENT, HEALTH, STATE
from linkgauge.table import Table
from tests.collector.journals import open_journal
from tests.collector.world import NOW_NS, WINDOW_NS, body, inventory, windows

LINK = "j1>j2@backbone"
NEWS = ("events", "certificates", "states")


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


class Kept:
    """An archive with one row each of EVENT, CERTIFICATE and STATE, some windows ago."""

    def __init__(self, windows_ago: int, kind: str = "path") -> None:
        self._ago, self._kind = windows_ago, kind

    def read(self, table: Table, from_ns: int, to_ns: int) -> Frame:
        start_ns = NOW_NS - self._ago * WINDOW_NS
        if table not in (EVENT, CERTIFICATE, STATE) or not from_ns <= start_ns < to_ns:
            return concat(table, [])
        keys = {**{key: ["0"] for key in table.keys}, "link": [LINK], "start_ns": [start_ns]}
        keys |= {"kind": [self._kind]} if table is EVENT else {}
        return Frame.of(table, {**keys, **({"good": [1]} if table is STATE else {})})

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("windows_ago", "rows"), [(3, [1, 1, 1]), (80, [1, 1, 0]), (100, [0, 0, 0])])
def test_events_certificates_and_verdicts_of_an_earlier_life_are_handed_on(
    tmp_path: Path, windows_ago: int, rows: list[int]
) -> None:
    """Of a period of 6 windows; events and certificates count for a quarter of an hour."""
    found = inventory(tmp_path)
    live, journal, handed = LiveState(lambda: found), open_journal(tmp_path), list[Past]()
    journal.register(["archive"])
    replay(live, Kept(windows_ago), journal, NOW_NS, 6 * WINDOW_NS, WINDOW_NS, 1, handed.append)
    journal.close()
    parts = [[frames for past in handed for frames in getattr(past, name)] for name in NEWS]
    assert [sum(frame.rows for frame in frames) for frames in parts] == rows
    for frame in parts[2]:
        assert frame.count("good").tolist() == [1]


@pytest.mark.parametrize(
    ("kind", "windows_ago", "rows"), [("mtu", 100, 1), ("mtu", 8_700, 0), ("path", 100, 0)]
)
def test_a_change_of_the_mtu_is_known_for_a_day(
    tmp_path: Path, kind: str, windows_ago: int, rows: int
) -> None:
    found = inventory(tmp_path)
    live, journal, handed = LiveState(lambda: found), open_journal(tmp_path), list[Past]()
    journal.register(["archive"])
    replay(live, Kept(windows_ago, kind), journal, NOW_NS, 6 * WINDOW_NS, WINDOW_NS, 1, handed.append)
    journal.close()
    assert sum(frame.rows for past in handed for frame in past.events) == rows


def test_drills_of_an_earlier_life_are_known(tmp_path: Path) -> None:
    found = inventory(tmp_path)
    live, journal, excuses = (
        LiveState(lambda: found),
        open_journal(tmp_path),
        Excuses(lambda: found, WINDOW_NS, 0),
    )
    journal.register(["archive"])
    played = {"agent": ["j2"], "start_ns": [NOW_NS - 2 * WINDOW_NS], "drill": [1]}
    times = {"start_ns": [NOW_NS - WINDOW_NS], "length_ns": [WINDOW_NS]}
    told = Frame.of(HEALTH, {"agent": ["g1"], **times, "drill": [1]})
    journal.append("g1", "boot", 1, NOW_NS, NOW_NS, body("g1", 1, told))

    class Played(Empty):
        def read(self, table: Table, from_ns: int, to_ns: int) -> Frame:
            here = table is HEALTH and from_ns <= NOW_NS - 2 * WINDOW_NS < to_ns
            return Frame.of(HEALTH, played) if here else concat(table, [])

    replay(live, Played(), journal, NOW_NS, 6 * WINDOW_NS, WINDOW_NS, 1, None, excuses.take)
    journal.close()
    assert excuses.playing(NOW_NS - 2 * WINDOW_NS) == {"j2"}
    assert excuses.playing(NOW_NS - WINDOW_NS) == {"j2", "g1"}


def test_verdicts_of_this_life_are_not_handed_back(tmp_path: Path) -> None:
    found = inventory(tmp_path)
    live = LiveState(lambda: found)
    live.period(NOW_NS)
    live.replay(Kept(3).read(STATE, 0, NOW_NS))
    assert live.news().states == ()
