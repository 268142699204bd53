"""Roll-ups of a whole collector that runs: from a request to rows of both tables in the archive."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import collector.rollup.maker
import collector.stores
from collector.rollup.assembly import grace_of
from collector.rollup.slot import HOUR_NS
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import NS_PER_S, window_start
from linkgauge.schema import WINDOW_1H, WINDOW_5M
from tests.collector.running import LINKS, Running, now_ns, settings_in
from tests.collector.world import WINDOW_NS, body, inventory, until, windows


def test_late_windows_become_rows_of_both_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector.stores, "NOTING_S", 0.1)
    monkeypatch.setattr(collector.rollup.maker, "POLL_S", 0.1)
    hour_ns = window_start(now_ns(), HOUR_NS) - 2 * HOUR_NS
    with Running(tmp_path) as running, closing(ArchiveReader(running.settings.archive_path)) as reader:
        for number in (1, 2):
            sent = windows(LINKS, hour_ns + number * 30 * WINDOW_NS)
            reply = running.post(body("j1", number, sent, created_ns=now_ns()))
            assert reply.status_code == 200
        until(lambda: sum(reader.read(WINDOW_1H, 0, 2**61).count("windows")) == 2 * len(LINKS))
        until(lambda: running.collector.rollups.due.slots == 0)
        short = reader.read(WINDOW_5M, 0, 2**61)
        assert running.collector.rollups.trouble is None
    assert short.rows == 2 * len(LINKS)
    assert short.count("sent").tolist() == [100] * short.rows
    assert not running.collector.rollups.alive


def test_a_slot_is_made_after_its_last_window_had_its_time(tmp_path: Path) -> None:
    settings, found = settings_in(tmp_path), inventory(tmp_path)
    grace = grace_of(settings, found)
    least_s = found.window_s + found.probing.stamp.timeout_s + settings.archive.flush_s
    assert grace.short_ns > least_s * NS_PER_S
    assert grace.hour_ns > grace.short_ns + settings.archive.flush_s * NS_PER_S
