"""A receive buffer that is too small spoils the window and is counted; it is no fault of the network."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from linkgauge.code import Unfit
from probes.engine.engine import Engine
from tests.probes.network.cable import FAMILIES, joined, link
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
INTERVAL_NS = 1_000_000
WAYS = ("forward", "backward", "unattributed")


def _throttle(near: Engine) -> None:
    for port in near._senders[0].ports:
        port.socket._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)


def _lost(sink: Sink) -> int:
    return sum(sink.total(f"lost_{way}", link(1, family)) for way in WAYS for family in FAMILIES)


def test_a_full_receive_buffer_is_counted_and_the_window_unfit() -> None:
    with joined(1) as cable:
        near, far = (plan_of(end, (1,), INTERVAL_NS) for end in ("near", "far"))
        with running(cable, near, far, prepare=_throttle) as both:
            sink = both.near_sink
            sink.wait_for(2)
            sink.wait_until(lambda: _lost(sink) > 500, "too few replies were dropped")
    for family in FAMILIES:
        assert sink.total("lost_forward", link(1, family)) == 0
        assert sink.total("replied", link(1, family)) > 0
    # what was dropped after the last window's end is not in it
    assert sink.noted("receive_dropped") > 0.9 * _lost(sink)
    rows = sink.windows()
    # of few the last may be told in the next window
    many = np.sum([rows.count(f"lost_{way}") for way in WAYS], axis=0) > 50
    assert many.any()
    assert ((rows.count("unfit")[many] & Unfit.RECEIVE_DROPPED.value) != 0).all()
    assert both.far_sink.noted("receive_dropped") == 0
