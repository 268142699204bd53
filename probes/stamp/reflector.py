"""STAMP Session-Reflector (RFC 8762 section 4.3, RFC 8972), and TWAMP-Light where so configured. Pure.

Requests become replies in place, in columns; a reply is exactly as long as its request. Only provisioned
peers get one (RFC 8972 section 3): whatever else comes is refused and counted by reason. A peer with a key is
answered only when its packets are authenticated, one without only when they are not: the mode is never
guessed.

Stateful: each session (peer's address, port and SSID) numbers its replies 0, 1, 2 ... Stateless: the reply
has the request's number.

TWAMP-Light (RFC 5357 appendix I): requests from 14 octets on, no TLVs, no SSID, stamps in NTP format. Its
reply needs 41 octets; a sender that wants all of it pads its requests by 27 octets or more, as RFC 6038
section 4 has it. A shorter request gets the first octets of the reply, as many as it has itself: from 38 on
all numbers and stamps are in it, only the TTL is missing; from 14 on number and T3. So nothing is amplified.
Without an SSID a sender that begins anew at the same port can be told only by its number 0: replies are then
numbered from 0 again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import HOST, host_of, raw_name
from probes.stamp.authentication import is_signed
from probes.stamp.packet import (
    AUTHENTICATED_SIZE,
    SIZE,
    Rows,
    ntp,
    ptp,
    reflector_columns,
    turn,
)
from probes.stamp.policy import Policy, Refusal
from probes.stamp.rate_cap import RateCap
from probes.stamp.replay import ReplayWindow
from probes.stamp.replies import Arrivals, Replies
from probes.stamp.session_table import SessionTable, Words, identities
from probes.stamp.tlv_answers import Batch, Door, TlvAnswers

TWAMP_SIZE = 14
"""Octets of the least TWAMP-Test request (RFC 5357 section 4.1.2)."""
SOMEWHERE = Door(0, b"", 0)
_ERROR_LOW = {SIZE: 13, AUTHENTICATED_SIZE: 25}  # where the Multiplier of the Error Estimate stands
_SSID_AT = {SIZE: 14, AUTHENTICATED_SIZE: 26}
_Z_BIT = 0x4000
_ECHO_TOS = np.array([tos & 0xFC | (2 if tos & 3 else 0) for tos in range(256)], np.uint8)
"""TOS of a reply: the DSCP received, and ECT(0) where the request was ECN-capable."""


class Reflector:
    """Answers datagrams.

    is_peer: says whether a raw source address (octets of a sockaddr) is provisioned. keys: address of a peer
    -> its HMAC key. salt: any number that peers cannot know.
    """

    def __init__(
        self,
        is_peer: Callable[[NDArray[np.uint8]], bool],
        policy: Policy | None = None,
        keys: Mapping[str, bytes] | None = None,
        salt: int = 1,
    ) -> None:
        self._is_peer, self.policy = is_peer, policy or Policy()
        self._keys = {raw_name(peer, 0)[HOST].tobytes(): key for peer, key in (keys or {}).items()}
        size = self.policy.max_sessions
        self._table = SessionTable(size, salt)
        self._is_reflector = np.zeros(1 << 16, np.bool_)
        self._is_reflector[list(self.policy.reflector_ports)] = True
        self._cap = RateCap(self.policy.rate_pps, size)
        self._replay = ReplayWindow()
        allowed = np.isin(np.arange(64), list(self.policy.dscp_allowed))
        self._tlvs = TlvAnswers(self._table, allowed, self.policy.stateless)
        self.reflected = 0
        self.refused = np.zeros(len(Refusal), np.int64)

    def adapt(self, rate_pps: float, reflector_ports: Sequence[int]) -> None:
        """Another cap, where there is one, and more ports that reflectors have; sessions stay as they are."""
        if self.policy.rate_pps and rate_pps:
            self._cap.limit(rate_pps)
        self._is_reflector[list(reflector_ports)] = True

    @property
    def sessions(self) -> int:
        """Sessions in the table."""
        return len(self._table)

    @property
    def follow_ups(self) -> int:
        """Requests so far that asked when an earlier reply really left."""
        return self._tlvs.follow_ups

    def heard(self) -> Mapping[str, int]:
        """Packets answered since the last call, by the peer's address; nothing where no rate is kept to."""
        peer, came = self._table.came()
        counts = np.bincount(peer, came, minlength=max(self._cap.index.values(), default=-1) + 1)
        return {host_of(octets): int(counts[index]) for octets, index in self._cap.index.items()}

    def wire_stamp(self, unix_ns: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Times (n,) as this reflector writes them."""
        if self.policy.tai_offset_s is None:
            return ntp(unix_ns)
        return ptp(unix_ns, self.policy.tai_offset_s)

    def reflect(self, got: Arrivals, error: int, mono_ns: int, door: Door = SOMEWHERE) -> Sequence[Replies]:
        """Make replies of the datagrams of a batch that deserve one, in `got.data`.

        Every stamp_ns is known. error: this host's Error Estimate, Z = 0. mono_ns: monotonic time. Replies to
        unauthenticated and to authenticated requests come apart.
        """
        if self.policy.tai_offset_s is not None:
            error |= _Z_BIT
        rows = np.arange(len(got.length))
        if not self._keys or self.policy.twamp_light:
            made = [self._answer(got, SIZE, rows, [], error, mono_ns, door)]
        else:
            keys = self._keys_of(got.name)
            plain = rows[[key is None for key in keys]]
            signed = self._authentic(
                got, [(row, key) for row, key in enumerate(keys) if key is not None], door
            )
            made = [
                self._answer(got, SIZE, plain, [], error, mono_ns, door),
                self._answer(got, AUTHENTICATED_SIZE, *signed, error, mono_ns, door),
            ]
        return [replies for replies in made if replies is not None]

    def departed(
        self, slots: NDArray[np.intp], number: NDArray[np.int64], unix_ns: NDArray[np.int64]
    ) -> None:
        """Note when replies (m,) really left, in the order of leaving; for Follow-Up Telemetry."""
        self._table.left_number[slots] = number
        self._table.left_stamp[slots] = self.wire_stamp(unix_ns)

    def _answer(
        self,
        got: Arrivals,
        base: int,
        rows: NDArray[np.intp],
        keys: list[bytes],
        error: int,
        mono_ns: int,
        door: Door,
    ) -> Replies | None:
        """Replies to those of `rows` that deserve one; keys: of each, empty when not authenticated."""
        if not keys:
            rows = rows[self._usable(got, rows, base, door)] if len(rows) else rows
        if not len(rows):
            return None
        slots = self._slots(got, rows, base, mono_ns, door)
        taken = self._taken(got, rows, slots, keys, mono_ns)
        if taken is not None:
            rows, slots = rows[taken], slots[taken]
            keys = [key for key, good in zip(keys, taken, strict=True) if good] if keys else keys
        return self._write(got, base, rows, slots, keys, error, door) if len(rows) else None

    def _write(
        self,
        got: Arrivals,
        base: int,
        rows: NDArray[np.intp],
        slots: NDArray[np.intp],
        keys: list[bytes],
        error: int,
        door: Door,
    ) -> Replies:
        at: Rows = slice(None) if len(rows) == len(got.length) else rows
        table, length, tos = self._table, got.length[at], got.tos[at]
        if self.policy.twamp_light:
            table.number[slots[~got.data[rows, :4].any(axis=1)]] = 0
        count = table.number[slots] + table.ordinals(slots)
        table.number[slots] = count + 1
        self.reflected += len(rows)
        number = count
        if self.policy.stateless:
            number = reflector_columns(got.data, base)["seq"][at].astype(np.int64)
        turn(got.data, at, base, number, self.wire_stamp(got.stamp_ns[at]), got.ttl[at], error)
        tos_out = _ECHO_TOS[tos]
        if self.policy.twamp_light:
            got.data[at, 14:16] = 0
        elif int(length.max()) > base:
            batch = Batch(base, rows, length, got.name[at], tos, tos_out, slots, count, keys, error, door)
            self._tlvs.write(got.data, batch)
        tai = self.policy.tai_offset_s
        return Replies(rows, length, tos_out, slots, number, got.data, base, at, keys, tai)

    def _usable(self, got: Arrivals, rows: NDArray[np.intp], base: int, door: Door) -> NDArray[np.bool_]:
        """Rows that are neither short nor long nor corrupt nor from a reflector; the others are counted."""
        length = got.length[rows]
        short = length < (TWAMP_SIZE if self.policy.twamp_light else base)
        long = length > got.data.shape[1]
        corrupt = got.data[rows, _ERROR_LOW[base]] == 0
        port = got.name[rows, 2].astype(np.int64) << 8 | got.name[rows, 3]
        loop = self._is_reflector[port] | (port == door.port)
        bad: NDArray[np.bool_] = short | long | corrupt | loop
        if bad.any():
            corrupt &= ~(short | long)
            loop &= ~(short | long | corrupt)
            for reason, mask in (
                (Refusal.SHORT, short),
                (Refusal.LONG, long),
                (Refusal.CORRUPT, corrupt),
                (Refusal.LOOP, loop),
            ):
                self.refused[reason] += int(mask.sum())
        return ~bad

    def _keys_of(self, name: NDArray[np.uint8]) -> list[bytes | None]:
        """Key of each datagram's source, None where it has none."""
        octets = name[:, HOST].tobytes()
        return [self._keys.get(octets[at : at + 20]) for at in range(0, len(octets), 20)]

    def _authentic(
        self, got: Arrivals, keyed: list[tuple[int, bytes]], door: Door
    ) -> tuple[NDArray[np.intp], list[bytes]]:
        """Rows with the right HMAC, and their keys."""
        rows = np.array([row for row, _ in keyed], np.intp)
        if not len(rows):
            return rows, []
        good = self._usable(got, rows, AUTHENTICATED_SIZE, door)
        for place in np.flatnonzero(good):
            row, key = keyed[place]
            if not is_signed(got.data[row].data, key):
                good[place] = False
                self.refused[Refusal.AUTHENTICATION] += 1
        return rows[good], [key for (_, key), held in zip(keyed, good, strict=True) if held]

    def _slots(
        self, got: Arrivals, rows: NDArray[np.intp], base: int, mono_ns: int, door: Door
    ) -> NDArray[np.intp]:
        """Session of each row, -1 = refused and counted."""
        ssid: NDArray[np.uint16] | int = 0
        if not self.policy.twamp_light:
            at = _SSID_AT[base]
            ssid = got.data[:, at : at + 2].view(np.uint16)[rows, 0]
        identity = identities(got.name[rows], ssid, door.index)
        slots = self._table.find(identity)
        return slots if slots.min() >= 0 else self._admit(got, rows, identity, slots, mono_ns)

    def _admit(
        self, got: Arrivals, rows: NDArray[np.intp], identity: Words, slots: NDArray[np.intp], mono_ns: int
    ) -> NDArray[np.intp]:
        """Make sessions for those of `rows` that have none; returns the slots anew."""
        new = np.flatnonzero(slots < 0)
        _, first, count = np.unique(self._table.keys(identity[new]), return_index=True, return_counts=True)
        welcome = np.array([self._is_peer(got.name[rows[row]]) for row in new[first]], np.bool_)
        strangers = int(count[~welcome].sum())
        fresh = new[first[welcome]]
        if len(fresh):
            for slot, row in zip(self._table.add(identity[fresh], mono_ns), rows[fresh], strict=True):
                self._replay.forget(int(slot))
                if slot >= 0:
                    self._table.peer[slot] = self._cap.enter(
                        got.name[row, HOST].tobytes(), self._table.peers_in_use
                    )
            slots = self._table.find(identity)
        self.refused[Refusal.PEER_UNKNOWN] += strangers
        self.refused[Refusal.TABLE_FULL] += int((slots < 0).sum()) - strangers
        return slots

    def _taken(
        self,
        got: Arrivals,
        rows: NDArray[np.intp],
        slots: NDArray[np.intp],
        keys: list[bytes],
        mono_ns: int,
    ) -> NDArray[np.bool_] | None:
        """Which rows of known sessions are neither replays nor too many; None = all rows."""
        known = slots >= 0
        taken = known.copy()
        if keys:
            for place in np.flatnonzero(known):
                seq = int.from_bytes(got.data[rows[place], :4].tobytes(), "big")
                taken[place] = self._replay.take(int(slots[place]), seq)
            self.refused[Refusal.REPLAY] += int((known & ~taken).sum())
        allowed = self._cap.allows(self._table.peer[slots[taken]], mono_ns)
        if allowed is not None:
            self.refused[Refusal.RATE] += int((~allowed).sum())
            taken[np.flatnonzero(taken)[~allowed]] = False
        self._table.seen_ns[slots[known]] = mono_ns
        if taken.all():
            return None
        np.add.at(self._table.withheld, slots[known & ~taken], 1)
        return taken
