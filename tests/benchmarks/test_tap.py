"""The truth from stamped packets: dwell is taken off, packets that are not whole are left out."""

from __future__ import annotations

import struct

from benchmarks.tap import Passed, echo_truth_us, stamp_truth_us

PORT = 862


def request(stamp_ns: int, seq: int) -> Passed:
    return Passed(stamp_ns, 17, struct.pack(">HHHHI", 50_000, PORT, 52, 0, seq) + bytes(40))


def reply(stamp_ns: int, seq: int, length: int = 44) -> Passed:
    packet = struct.pack(">I20xI", 77, seq).ljust(length, b"\0")
    return Passed(stamp_ns, 17, struct.pack(">HHHH", PORT, 50_000, 8 + length, 0) + packet)


def echo(stamp_ns: int, kind: int, seq: int) -> Passed:
    return Passed(stamp_ns, 1, struct.pack(">BBHHH", kind, 0, 0, 4711, seq))


def test_the_round_trip_is_that_of_the_wire() -> None:
    left_sender = [request(1000, 5), request(9000, 6)]
    at_reflector = [request(3000, 5)]
    left_reflector, at_sender = [reply(13_000, 5)], [reply(16_000, 5)]
    truth = stamp_truth_us([left_sender, at_reflector, left_reflector, at_sender], PORT)
    assert truth == {5: 5.0}


def test_what_is_no_stamp_packet_of_the_port_is_passed_over() -> None:
    short = Passed(1, 17, bytes(20))
    other = Passed(1, 6, reply(1, 5).payload)
    assert stamp_truth_us([[short], [other], [request(1, 5)], [reply(1, 5)]], PORT) == {}


def test_echoes_are_matched_by_number_in_the_order_of_asking() -> None:
    left = [echo(1000, 8, 1), echo(2000, 8, 2), echo(3000, 0, 1)]
    assert echo_truth_us(left, [echo(9500, 0, 1)]) == [8.5, None]
