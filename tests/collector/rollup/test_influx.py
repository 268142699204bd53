"""Roll-ups on their way to a real InfluxDB 1.6: each table in its own database, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from collector.settings import InfluxSettings
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.pump import Pump
from collector.stores import databases
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.schema import WINDOW_1H, WINDOW_5M
from tests.collector.rollup.windows import T0_NS, Sampled, frame_of
from tests.collector.rollup.world import LINKS, World
from tests.collector.world import inventory
from tests.influxd import Influxd

pytestmark = pytest.mark.influx
NAME = "rolled"


@pytest.fixture
def world(tmp_path: Path, influxd: Influxd) -> Iterator[World]:
    """A world whose journal also feeds the three databases of a server."""
    made = World(tmp_path)
    found = inventory(tmp_path)
    dead = DeadLetters(tmp_path / "influx-dead.sqlite")
    for address, name, tables in databases(InfluxSettings(url=influxd.url, database=NAME)):
        sink = InfluxSink(partial(connect, address), LineMaker(link_tags(lambda: found)), name, tables)
        made.pumps.append(Pump(sink, made.journal, dead, made.clock, made.metrics))
    yield made
    for pump in made.pumps[2:]:
        pump.stop(10)
    made.close()


def _points(influxd: Influxd, ending: str, fields: str) -> list[list[object]]:
    query = f"SELECT {fields} FROM link_loss WHERE link = '{LINKS[0]}'"
    return influxd.values(query, NAME + ending)


def test_each_table_has_its_database_and_a_slot_made_again_is_one_point(
    world: World, influxd: Influxd
) -> None:
    first = [Sampled(T0_NS + at * 10 * NS_PER_S, (1e6,) * 9, link=LINKS[0]) for at in range(60)]
    world.at(3600)
    world.send("j1", frame_of(first))
    world.pump()
    world.at(2 * 3600)
    assert world.make() == 2
    assert world.make() == 1
    late = Sampled(T0_NS + 600 * NS_PER_S, (1e6,) * 5, lost=(5, 0, 0), link=LINKS[0])
    again = Sampled(T0_NS + 60 * 10 * NS_PER_S - 10 * NS_PER_S, (1e6,) * 4, lost=(6, 0, 0), link=LINKS[0])
    rows: Frame = frame_of([late, again])
    world.send("j1", rows)
    world.pump()
    assert world.make() == 2
    assert world.make() == 1
    for table, ending in ((WINDOW_5M, "_5m"), (WINDOW_1H, "_1h")):
        kept = world.read(table, [LINKS[0]])
        columns = (kept.count("start_ns"), kept.count("windows"), kept.real("loss_forward_ratio"))
        wanted = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        assert _points(influxd, ending, "windows, loss_forward_ratio") == wanted
    assert [point[1] for point in _points(influxd, "_5m", "windows")] == [30, 30, 1]
    assert [point[1:] for point in _points(influxd, "_1h", "windows, lost_forward")] == [[61, 11]]
    raw = _points(influxd, "", "sent")
    assert len(raw) == 61, "no roll-up stands among the raw windows"
