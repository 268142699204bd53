"""The reflector: counters per session, refusals with their counts, replies as long as requests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.raw_name import NAME_SIZE, raw_name
from probes.stamp.packet import SIZE, octets, reflector_columns, requests
from probes.stamp.reflector import Reflector, Refusal, Reply

ERROR = 0x8001
WIDTH = 128


def ask(
    reflector: Reflector, seq: Sequence[int], ports: Sequence[int], ssid: int = 7, length: int = SIZE
) -> Reply:
    """One batch: packet i with sequence number seq[i] from 10.0.0.1, port ports[i]."""
    n = len(seq)
    packets = requests(np.array(seq, np.int64), np.full(n, ssid, np.uint16), ERROR)
    block = np.zeros((n, WIDTH), np.uint8)
    block[:, :SIZE] = octets(packets)
    block[:, SIZE:] = 0xAB
    names = np.array([raw_name("10.0.0.1", port) for port in ports], np.uint8).reshape(n, NAME_SIZE)
    return reflector.reflect(
        block, np.full(n, length), names, np.full(n, 10**18), np.full(n, 254, np.uint8), ERROR
    )


@given(st.lists(st.lists(st.integers(1, 3), max_size=8), max_size=8))
def test_each_session_is_numbered_from_zero_in_order_of_arrival(batches: list[list[int]]) -> None:
    reflector = Reflector(lambda name: True)
    twin = dict.fromkeys(range(1, 4), 0)
    for ports in batches:
        reply = ask(reflector, range(len(ports)), ports)
        for port, number in zip(ports, reply.packets["seq"].tolist(), strict=True):
            assert number == twin[port]
            twin[port] += 1
    assert reflector.reflected == sum(map(len, batches))


def test_a_new_ssid_is_a_new_session() -> None:
    reflector = Reflector(lambda name: True)
    ask(reflector, [0, 1], [1, 1], ssid=7)
    assert ask(reflector, [2], [1], ssid=8).packets["seq"].tolist() == [0]


def test_what_the_reply_carries() -> None:
    reply = ask(Reflector(lambda name: True), [41], [5])
    sent = reflector_columns(reply.octets(np.array([99], np.uint64)))[0]
    assert (sent["t3"], sent["sender_seq"], sent["ttl"], sent["ssid"], sent["error"]) == (
        99,
        41,
        254,
        7,
        ERROR,
    )


@pytest.mark.parametrize("length", [0, 3, 43])
def test_short_datagrams_are_refused_and_counted(length: int) -> None:
    reflector = Reflector(lambda name: True)
    assert len(ask(reflector, [1], [1], length=length).packets) == 0
    assert reflector.refused[Refusal.SHORT] == 1
    assert reflector.sessions == 0


def test_a_datagram_that_was_cut_off_is_refused_and_counted() -> None:
    reflector = Reflector(lambda name: True)
    assert len(ask(reflector, [1], [1], length=65_507).packets) == 0
    assert reflector.refused[Refusal.LONG] == 1


def test_corrupt_error_estimate_is_refused() -> None:
    reflector = Reflector(lambda name: True)
    block = np.zeros((1, SIZE), np.uint8)
    names = raw_name("10.0.0.1", 1)[None]
    reply = reflector.reflect(block, np.array([SIZE]), names, np.array([1]), np.array([1], np.uint8), ERROR)
    assert len(reply.packets) == 0
    assert reflector.refused[Refusal.CORRUPT] == 1


def test_unknown_peers_get_nothing() -> None:
    reflector = Reflector(lambda name: False)
    assert len(ask(reflector, [0, 1, 2], [1, 1, 2]).packets) == 0
    assert reflector.refused[Refusal.PEER_UNKNOWN] == 3
    assert reflector.sessions == 0


def test_the_table_is_bounded_and_idle_sessions_make_room() -> None:
    reflector = Reflector(lambda name: True, max_sessions=2)
    assert len(ask(reflector, [0, 0, 0], [1, 2, 3]).packets) == 2
    assert reflector.refused[Refusal.TABLE_FULL] == 1
    later = np.array([10**18 + 601 * 10**9])
    block = np.zeros((1, SIZE), np.uint8)
    block[:] = octets(requests(np.array([0]), np.array([7], np.uint16), ERROR))
    reply = reflector.reflect(
        block, np.array([SIZE]), raw_name("10.0.0.1", 3)[None], later, np.array([1], np.uint8), ERROR
    )
    assert len(reply.packets) == 1


def test_a_reply_is_as_long_as_its_request_and_copies_what_follows() -> None:
    reply = ask(Reflector(lambda name: True), [0], [1], length=100)
    assert reply.length.tolist() == [100]
    assert (reply.octets(np.array([1], np.uint64))[0, SIZE:100] == 0xAB).all()
