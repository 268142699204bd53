"""A million damaged datagrams: nothing raises, no reply is larger than its request, no stranger gets one."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes.sockets.raw_name import raw_name
from probes.stamp import authentication, packet, tlv
from probes.stamp.policy import Policy
from probes.stamp.reflector import Reflector
from probes.stamp.replies import Replies
from probes.stamp.tlv_answers import Door
from tests.probes.stamp.arrivals import ERROR, T2_NS, Arrived, arrived, request, signed

KEY = bytes(range(32))
WIDTH, BATCH = 256, 256
ROUNDS = 820
FRIENDS = [raw_name(address, port) for address in ("10.0.0.1", "2001:db8::1") for port in (1, 2, 3)]
KEYED = [raw_name(address, port) for address in ("10.0.0.2", "2001:db8::2") for port in (1, 2)]
STRANGERS = [raw_name(address, 1) for address in ("10.0.0.3", "2001:db8::3", "0.0.0.0", "::")] + [
    np.zeros(32, np.uint8)
]
NAMES = np.array([*FRIENDS, *KEYED, *STRANGERS], np.uint8)
PROVISIONED = {name[4:24].tobytes() for name in (*FRIENDS, *KEYED)}
POLICIES = {
    "stateful": Policy(max_sessions=64),
    "stateless": Policy(stateless=True, tai_offset_s=37, dscp_allowed=frozenset({0})),
    "twamp-light": Policy(twamp_light=True),
    "capped": Policy(rate_pps=1000, max_sessions=8),
}
DOOR = Door(0, bytes([10, 0, 0, 9]), 862)


def templates() -> list[bytes]:
    """Valid requests of every kind."""
    plain = [tlv.layout(size, tlvs=tlvs, authenticated=False) for size in (0, 200) for tlvs in (False, True)]
    both = [tlv.layout(size, tlvs=tlvs, authenticated=True) for size in (0, 200) for tlvs in (False, True)]
    location = bytes.fromhex("80020034 00000000 80040010") + bytes(16) + bytes.fromhex("80070010") + bytes(16)
    location += bytes.fromhex("80010004 00000000")
    others = (
        bytes.fromhex("80030004 00000000 8005000c") + bytes(12) + bytes.fromhex("80060004 00000000 80f00000")
    )
    return [
        *(request(rest=tlv.tail(layout, 46)) for layout in plain),
        *(signed(KEY, 1, layout) for layout in both),
        request(rest=location),
        request(rest=others + b"\x80\x08\x00\x10" + bytes(16)),
        request()[:14],
        request()[:41],
    ]


class Mutator:
    """Batches of valid requests, of damaged ones and of mere noise; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        seeds = templates()
        self._length = np.array([len(whole) for whole in seeds])
        self._octets = np.zeros((len(seeds), WIDTH), np.uint8)
        for row, whole in enumerate(seeds):
            self._octets[row, : len(whole)] = np.frombuffer(whole, np.uint8)

    def batch(self) -> Arrived:
        rng = self._rng
        kind = rng.integers(0, len(self._length), BATCH)
        block, length = self._octets[kind], self._length[kind].copy()
        block[:, :4] = rng.integers(0, 256, (BATCH, 4), np.uint8)
        at = rng.integers(0, 48, (BATCH, 2))  # most damage is done to base packets ...
        wild = rng.random(BATCH) < 0.25
        at[wild] = rng.integers(0, WIDTH, (int(wild.sum()), 2))  # ... some anywhere, which changes structures
        damaged = rng.random(BATCH) < 0.7
        rows = np.flatnonzero(damaged)
        block[rows[:, None], at[rows]] = rng.integers(0, 256, (len(rows), 2), np.uint8)
        cut = rng.random(BATCH) < 0.2
        length[cut] = rng.integers(0, WIDTH + 8, int(cut.sum()))
        noise = rng.random(BATCH) < 0.05
        block[noise] = rng.integers(0, 256, (int(noise.sum()), WIDTH), np.uint8)
        tos, ttl = rng.integers(0, 256, (2, BATCH), np.uint8)
        name = NAMES[rng.integers(0, len(NAMES), BATCH)]
        return Arrived(block, length.astype(np.int64), name, np.full(BATCH, T2_NS), ttl, tos)


def check(got: Arrived, before: NDArray[np.uint8], replies: Replies) -> None:
    """No reply to a stranger, none longer than its request, nothing written where none was asked for."""
    assert np.array_equal(replies.length, got.length[replies.rows])
    assert int(replies.length.max(initial=0)) <= WIDTH
    senders = {name.tobytes() for name in np.unique(got.name[replies.rows, 4:24], axis=0)}
    assert senders <= PROVISIONED
    behind = np.arange(WIDTH) >= np.maximum(replies.length, packet.SIZE)[:, None]
    assert np.array_equal(got.data[replies.rows][behind], before[replies.rows][behind])


