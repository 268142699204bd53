"""Packets of sweeps under way in the engine: sent from the ports of their flows, told apart from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import Clock
from probes.engine.flight import SWEEP_SSID, Answers, Caught, Departures, Errors, Flight
from probes.sockets.arrival import Received, Refusals
from probes.sockets.port import Port
from probes.sockets.raw_name import NAME_SIZE, raw_name
from probes.stamp import tlv
from probes.stamp.authentication import sign
from probes.stamp.packet import SIZE, ntp_of, reflector_columns, sender_columns, unix_ns

_ECT = 2
_QUOTED = 28
_MOST_KEPT = 65_536
_NUMBER_SPAN = 1 << 32

Ints = NDArray[np.int64]


class Flights:
    """Launches flights and gathers what comes of them. base: octets of a base packet, 44 or 112.

    keys: HMAC key of each peer in authenticated mode. unplaced: flights for which there was no port.
    """

    def __init__(self, stamp_port: int, base: int, keys: dict[str, bytes]) -> None:
        self._stamp_port, self._base, self._keys = stamp_port, base, keys
        self._seq_of: dict[tuple[int, int], int] = {}
        self._departed: list[tuple[Ints, Ints, NDArray[np.bool_]]] = []
        self._answers: list[tuple[Ints, Ints, NDArray[np.uint8], Ints]] = []
        self._errors: list[tuple[Ints, Refusals]] = []
        self._flown = False
        self.unplaced = 0

    def launch(self, flight: Flight, ports: Sequence[Port], error: int, clock: Clock) -> None:
        """Send the packets of a flight from the port of its flow."""
        at = next(
            (i for i, port in enumerate(ports) if (port.local, port.flow) == (flight.local, flight.flow)),
            None,
        )
        if at is None:
            self.unplaced += 1
        if at is None or not len(flight.seq):
            return
        self._flown = True
        port, count = ports[at], len(flight.seq)
        now_ns = clock.now().wall_ns
        packets, size = self._packets(flight, error, now_ns)
        numbers = port.socket.send(
            packets,
            np.tile(raw_name(flight.peer, self._stamp_port), (count, 1)),
            size,
            np.full(count, flight.dscp << 2 | _ECT, np.uint8),
            flight.hop_limit,
        )
        stamped, failed = port.swept(numbers), numbers < 0
        if stamped:
            if len(self._seq_of) > _MOST_KEPT:
                self._seq_of.clear()
            left = zip(numbers[~failed].tolist(), flight.seq[~failed].tolist(), strict=True)
            self._seq_of.update({(at, number % _NUMBER_SPAN): seq for number, seq in left})
        told = failed if stamped else np.ones(count, np.bool_)
        self._departed.append((flight.seq[told], np.full(int(told.sum()), now_ns), failed[told]))

    def stamped(self, at: int, number: Ints, stamp_ns: Ints) -> None:
        """Transmit stamps of datagrams that left port number `at`."""
        seq = np.array([self._seq_of.pop((at, n), -1) for n in number.tolist()], np.int64)
        known = seq >= 0
        self._departed.append((seq[known], stamp_ns[known], np.zeros(int(known.sum()), np.bool_)))

    def failed(self, errors: Refusals) -> Refusals:
        """Take the ICMP errors about packets of sweeps; returns the others."""
        packets = sender_columns(errors.data, self._base)
        ours = (packets["ssid"] == SWEEP_SSID) & (errors.length >= min(_QUOTED, self._base))
        if not ours.any():
            return errors
        self._errors.append((packets["seq"][ours].astype(np.int64), errors.take(ours)))
        return errors.take(~ours)

    def landed(self, got: Received) -> NDArray[np.bool_]:
        """Take the replies to packets of sweeps; says which they are."""
        if not self._flown:
            return np.zeros(len(got.length), np.bool_)
        packets = reflector_columns(got.data, self._base)
        ours: NDArray[np.bool_] = (packets["ssid"] == SWEEP_SSID) & (got.length >= SIZE)
        if ours.any():
            packets = packets[ours]
            seq = packets["sender_seq"].astype(np.int64)
            self._answers.append((seq, got.stamp_ns[ours], got.ttl[ours], dwell_ns_of(packets)))
        return ours

    def collect(self) -> Caught | None:
        """What came since the last time; None when nothing did."""
        if not (self._departed or self._answers or self._errors):
            return None
        seq, stamp_ns, failed = _joined(self._departed, np.int64, np.int64, np.bool_)
        answers = Answers(*_joined(self._answers, np.int64, np.int64, np.uint8, np.int64))
        quoted = np.concatenate([np.empty(0, np.int64), *(seqs for seqs, _ in self._errors)])
        errors = _joined_errors(quoted, [part for _, part in self._errors])
        self._departed, self._answers, self._errors = [], [], []
        return Caught(Departures(seq, stamp_ns, failed), answers, errors)

    def _packets(self, flight: Flight, error: int, now_ns: int) -> tuple[NDArray[np.uint8], Ints]:
        """The packets (n, w), and how many octets of each are sent."""
        with_tlvs = tlv.layout(0, tlvs=True, authenticated=self._base != SIZE)
        size = np.maximum(flight.size, self._base)
        block = np.zeros((len(size), int(size.max())), np.uint8)
        columns = sender_columns(block, self._base)
        columns["seq"], columns["t1"] = flight.seq, ntp_of(now_ns)
        columns["error"], columns["ssid"] = error, SWEEP_SSID
        key = self._keys.get(flight.peer)
        for row, octets in enumerate(size.tolist()):
            room = octets >= with_tlvs.size + tlv.HEADER_SIZE
            shape = tlv.layout(octets, tlvs=room, authenticated=self._base != SIZE)
            block[row, self._base : octets] = np.frombuffer(tlv.tail(shape, flight.dscp), np.uint8)
            if key is not None:
                sign(block, shape, key, np.array([row]))
        return block, size


def dwell_ns_of(replies: NDArray[Any]) -> Ints:
    """T3 - T2 of reflector records (n,), 0 where one of them is not told."""
    t2, t3, error = (
        replies[name].astype(replies[name].dtype.newbyteorder("=")) for name in ("t2", "t3", "error")
    )
    return np.where((t2 > 0) & (t3 > 0), unix_ns(t3, error) - unix_ns(t2, error), 0)


def _joined(parts: Sequence[tuple[NDArray[Any], ...]], *dtypes: type) -> list[NDArray[Any]]:
    empty: list[NDArray[Any]] = [np.empty(0, dtype) for dtype in dtypes]
    return [np.concatenate([start, *(part[at] for part in parts)]) for at, start in enumerate(empty)]


def _joined_errors(seq: Ints, parts: list[Refusals]) -> Errors:
    none = np.empty(0, np.int64)
    width = parts[0].data.shape[1] if parts else 0

    def column(name: str) -> Ints:
        return np.concatenate([none, *(getattr(part, name) for part in parts)])

    return Errors(
        seq,
        column("stamp_ns"),
        np.concatenate([np.empty((0, NAME_SIZE), np.uint8), *(part.offender for part in parts)]),
        column("reason"),
        column("info"),
        np.concatenate([np.empty((0, width), np.uint8), *(part.data for part in parts)]),
        column("length"),
        column("extension_at"),
    )
