"""An agent that stands still, and a reflector that stands still, dies and comes back."""

from __future__ import annotations

import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.plan import Plan
from probes.standalone import StandaloneReflector, parse_allowed
from tests.probes.network.cable import DEVICE, FAMILIES, PORT, Cable, joined, link
from tests.probes.network.engines import Sink, engine, plan_of
from tests.probes.network.process import Child, child

pytestmark = pytest.mark.root
INTERVAL_NS = 10_000_000
STOPPED_S = 1.5
MISSED = STOPPED_S * 1e9 / INTERVAL_NS
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _ETH_P_ALL = 35, 33, 3


class Tap:
    """Sees what arrives at the far end, with the kernel's stamps."""

    def __init__(self, cable: Cable) -> None:
        self._sock = cable.inside("far", self._open)

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        sock.bind((DEVICE, _ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        return sock

    def requests(self) -> dict[str, list[int]]:
        """Times of arrival, ns, of all requests since it was opened, by family."""
        came: dict[str, list[int]] = {family: [] for family in FAMILIES}
        while True:
            try:
                data, control, _, where = self._sock.recvmsg(128, 128)
            except BlockingIOError:
                self._sock.close()
                return came
            family, udp_at = ("v4", 20) if data[0] >> 4 == 4 else ("v6", 40)
            protocol = data[9] if family == "v4" else data[6]
            if where[2] == socket.PACKET_OUTGOING or protocol != socket.IPPROTO_UDP:
                continue
            if struct.unpack_from("!H", data, udp_at + 2)[0] == PORT:
                seconds, ns = struct.unpack("qq", control[0][2])
                came[family].append(seconds * 1_000_000_000 + ns)


@pytest.fixture(scope="module")
def stopped() -> Iterator[tuple[Child, dict[str, list[int]]]]:
    """The sender's process stands still for STOPPED_S in the middle of its run."""
    with joined(1) as cable:
        near, far = (plan_of(end, (1,), INTERVAL_NS) for end in ("near", "far"))
        reflector = engine(cable, "far", far, Sink())
        reflector.start()
        try:
            tap = Tap(cable)
            with child(cable, "near", near) as sender:
                sender.wait_for(1)
                sender.signal(signal.SIGSTOP)
                time.sleep(STOPPED_S)  # that is the length of the standstill, not a wait for something
                sender.signal(signal.SIGCONT)
                sender.wait_for(4)
            came = tap.requests()
        finally:
            reflector.stop()
        yield sender, came


@pytest.mark.parametrize("family", FAMILIES)
def test_slots_missed_in_a_standstill_are_counted_and_not_made_up_for(
    stopped: tuple[Child, dict[str, list[int]]], family: str
) -> None:
    sender, came = stopped
    missed = sender.total("missed", link(1, family))
    assert MISSED * 0.9 <= missed <= MISSED * 1.3 + 20
    times = came[family]
    assert len(times) == sender.total("sent", link(1, family))
    gap_ns, at = max((later - sooner, i) for i, (sooner, later) in enumerate(pairwise(times)))
    assert gap_ns > STOPPED_S * 0.9e9
    after = [ns for ns in times[at + 1 :] if ns < times[at + 1] + 200_000_000]
    assert len(after) <= 200_000_000 / INTERVAL_NS * 1.5 + 3  # no burst


@pytest.mark.parametrize("family", FAMILIES)
def test_a_standstill_of_the_agent_is_no_loss(
    stopped: tuple[Child, dict[str, list[int]]], family: str
) -> None:
    sender = stopped[0]
    sent = sender.total("sent", link(1, family))
    assert sent > 150
    assert sender.total("replied", link(1, family)) == sent
    for name in ("lost_forward", "lost_backward", "lost_unattributed", "late", "refused"):
        assert sender.total(name, link(1, family)) == 0, name


@contextmanager
def _alone(cable: Cable, far: Plan) -> Iterator[None]:
    """A reflector of the same peers at the same addresses, without a plan."""
    where, allowed = [(local, PORT) for local in far.locals], parse_allowed(far.peers)
    made = cable.inside("far", lambda: StandaloneReflector(where, allowed, SystemClock(), read_clock_quality))
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def troubled() -> Iterator[Sink]:
    """The reflector's process stands still for a second, runs on, is killed; one without a plan follows."""
    with joined(1) as cable:
        near, far = (plan_of(end, (1,), INTERVAL_NS) for end in ("near", "far"))
        sink = Sink()
        prober = engine(cable, "near", near, sink)
        try:
            with child(cable, "far", far) as reflector:
                prober.start()
                sink.wait_for(1)
                reflector.signal(signal.SIGSTOP)
                time.sleep(1)  # the length of the standstill
                reflector.signal(signal.SIGCONT)
                sink.wait_for(4)
                reflector.signal(signal.SIGKILL)
            sink.wait_for(5)
            with _alone(cable, far):
                sink.wait_for(8)
                prober.stop()
        finally:
            if prober.alive:
                prober.stop()
        yield sink


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reflector_that_stands_still_answers_late_and_loses_nothing(troubled: Sink, family: str) -> None:
    late = troubled.total("late", link(1, family))
    assert 40 <= late <= 120  # of the second's 100 packets those that waited longer than the timeout
    assert troubled.total("lost_forward", link(1, family)) == 0
    assert troubled.total("lost_backward", link(1, family)) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reflector_that_died_refuses_and_its_successor_turns_no_direction(
    troubled: Sink, family: str
) -> None:
    name = link(1, family)
    rows = troubled.windows()
    mine = rows.text("link") == name
    refused = rows.count("refused")[mine]
    assert refused.sum() > 80
    assert rows.count("replied")[mine][-1] > 0
    unknown = troubled.total("lost_unattributed", name)
    sent = troubled.total("sent", name)
    known = sum(troubled.total(each, name) for each in ("replied", "late", "refused"))
    assert known + unknown == sent
    assert unknown < 30  # on their way or at the reflector when it died