def read(got: Arrived) -> None:
    """Our sender's codecs over the same octets."""
    for authenticated in (False, True):
        layout = tlv.layout(0, tlvs=True, authenticated=authenticated)
        dscp, ecn = tlv.marks(got.data, layout, got.length)
        assert dscp.min() >= -1
        assert dscp.max() <= 63
        assert ecn.max() <= 3
        columns = packet.reflector_columns(got.data, layout.base)
        error = columns["error"].astype(np.uint16)
        _, stamp, known = tlv.follow_up(got.data, layout, error, got.length)
        assert (stamp[known] != 0).all()
        packet.unix_ns(stamp, error, 37)
        assert not (packet.error_ns(error) <= 0).any()
        tlv.sent_otherwise(got.data, layout, got.length)


@pytest.mark.parametrize("name", POLICIES)
def test_a_million_damaged_datagrams(name: str) -> None:
    reflector = Reflector(
        lambda raw: raw[4:24].tobytes() in PROVISIONED,
        POLICIES[name],
        {"10.0.0.2": KEY, "2001:db8::2": KEY},
        salt=12345,
    )
    mutator = Mutator(sum(name.encode()))
    layout, total = tlv.layout(0, tlvs=True, authenticated=True), 0
    for turn in range(ROUNDS * 5 // 4):
        got = mutator.batch()
        before = got.data.copy()
        answered = 0
        for replies in reflector.reflect(got, ERROR, turn * 10**7, DOOR):
            check(got, before, replies)
            replies.stamp(T2_NS + turn)
            reflector.departed(replies.slots, replies.number, got.stamp_ns[replies.rows])
            answered += len(replies.rows)
        total += BATCH
        assert reflector.reflected + reflector.refused.sum() == total
        assert answered < BATCH
        read(got)
        if turn % 8 == 0:
            authentication.verify(got.data, got.length, layout, KEY)
    assert reflector.reflected > total // 20
    assert total * len(POLICIES) >= 1_000_000


@dataclass(frozen=True)
class Twin:
    """The same answers to TLVs, octet by octet, written apart: unauthenticated, no departure known."""

    tos: int

    def rest(self, rest: bytes) -> bytes:
        out = bytearray(rest)
        at = 0
        for _ in range(32):
            if len(rest) - at < 4:
                break
            kind, length = struct.unpack_from(">BH", rest, at + 1)
            value, end = at + 4, at + 4 + length
            sound = end <= len(rest) and self.sound(kind, length)
            out[at] = (0 if sound else 0x40) | (0 if kind in (1, 2, 3, 4, 5, 7) else 0x80)
            if kind == 7:
                stop = min(value + (length if sound else 12), len(rest), end)
                out[value:stop] = bytes(stop - value)
            if not sound:
                break
            if kind == 2:
                struct.pack_into(">HH", out, value, 862, 5000)
            elif kind == 3:
                out[value:end] = bytes([1, 2, 1, 2]) + rest[value + 4 : end]
            elif kind == 4:
                struct.pack_into(">I", out, value, (rest[value] >> 2) << 26 | self.tos << 18)
            elif kind == 5:
                struct.pack_into(">II", out, value + 4, 1, 1)
            at = end
        return bytes(out)

    def sound(self, kind: int, length: int) -> bool:
        exact = {4: 4, 5: 12, 7: 16}
        return length == exact[kind] if kind in exact else kind not in (2, 3) or length >= 4


@st.composite
def tails(draw: st.DrawFn) -> bytes:
    """A few TLVs, mostly sound, without sub-TLVs; then perhaps cut."""
    made = b""
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 255]))
        right = {2: 4, 3: 4, 4: 4, 5: 12, 7: 16, 8: 16}.get(kind, draw(st.integers(0, 20)))
        length = draw(st.sampled_from([right, right, right, draw(st.integers(0, 40))]))
        if kind == 2:
            length = min(length, 7)  # no room for a sub-TLV
        body = draw(st.binary(min_size=length, max_size=length))
        made += struct.pack(">BBH", draw(st.integers(0, 255)), kind, length) + body
    return made[: draw(st.integers(0, len(made)))] if draw(st.booleans()) else made


@given(st.lists(tails(), min_size=1, max_size=6), st.integers(0, 255))
def test_tlvs_are_answered_as_a_plain_twin_does(rests: list[bytes], tos: int) -> None:
    reflector = Reflector(lambda name: True)
    got = arrived([request(rest=rest, ssid=1 + row) for row, rest in enumerate(rests)], tos=tos)
    (replies,) = reflector.reflect(got, ERROR, 0, DOOR)
    for row, rest in enumerate(rests):
        assert bytes(got.data[row, 44 : 44 + len(rest)].data) == Twin(tos).rest(rest)
    assert len(replies.rows) == len(rests)
