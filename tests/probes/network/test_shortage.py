"""A receive buffer that is too small spoils the window and is counted; it is no fault of the network."""

from __future__ import annotations

import socket

import pytest

from linkgauge.code import Unfit
from probes.engine.engine import Engine
from tests.probes.network.cable import FAMILIES, joined, link
from tests.probes.network.engines import plan_of, running

pytestmark = pytest.mark.root
INTERVAL_NS = 1_000_000


def _throttle(near: Engine) -> None:
    for port in near._senders[0].ports:
        port.socket._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)


def test_a_full_receive_buffer_is_counted_and_the_window_unfit() -> None:
    with joined(1) as cable:
        near, far = (plan_of(end, (1,), INTERVAL_NS) for end in ("near", "far"))
        with running(cable, near, far, prepare=_throttle) as both:
            both.near_sink.wait_for(2)
    sink = both.near_sink
    lost = 0
    for family in FAMILIES:
        ways = ("forward", "backward", "unattributed")
        lost += sum(sink.total(f"lost_{way}", link(1, family)) for way in ways)
        assert sink.total("lost_forward", link(1, family)) == 0
        assert sink.total("replied", link(1, family)) > 0
    assert lost > 100
    assert (
        sink.noted("receive_dropped") > 0.9 * lost
    )  # what was dropped after the last window's end is not in it
    rows = sink.windows()
    assert ((rows.count("unfit") & Unfit.RECEIVE_DROPPED.value) != 0).all()
    assert both.far_sink.noted("receive_dropped") == 0
