"""The InfluxDB sink and lines that a server refuses: each costs itself, and few requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sinks.influx import MAX_LINES, SPLITS, UNSORTED, InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_reply import LinesRefused, TooLarge
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.sink import RowsRejected
from linkgauge.errors import SinkBusy
from linkgauge.frame import Frame
from tests.collector.sinks.test_influx import RECENT_NS, delivery_of, links_of, tags_of
from tests.collector.world import health, windows
from tests.ports import own_port


class Picky:
    """A server that stores all but some lines, and tells it in the way of 1.6 or of 3."""

    def __init__(self, bad: set[str], partial: bool, most: int = 10**9) -> None:
        self.bad, self.partial, self.most = bad, partial, most
        self.stored: set[str] = set()
        self.requests: list[int] = []

    def write(self, lines: bytes) -> None:
        given = lines.decode().split("\n")
        self.requests.append(len(given))
        if len(given) > self.most:
            raise TooLarge("too large")
        bad = [line for line in given if line in self.bad]
        if self.partial or not bad:
            self.stored.update(line for line in given if line not in self.bad)
        if bad:
            words = f"partial write: dropped={len(bad)}" if self.partial else f"bad line: {bad[0]}"
            raise LinesRefused(words, self.partial, len(bad) if self.partial else 0)

    def close(self) -> None:
        pass


def _lines_of(frame: Frame) -> list[str]:
    server = Picky(set(), True)
    InfluxSink(lambda: server, LineMaker(tags_of)).write([delivery_of(frame)])
    return sorted(server.stored)


@given(st.sets(st.integers(0, 39), max_size=8), st.booleans())
def test_bad_lines_cost_themselves_only(bad: set[int], partial: bool) -> None:
    frame = windows(links_of(20), RECENT_NS)
    lines = _lines_of(frame)
    server = Picky({lines[at] for at in bad}, partial)
    sink = InfluxSink(lambda: server, LineMaker(tags_of))
    if bad:
        with pytest.raises(RowsRejected) as caught:
            sink.write([delivery_of(frame)])
        assert {line for line, _ in caught.value.refused} == server.bad
        assert len(caught.value.refused) == caught.value.rows == len(bad)
    else:
        sink.write([delivery_of(frame)])
    assert server.stored == set(lines) - server.bad


def test_a_request_is_never_too_long() -> None:
    server = Picky(set(), True)
    InfluxSink(lambda: server, LineMaker(tags_of)).write(
        [delivery_of(windows(links_of(3000), RECENT_NS), seq=s) for s in (1, 2)]
    )
    assert max(server.requests) <= MAX_LINES
    assert sum(server.requests) == 12_000
    assert len(server.stored) == 6_000


def test_a_server_with_a_smaller_limit_gets_smaller_requests() -> None:
    server = Picky(set(), True, most=700)
    InfluxSink(lambda: server, LineMaker(tags_of)).write([delivery_of(windows(links_of(1000), RECENT_NS))])
    assert len(server.stored) == 2000


def test_all_lines_refused_costs_one_request() -> None:
    frame = windows(links_of(500), RECENT_NS)
    server = Picky(set(_lines_of(frame)), True)
    with pytest.raises(RowsRejected) as caught:
        InfluxSink(lambda: server, LineMaker(tags_of)).write([delivery_of(frame)])
    assert (caught.value.rows, server.requests) == (1000, [1000])


class Mute(Picky):
    """Refuses lines and tells nothing of them."""

    def write(self, lines: bytes) -> None:
        try:
            super().write(lines)
        except LinesRefused:
            raise LinesRefused("no", False, 0) from None


def test_a_bounded_number_of_requests_even_when_every_line_is_bad_and_none_is_named() -> None:
    frame = windows(links_of(3000), RECENT_NS)
    bad = set(_lines_of(frame))
    server = Mute(bad, False)
    with pytest.raises(RowsRejected) as caught:
        InfluxSink(lambda: server, LineMaker(tags_of)).write([delivery_of(frame)])
    assert len(server.requests) <= SPLITS + 10
    told = [line for what, _ in caught.value.refused for line in what.split("\n")]
    assert sorted(told) == sorted(bad)
    assert any(UNSORTED in why for _, why in caught.value.refused)


def test_letters_of_several_lines_are_sorted_out_when_they_are_taken_up_again() -> None:
    lines = [f"m,k={at} f=1.0 {RECENT_NS}" for at in range(1000)]
    server = Mute(set(lines[100:]), False)
    sink = InfluxSink(lambda: server, LineMaker(tags_of))
    waiting = lines
    for _ in range(12):
        with pytest.raises(RowsRejected) as caught:
            sink.write_lines(waiting)
        waiting = [line for what, _ in caught.value.refused for line in what.split("\n")]
    assert sorted(waiting) == sorted(server.bad)
    assert server.stored == set(lines[:100])


def test_nobody_there_is_busy() -> None:
    port = own_port()
    sink = InfluxSink(lambda: connect(InfluxAddress(f"http://127.0.0.1:{port}")), LineMaker(tags_of))
    told = (
        f"InfluxDB at http://127.0.0.1:{port} cannot be reached .*; see whether it runs, or correct its url"
    )
    with pytest.raises(SinkBusy, match=told):
        sink.write([delivery_of(health("j1", RECENT_NS))])
