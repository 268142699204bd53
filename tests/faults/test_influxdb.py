"""InfluxDB away, slow, in a bad temper: the archive goes on, and in the end every window is in both, once."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector.world import NOW_NS, WINDOW_NS
from tests.faults.gate import HANG_UP, Answer, Asked, Gate
from tests.faults.stores import LINKS, Stores, once
from tests.influxd import Influxd

pytestmark = pytest.mark.influx
DAY_NS = 86_400 * 10**9


def _said(status: int, **headers: str) -> Answer:
    return Answer(status, json.dumps({"error": f"told {status}"}).encode(), dict(headers))


def _writes(answer: Answer) -> Callable[[Asked], Answer | None]:
    return lambda asked: answer if asked.lines else None


PASSING = {
    "500": _writes(_said(500)),
    "500 timeout": _writes(Answer(500, b'{"error":"timeout"}')),
    "502": _writes(Answer(502, b"<html>bad gateway</html>")),
    "503": _writes(_said(503)),
    "503 in an hour": _writes(_said(503, **{"Retry-After": "3600"})),
    "429": _writes(_said(429)),
    "408": _writes(_said(408)),
    "401": _writes(_said(401)),
    "403": _writes(_said(403)),
    "404 database": _writes(Answer(404, b'{"error":"database not found: \\"x\\""}')),
    "500 retention policy": _writes(Answer(500, b'{"error":"retention policy not found: x"}')),
    "hangs up": _writes(HANG_UP),
    "hangs up in its answer": _writes(Answer(500, b'{"error":"told 500"}', cut=5)),
    "away": lambda asked: HANG_UP,
    "another program": lambda asked: Answer(200, b"<html>welcome</html>"),
}


@pytest.fixture
def gate(influxd: Influxd) -> Iterator[Gate]:
    with Gate(influxd.url) as made:
        yield made


@pytest.fixture
def stores(tmp_path: Path, gate: Gate) -> Iterator[Stores]:
    made = Stores(tmp_path, gate.url, f"faults{secrets.token_hex(4)}")
    yield made
    made.close()


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing(fault: str, gate: Gate, stores: Stores, influxd: Influxd) -> None:
    start_ns = NOW_NS - 100 * WINDOW_NS
    stores.feed(start_ns)
    stores.settle(stores.influx)
    for at in range(1, 6):
        stores.feed(start_ns + at * WINDOW_NS)
    gate.treat = PASSING[fault]
    assert [stores.influx.step(flush=True) > 0 for _ in range(3)] == [True] * 3
    assert stores.influx.trouble is not None
    stores.settle(stores.archive)
    assert stores.archive.trouble is None
    assert stores.journal.backlog("influxdb")[0] == 5
    gate.treat = lambda asked: None
    stores.settle(stores.influx)
    assert stores.influx.trouble is None
    once(stores.archived(), stores.produced)
    once(stores.points(influxd), stores.produced)
    assert stores.dead.counts().kept == 0


def test_an_answer_that_gets_lost_makes_no_double(gate: Gate, stores: Stores, influxd: Influxd) -> None:
    stores.feed(NOW_NS - 10 * WINDOW_NS)
    lost = [True, True]

    def after_the_write(asked: Asked) -> Answer | None:
        if asked.lines and lost:
            lost.pop()
            gate.treat, now = (lambda again: None), gate.treat
            gate.answer("POST", asked.path, {}, "\n".join(asked.lines).encode())
            gate.treat = now
            return HANG_UP
        return None

    gate.treat = after_the_write
    stores.settle(stores.influx)
    assert not lost
    once(stores.points(influxd), stores.produced)


def test_answers_after_ten_seconds_are_waited_for(gate: Gate, stores: Stores, influxd: Influxd) -> None:
    stores.feed(NOW_NS - 10 * WINDOW_NS)
    slow = [True]

    def late(asked: Asked) -> Answer | None:
        if asked.lines and slow:
            slow.pop()
            time.sleep(10)
        return None

    gate.treat = late
    stores.influx.step(flush=True)
    assert stores.influx.trouble is None
    assert gate.writes == 1
    once(stores.points(influxd), stores.produced)


def test_a_day_without_influxdb(gate: Gate, stores: Stores, influxd: Influxd) -> None:
    """A batch a minute, 25 920 windows: the archive has them at once, InfluxDB when it is back."""
    gate.treat = PASSING["away"]
    for at in range(1_440):
        stores.clock.wall_ns = NOW_NS + at * DAY_NS // 1_440
        stores.feed(stores.clock.wall_ns - 6 * WINDOW_NS, count=6)
        if at % 100 == 0:
            stores.influx.step()
    stores.settle(stores.archive)
    batches, oldest_ns = stores.journal.backlog("influxdb")
    assert (batches, oldest_ns) == (1_440, NOW_NS)
    gate.treat = lambda asked: None
    stores.settle(stores.influx)
    assert len(stores.produced) == 25_920
    once(stores.archived(), stores.produced)
    once(stores.points(influxd), stores.produced)


def test_a_server_that_wants_smaller_requests(gate: Gate, stores: Stores, influxd: Influxd) -> None:
    for at in range(20):
        stores.feed(NOW_NS - (at + 1) * WINDOW_NS)
    gate.treat = lambda asked: (
        Answer(413, b'{"error":"Request Entity Too Large"}') if len(asked.lines) > 7 else None
    )
    stores.settle(stores.influx)
    once(stores.points(influxd), stores.produced)
    assert stores.dead.counts().kept == 0


@pytest.mark.parametrize("status", [400, 422])
def test_a_poisoned_line_costs_one_line(status: int, gate: Gate, stores: Stores, influxd: Influxd) -> None:
    """A server that refuses every request with one certain line, and stores nothing of it."""
    for at in range(30):
        stores.feed(NOW_NS - (at + 1) * WINDOW_NS)
    poisoned = (LINKS[1], NOW_NS - 7 * WINDOW_NS)

    def picky(asked: Asked) -> Answer | None:
        bad = [line for line in asked.lines if line.startswith("link_loss") and _is(line, poisoned)]
        return Answer(status, b'{"error":"told: bad line"}') if bad else None

    gate.treat = picky
    stores.settle(stores.influx)
    once(stores.archived() or _settled(stores), stores.produced)
    once(stores.points(influxd), stores.produced - {poisoned})
    assert stores.dead.counts().kept == 1


def _settled(stores: Stores) -> list[tuple[str, int]]:
    stores.settle(stores.archive)
    return stores.archived()


def _is(line: str, window: tuple[str, int]) -> bool:
    return f"link={window[0]}," in line and line.endswith(f" {window[1]}")
