"""The reflector: counters per session, refusals, replies as long as requests, TWAMP-Light."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.sockets.raw_name import address_of
from probes.stamp.packet import AUTHENTICATED_SIZE, SIZE, ntp, ptp, reflector_columns
from probes.stamp.policy import Policy, Refusal
from probes.stamp.reflector import Reflector
from probes.stamp.session_table import IDLE_NS
from probes.stamp.tlv_answers import Door
from tests.probes.stamp.arrivals import ERROR, T2_NS, answered, arrived, request, signed, tos_out

KEY = bytes(range(32))
T3_NS = T2_NS + 1000
ADDRESSES = ("10.0.0.1", "2001:db8::1")


def everybody(**policy: object) -> Reflector:
    return Reflector(lambda name: True, Policy(**policy))  # type: ignore[arg-type] # names are checked there


def refusals(reflector: Reflector) -> dict[str, int]:
    return {reason.name: int(reflector.refused[reason]) for reason in Refusal if reflector.refused[reason]}


def numbers(replies: list[bytes]) -> list[int]:
    return [int.from_bytes(reply[:4], "big") for reply in replies]


@given(st.lists(st.lists(st.integers(1, 3), max_size=8), max_size=8), st.sampled_from(ADDRESSES))
def test_each_session_is_numbered_from_zero_in_order_of_arrival(
    batches: list[list[int]], address: str
) -> None:
    reflector = everybody()
    twin = dict.fromkeys(range(1, 4), 0)
    for ports in batches:
        got = arrived([request(seq) for seq in range(len(ports))], ports, address)
        for port, number in zip(ports, numbers(answered(reflector, got)), strict=True):
            assert number == twin[port]
            twin[port] += 1
    assert reflector.reflected == sum(map(len, batches))
    assert reflector.sessions == len({port for ports in batches for port in ports})


def test_ssid_address_port_and_door_make_a_session() -> None:
    reflector = everybody()
    answered(reflector, arrived([request()]))
    for got in (
        arrived([request(ssid=8)]),
        arrived([request()], ports=6),
        arrived([request()], address="10.0.0.2"),
        arrived([request()], address="2001:db8::1"),
    ):
        assert numbers(answered(reflector, got)) == [0]
    assert numbers(answered(reflector, arrived([request()]))) == [1]
    assert reflector.sessions == 5
    (other,) = reflector.reflect(arrived([request()]), ERROR, 0, Door(1, b"\x0a\0\0\2", 862))
    assert other.number.tolist() == [0]


def test_the_octets_of_a_reply() -> None:
    reply = answered(everybody(), arrived([request(41)]))[0]
    assert reply == struct.pack(
        ">IQHHQIQHHB3x", 0, *ntp(np.array([T3_NS])), ERROR, 7, *ntp(np.array([T2_NS])), 41,
        0x1122334455667788, ERROR, 0, 254,
    )  # fmt: skip


def test_the_octets_of_an_authenticated_reply() -> None:
    reflector = Reflector(lambda name: True, keys={"10.0.0.1": KEY})
    reply = answered(reflector, arrived([signed(KEY, 41)]))[0]
    t3, t2 = ntp(np.array([T3_NS, T2_NS]))
    assert reply[:96] == struct.pack(
        ">I12xQHH4xQ8xI12xQH6xB15x", 0, t3, ERROR, 7, t2, 41, 0x1122334455667788, ERROR, 254
    )


def test_must_be_zero_is_zero_whatever_the_request_had_there() -> None:
    dirty = bytearray(b"\xff" * SIZE)
    dirty[12:14] = b"\x00\x01"
    reply = answered(everybody(), arrived([bytes(dirty)]))[0]
    assert (reply[38:40], reply[41:44]) == (bytes(2), bytes(3))


def test_a_stateless_reflector_repeats_the_number() -> None:
    reflector = everybody(stateless=True)
    got = arrived([request(9), request(2**32 - 1), request(9)])
    assert numbers(answered(reflector, got)) == [9, 2**32 - 1, 9]


def test_ptp_stamps_say_so() -> None:
    reflector = everybody(tai_offset_s=37)
    read = reflector_columns(np.frombuffer(answered(reflector, arrived([request()]))[0], np.uint8)[None])[0]
    assert read["error"] == ERROR | 0x4000
    assert read["sender_error"] == ERROR
    assert [int(read["t3"]), int(read["t2"])] == ptp(np.array([T3_NS, T2_NS]), 37).tolist()
    assert int(read["t2"]) >> 32 == T2_NS // 10**9 + 37


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("length", range(SIZE))
def test_every_truncation_is_refused_and_counted(length: int, address: str) -> None:
    reflector = everybody()
    assert answered(reflector, arrived([request()[:length]], address=address)) == []
    assert refusals(reflector) == {"SHORT": 1}
    assert reflector.sessions == 0


@pytest.mark.parametrize("length", range(AUTHENTICATED_SIZE))
def test_every_truncation_of_an_authenticated_request_is_refused(length: int) -> None:
    reflector = Reflector(lambda name: True, keys={"10.0.0.1": KEY})
    assert answered(reflector, arrived([signed(KEY)[:length]])) == []
    assert refusals(reflector) == {"SHORT": 1}


def test_a_datagram_that_was_cut_off_is_refused_and_counted() -> None:
    reflector = everybody()
    assert answered(reflector, arrived([request(rest=bytes(100)), bytes(65_507)], width=100)) == []
    assert refusals(reflector) == {"LONG": 2}


def test_corrupt_error_estimate_is_refused() -> None:
    reflector = Reflector(lambda name: True, keys={"10.0.0.2": KEY})
    assert answered(reflector, arrived([request(error=0x8100), request()])) != []
    answered(reflector, arrived([request(error=0, base=112)], address="10.0.0.2"))
    assert refusals(reflector) == {"CORRUPT": 2}


@pytest.mark.parametrize("address", ADDRESSES)
def test_strangers_get_nothing_and_no_session(address: str) -> None:
    reflector = Reflector(lambda name: address_of(name) == "10.0.0.9")
    assert answered(reflector, arrived([request()] * 3, [1, 1, 2], address)) == []
    assert refusals(reflector) == {"PEER_UNKNOWN": 3}
    assert reflector.sessions == 0


def test_only_what_is_refused_is_missing() -> None:
    reflector = Reflector(lambda name: address_of(name) == "10.0.0.1")
    got = arrived([request(seq) for seq in range(6)])
    got.name[[1, 4], 7] = 9
    got.length[2] = 43
    (replies,) = reflector.reflect(got, ERROR, 0)
    assert replies.rows.tolist() == [0, 3, 5]
    assert replies.number.tolist() == [0, 1, 2]
    assert reflector_columns(got.data)["sender_seq"][[0, 3, 5]].tolist() == [0, 3, 5]
    assert refusals(reflector) == {"SHORT": 1, "PEER_UNKNOWN": 2}


def test_the_table_is_bounded_and_idle_sessions_make_room() -> None:
    reflector = everybody(max_sessions=2, rate_pps=1e6)
    assert len(answered(reflector, arrived([request()] * 3, [1, 2, 3]))) == 2
    assert refusals(reflector) == {"TABLE_FULL": 1}
    assert answered(reflector, arrived([request()], 3), mono_ns=IDLE_NS) == []
    assert numbers(answered(reflector, arrived([request()] * 2, [3, 4]), mono_ns=2 * IDLE_NS)) == [0, 0]
    assert reflector.sessions == 2


def test_a_peer_with_a_key_must_sign_and_one_without_must_not() -> None:
    reflector = Reflector(lambda name: True, keys={"10.0.0.1": KEY})
    bad = bytearray(signed(KEY))
    bad[5] ^= 1
    assert answered(reflector, arrived([request(rest=bytes(200)), signed(KEY[::-1]), bytes(bad)])) == []
    assert refusals(reflector) == {"AUTHENTICATION": 2, "CORRUPT": 1}
    assert reflector.sessions == 0
    plain = answered(reflector, arrived([signed(KEY)], address="10.0.0.2"))
    assert plain == []
    assert refusals(reflector)["CORRUPT"] == 2
    mixed = arrived([signed(KEY, 5), request(6)])
    mixed.name[1, 7] = 2
    assert [len(reply) for reply in answered(reflector, mixed)] == [160, 44]


def test_a_replayed_packet_gets_nothing() -> None:
    reflector = Reflector(lambda name: True, keys={"2001:db8::1": KEY})
    packets = [signed(KEY, seq) for seq in (5, 7, 6, 5)]
    assert len(answered(reflector, arrived(packets, address="2001:db8::1"))) == 3
    assert answered(reflector, arrived(packets, address="2001:db8::1")) == []
    assert refusals(reflector) == {"REPLAY": 5}
    assert len(answered(reflector, arrived([signed(KEY, 5)], ports=9, address="2001:db8::1"))) == 1


def test_a_peer_gets_no_more_than_its_rate_whatever_its_port() -> None:
    reflector = everybody(rate_pps=100)
    ports = list(range(1, 31))
    assert len(answered(reflector, arrived([request()] * 30, ports))) == 16
    assert len(answered(reflector, arrived([request()] * 3, address="10.0.0.2"))) == 3
    assert len(answered(reflector, arrived([request()] * 30, ports), mono_ns=50_000_000)) == 5
    assert len(answered(reflector, arrived([request()] * 30, ports), mono_ns=10**12)) == 16
    assert refusals(reflector) == {"RATE": 14 + 25 + 14}


@pytest.mark.parametrize(("tos", "back"), [(0, 0), (0xB8, 0xB8), (0xB9, 0xBA), (0xBA, 0xBA), (0xBB, 0xBA)])
def test_the_reply_has_the_class_of_the_request_and_ect(tos: int, back: int) -> None:
    assert tos_out(everybody().reflect(arrived([request()], tos=tos), ERROR, 0)) == [back]


@pytest.mark.parametrize("length", [14, 27, 28, 37, 38, 40, 41, 44, 45, 100, 400])
def test_twamp_light_replies_are_cut_to_the_request(length: int) -> None:
    reflector = everybody(twamp_light=True)
    padding = bytes(range(1, 256)) + bytes(range(1, 132))
    asked = (request(41)[:14] + padding)[:length]
    whole = struct.pack(
        ">IQHHQIQHHB3x", 0, *ntp(np.array([T3_NS])), ERROR, 0, *ntp(np.array([T2_NS])), 41,
        0x1122334455667788, ERROR, 0, 254,
    )  # fmt: skip
    reply = answered(reflector, arrived([asked]))[0]
    assert reply[:SIZE] == whole[:length]
    assert reply[SIZE:] == asked[SIZE:]


@pytest.mark.parametrize("length", range(14))
def test_twamp_light_refuses_what_is_no_request(length: int) -> None:
    reflector = everybody(twamp_light=True)
    assert answered(reflector, arrived([request()[:length]])) == []
    assert refusals(reflector) == {"SHORT": 1}


def test_twamp_light_takes_padding_neither_for_ssid_nor_for_tlvs() -> None:
    reflector = everybody(twamp_light=True)
    cos = bytes.fromhex("80040004b8000000")
    got = arrived([request(0, 1, cos), request(1, 2, cos), request(2, 3, cos)])
    (replies,) = reflector.reflect(got, ERROR, 0)
    assert replies.number.tolist() == [0, 1, 2]
    assert replies.tos.tolist() == [0, 0, 0]
    assert (got.data[:, 44:52] == np.frombuffer(cos, np.uint8)).all()


def test_twamp_light_counts_anew_when_the_sender_does() -> None:
    reflector = everybody(twamp_light=True)
    assert numbers(answered(reflector, arrived([request(seq)[:41] for seq in (0, 1, 3)]))) == [0, 1, 2]
    assert numbers(answered(reflector, arrived([request(seq)[:41] for seq in (0, 1, 2)]))) == [0, 1, 2]
    with_ssid = everybody()
    for first in (0, 3):
        got = arrived([request(seq) for seq in (0, 1, 2)])
        assert numbers(answered(with_ssid, got)) == [first, first + 1, first + 2]


def test_what_came_of_each_peer_is_told_once() -> None:
    reflector = everybody(rate_pps=1000)
    for address, ports in ((ADDRESSES[0], [1, 2, 1]), (ADDRESSES[1], [1])):
        answered(reflector, arrived([request(seq) for seq in range(len(ports))], ports, address))
    assert reflector.heard() == {ADDRESSES[0]: 3, ADDRESSES[1]: 1}
    answered(reflector, arrived([request(9)], [2], ADDRESSES[0]))
    assert reflector.heard() == {ADDRESSES[0]: 1, ADDRESSES[1]: 0}


def test_a_session_in_the_place_of_a_former_one_begins_at_nothing() -> None:
    reflector = Reflector(lambda name: True, Policy(max_sessions=1, rate_pps=1000))
    got = arrived([request(0), request(1)])
    list(reflector.reflect(got, ERROR, 0))
    assert reflector.heard() == {ADDRESSES[0]: 2}
    later = arrived([request(5)], ports=9, address="10.0.0.2")
    list(reflector.reflect(later, ERROR, IDLE_NS + 1))
    assert reflector.heard()["10.0.0.2"] == 1


def test_sessions_of_many_addresses_are_kept_apart() -> None:
    reflector = everybody()
    rng = np.random.default_rng(5)
    got = arrived([request()] * 256, address="2001:db8::1")
    got.name[:, 8:24] = rng.integers(0, 4, (256, 16), np.uint8)
    distinct = len(np.unique(got.name, axis=0))
    answered(reflector, got)
    assert reflector.sessions == distinct
