"""Packets of sweeps: sent as asked from the port of their flow, and what comes of them told apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from linkgauge.clock import Instant, SystemClock
from probes.engine.flight import SWEEP_SSID, Caught, Flight
from probes.engine.flights import Flights, dwell_ns_of
from probes.engine.plan_sessions import staff
from probes.engine.sender import Sender
from probes.sockets.raw_name import address_of
from probes.stamp.authentication import verify
from probes.stamp.packet import REFLECTOR, ntp, ptp
from probes.stamp.tlv import layout
from tests.probes.loopback import (
    FAR4,
    HOME4,
    SYNCED,
    FarEnd,
    Listener,
    await_stamps,
    free_port,
    stamp_plan,
    until,
)  # fmt: skip

KEY = b"a key for tests!"


class Field:
    """A sender with flights to one far end."""

    def __init__(
        self, port: int, home: str = HOME4, far: str = FAR4, key: bytes | None = None, stamps: str = "auto"
    ) -> None:
        keys = {far: key} if key else {}
        plan = stamp_plan(port, [far], home, authenticated=key is not None, flows=2, transmit_stamps=stamps)
        self.flights = Flights(port, 112 if key else 44, keys)
        self.sender: Sender = staff(plan, keys, 0, self.flights).sender
        self.sender.set_error(SYNCED)
        self.home, self.far = home, far
        self.caught: list[Caught] = []

    def flight(
        self, seq: list[int], hop_limit: int = 64, size: int = 100, flow: int = 0, dscp: int = 0
    ) -> Flight:
        n = len(seq)
        return Flight(
            self.home, flow, self.far, dscp, np.array(seq, np.int64), np.full(n, hop_limit, np.uint8),
            np.full(n, size, np.int64),
        )  # fmt: skip

    def launch(self, flight: Flight) -> None:
        self.flights.launch(flight, self.sender.ports, SYNCED, SystemClock())

    def departed(self) -> dict[int, tuple[int, bool]]:
        """Number: when, and whether it failed."""
        return {
            seq: (stamp, failed)
            for one in self.caught
            for seq, stamp, failed in zip(
                one.sent.seq.tolist(), one.sent.stamp_ns.tolist(), one.sent.failed.tolist(), strict=True
            )
        }

    def answered(self) -> dict[int, int]:
        """Number: when."""
        return {
            seq: stamp
            for one in self.caught
            for seq, stamp in zip(one.replies.seq.tolist(), one.replies.stamp_ns.tolist(), strict=True)
        }

    def errors(self) -> dict[int, tuple[int, str]]:
        """Number: reason and offender."""
        return {
            seq: (reason, address_of(name))
            for one in self.caught
            for seq, reason, name in zip(
                one.errors.seq.tolist(), one.errors.reason.tolist(), one.errors.offender, strict=True
            )
        }

    def gather(self, departures: int = 0, replies: int = 0, errors: int = 0) -> None:
        def enough() -> bool:
            self.sender.read(0, force=True)
            if (caught := self.flights.collect()) is not None:
                self.caught.append(caught)
            came = len(self.departed()), len(self.answered()), len(self.errors())
            return all(have >= want for have, want in zip(came, (departures, replies, errors), strict=True))

        until(enough, "departures, replies or errors are missing")

    def close(self) -> None:
        self.sender.close()


@pytest.fixture
def far() -> Iterator[FarEnd]:
    await_stamps(FAR4)
    made = FarEnd()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.mark.parametrize("stamps", ["on", "off"])
def test_departures_and_replies_are_told_and_count_nowhere_else(far: FarEnd, stamps: str) -> None:
    field = Field(far.port, stamps=stamps)
    field.launch(field.flight([5, 2**32 - 1, 7]))
    far.answer(3)
    field.gather(3, 3)
    left, back = field.departed(), field.answered()
    assert set(left) == set(back) == {5, 2**32 - 1, 7}
    assert all(not failed and left[seq][0] <= back[seq] for seq, (_, failed) in left.items())
    assert {limit for one in field.caught for limit in one.replies.hop_limit.tolist()} == {255}
    dwell_ns = np.concatenate([one.replies.dwell_ns for one in field.caught])
    assert len(dwell_ns) == 3
    assert all(
        0 < dwell < back[seq] - left[seq][0] for seq, dwell in zip(back, dwell_ns.tolist(), strict=True)
    )
    assert field.sender.sessions.discarded.sum() == 0
    assert field.flights.collect() is None
    field.close()


def test_sessions_and_sweeps_do_not_mix(far: FarEnd) -> None:
    field = Field(far.port, stamps="on")
    sent = 0
    for seq in range(10):
        field.sender.send_due(Instant(field.sender.next_due_ns(), 0), SystemClock())
        field.launch(field.flight([seq], flow=seq % 2))
    sessions = field.sender.sessions
    sent = int(sessions.next_seq.sum())
    far.answer(sent + 10)
    field.gather(10, 10)
    assert set(field.answered()) == set(range(10))

    def all_back() -> bool:
        field.sender.read(0, force=True)
        return int((sessions.reply["seq"] >= 0).sum()) == sent

    until(all_back)
    row, seqs = np.nonzero(sessions.reply["seq"] >= 0)
    assert sessions.t1_ns(row, seqs.astype(np.int64))[1].all()
    assert sessions.discarded.sum() == 0
    field.close()


@pytest.mark.parametrize("size", [0, 44, 60, 72, 75, 76, 77, 1000])
def test_packets_are_as_asked_for(listener: Listener, size: int) -> None:
    field = Field(listener.port)
    field.launch(field.flight([9], hop_limit=3, size=size, flow=1, dscp=46))
    got = listener.one()
    assert got.length.tolist() == [max(44, size)]
    assert got.ttl.tolist() == [3]
    assert got.tos.tolist() == [46 << 2 | 2]
    assert got.data[0, :4].tolist() == [0, 0, 0, 9]
    assert got.data[0, 14:16].tolist() == [SWEEP_SSID >> 8, SWEEP_SSID & 0xFF]
    assert int(got.name[0, 2]) << 8 | int(got.name[0, 3]) == field.sender.ports[1].socket.port
    field.close()


def test_sizes_in_one_flight_may_differ(listener: Listener) -> None:
    field = Field(listener.port)
    flight = dataclasses.replace(field.flight([1, 2, 3]), size=np.array([44, 1400, 200]))
    field.launch(flight)
    got = listener.one()
    assert got.length.tolist() == [44, 1400, 200]
    field.close()


def test_more_than_a_batch(far: FarEnd) -> None:
    field = Field(far.port, stamps="on")
    field.launch(field.flight(list(range(700))))
    far.answer(700)
    field.gather(700, 700)
    assert set(field.departed()) == set(field.answered()) == set(range(700))
    field.close()


@pytest.mark.parametrize(("home", "far", "reason"), [(HOME4, FAR4, 3 << 8 | 3), ("::1", "::1", 1 << 8 | 4)])
def test_errors_name_packet_reason_and_offender(home: str, far: str, reason: int) -> None:
    field = Field(free_port(far), home, far)
    field.launch(field.flight([77]))
    field.gather(errors=1)
    assert field.errors() == {77: (reason, far)}
    assert field.answered() == {}
    assert field.sender.sessions.discarded.sum() == 0
    assert not (field.sender.sessions.mishap_seq >= 0).any()
    field.close()


def test_errors_about_sessions_are_left_to_them() -> None:
    field = Field(free_port(FAR4))
    field.sender.send_due(Instant(field.sender.next_due_ns(), 0), SystemClock())
    field.launch(field.flight([5]))

    def noted() -> bool:
        field.sender.read(0, force=True)
        return bool((field.sender.sessions.mishap_seq >= 0).any())

    until(noted)
    field.gather(errors=1)
    assert set(field.errors()) == {5}
    field.close()


@pytest.mark.parametrize("stamps", ["on", "off"])
def test_a_packet_that_is_too_large_has_failed_and_the_others_departed(far: FarEnd, stamps: str) -> None:
    field = Field(far.port, stamps=stamps)
    field.launch(dataclasses.replace(field.flight([1, 2, 3]), size=np.array([100, 65_520, 100])))
    far.answer(2)
    field.gather(3, 2)
    assert {seq: failed for seq, (_, failed) in field.departed().items()} == {1: False, 2: True, 3: False}
    field.launch(field.flight([4]))
    far.answer(3)
    field.gather(4, 3)
    assert field.departed()[4][0] <= field.answered()[4]
    field.close()


def test_authenticated_flights_are_signed_and_their_replies_taken(listener: Listener) -> None:
    field = Field(listener.port, key=KEY)
    field.launch(field.flight([5], size=300))
    got = listener.one()
    shape = layout(300, tlvs=True, authenticated=True)
    before = got.data.copy()
    assert verify(got.data, got.length, shape, KEY).tolist() == [True]
    assert (got.data == before).all(), "an HMAC TLV that is wrong gets its I flag"
    field.close()


def test_a_flight_without_a_port_is_counted_and_an_empty_one_is_nothing() -> None:
    field = Field(7)
    field.launch(field.flight([1], flow=9))
    field.launch(dataclasses.replace(field.flight([1]), local="10.0.0.1"))
    field.launch(field.flight([]))
    assert field.flights.unplaced == 2
    assert field.flights.collect() is None
    field.close()


def test_the_dwell_is_read_in_either_format_and_is_nothing_where_none_is_told() -> None:
    at_ns = np.array([10**18, 10**18 + 2_000_000], np.int64)
    replies = np.zeros(5, REFLECTOR)
    replies["t2"][:2], replies["t3"][:2] = ntp(at_ns), ntp(at_ns + 3_000_000)
    replies["t2"][2:3], replies["t3"][2:3] = ptp(at_ns[:1], 37), ptp(at_ns[:1] + 3_000_000, 37)
    replies["error"][2] = 0x4000
    replies["t2"][3], replies["t3"][4] = ntp(at_ns)
    assert dwell_ns_of(replies).tolist() == [3_000_000, 3_000_000, 3_000_000, 0, 0]
