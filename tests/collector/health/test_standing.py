"""How the collector stands: every field of its own row has a value, and status tells the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from collector.health.own_report import AGENT
from linkgauge.frame import Frame
from linkgauge.own_tables import COLLECTOR
from linkgauge.packing import unpack
from linkgauge.wire import MAX_BODY_BYTES, decode
from tests.collector.running import Running, report
from tests.collector.world import until


def own_rows(running: Running) -> list[Frame]:
    """COLLECTOR rows that are still in the journal, in order."""
    entries = running.collector.journal.read(0, 10_000, 1 << 30)
    frames = [decode(unpack(e.body, MAX_BODY_BYTES)).frames for e in entries if e.agent == AGENT]
    return [found[COLLECTOR.name] for found in frames if COLLECTOR.name in found]


def test_each_field_of_the_collectors_row_is_filled(tmp_path: Path) -> None:
    with Running(tmp_path, "influxdb: {url: 'http://127.0.0.1:9'}\n") as running:  # it keeps the bodies
        running.post(report(1))
        until(lambda: running.collector.journal.backlog("archive")[0] == 0)  # else the row may have no head
        running.post(report(1))
        running.post(b"garbage")
        until(lambda: any(row.count("batches_refused")[0] for row in own_rows(running)))
        row = own_rows(running)[-1]
        status = running.client.get("/v1/status").json()
    counts: dict[str, Any] = {field.name: row.columns[field.name][0] for field in COLLECTOR.fields}
    assert counts["batches_accepted"] == counts["batches_duplicate"] == counts["batches_refused"] == 1
    assert counts["rows_accepted"] == 4
    assert counts["journal_batches"] >= counts["influx_batches"] > 0
    assert counts["journal_octets"] > 0
    assert counts["influx_lag_s"] > 0
    assert not math.isnan(counts["archive_lag_s"])
    assert counts["series"] > 0
    assert counts["faults"] == counts["journal_dropped"] == counts["dead_letters"] == 0
    assert len(counts["archive_head"]) == 64
    assert set(status["sinks"]) >= {"archive", "influxdb"}
    assert status["sinks"]["influxdb"]["lag_s"] > 0
    assert status["journal"]["dropped_lately"] == 0
    assert 0 < status["up_s"] < 600
    assert status["inventory"]["takes_over_in_s"] is None
    assert status["certificate"] == {"days_left": None, "fault": None}
    assert status["archive"] == {"head": status["archive"]["head"], "trouble": None}
    assert len(status["archive"]["head"]) == 64
    assert status["counters"]["archive_upkeep_troubled"] == 0
    assert status["on_duty"] is True
    assert status["rollups"]["alive"] is True
