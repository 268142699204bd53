"""A small sender of sweeps: plain UDP sockets with IP_RECVERR, one for each local address and flow.

It does what the engine does, one packet at a time, so that the path probe can be tried without it.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from probes.engine.flight import SWEEP_SSID, Answers, Caught, Departures, Errors, Flight
from probes.sockets.raw_name import NAME_SIZE

_DATA = 1024
_IP = {"level": 0, "recverr": 11, "rfc4884": 26, "hops": 2, "tos": 1, "discover": 10}
_IPV6 = {"level": 41, "recverr": 25, "rfc4884": 31, "hops": 52, "tos": 67, "discover": 23}
_PROBE = 3
_SO_TIMESTAMPING, _SOFTWARE = 37, 0x18
_EXTENDED = struct.Struct("=IBBBxIHBx")
_ORIGIN_LOCAL = 1
_INVALID = 1


class Launcher:
    """Sends flights to port `port`; call `start` inside the namespace, `close` at the end."""

    def __init__(self, caught: Callable[[Caught], None], port: int) -> None:
        self._caught, self._port = caught, port
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def open(self, locals_: list[str], flows: int) -> None:
        """Sockets of local addresses; they stay in the namespace of the caller."""
        for local in locals_:
            for flow in range(flows):
                self._sockets[local, flow] = sock = _socket(local)
                self._selector.register(sock, selectors.EVENT_READ)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        for sock in self._sockets.values():
            sock.close()
        self._selector.close()

    def sweep(self, flight: Flight) -> None:
        sock = self._sockets[flight.local, flight.flow]
        words = _IPV6 if sock.family == socket.AF_INET6 else _IP
        stamps, failed = [], []
        for seq, hop, size in zip(
            flight.seq.tolist(), flight.hop_limit.tolist(), flight.size.tolist(), strict=True
        ):
            control = [
                (words["level"], words["hops"], struct.pack("=i", hop)),
                (words["level"], words["tos"], struct.pack("=i", flight.dscp << 2 | 2)),
            ]
            packet = struct.pack("!I10xH", seq, SWEEP_SSID).ljust(size, b"\0")
            stamps.append(time.time_ns())
            failed.append(not _sent(sock, packet, control, (flight.peer, self._port)))
        sent = Departures(flight.seq, np.array(stamps, np.int64), np.array(failed, np.bool_))
        self._caught(Caught(sent, _answers([]), _errors([])))

    def _run(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(timeout=0.05):
                assert isinstance(key.fileobj, socket.socket)
                self._take(key.fileobj)

    def _take(self, sock: socket.socket) -> None:
        answers: list[tuple[int, int, int]] = []
        errors: list[tuple[bytes, int, list[tuple[int, int, bytes]]]] = []
        for flags, take in ((0, answers), (socket.MSG_ERRQUEUE, errors)):
            with contextlib.suppress(OSError):  # the queue is empty, or an error is told that is in the queue
                while True:
                    data, control, _, _ = sock.recvmsg(9200, 512, flags | socket.MSG_DONTWAIT)
                    seq = int.from_bytes(data[:4], "big")
                    if take is answers:
                        answers.append((seq, _stamp(control), 64))
                    else:
                        errors.append((data, _stamp(control), control))
        none = np.empty(0, np.int64)
        sent = Departures(none, none, none.astype(np.bool_))
        self._caught(Caught(sent, _answers(answers), _errors([row for e in errors if (row := _error(*e))])))


Row = tuple[int, int, NDArray[np.uint8], int, int, bytes, int]


def _error(data: bytes, stamp_ns: int, control: list[tuple[int, int, bytes]]) -> Row | None:
    """seq, stamp, offender, reason, info, data, extension_at."""
    for level, kind, body in control:
        if (level, kind) not in ((_IP["level"], _IP["recverr"]), (_IPV6["level"], _IPV6["recverr"])):
            continue
        _, origin, icmp, code, info, at, flags = _EXTENDED.unpack_from(body)
        if origin == _ORIGIN_LOCAL:
            return None
        offender = np.zeros(NAME_SIZE, np.uint8)
        name = np.frombuffer(body[_EXTENDED.size :][:28], np.uint8)
        offender[: len(name)] = name
        extension_at = at if at and not flags & _INVALID else -1
        seq = int.from_bytes(data[:4], "big")
        return seq, stamp_ns, offender, icmp << 8 | code, info, data[:_DATA], extension_at
    return None


def _answers(rows: list[tuple[int, int, int]]) -> Answers:
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Answers(table[:, 0], table[:, 1], table[:, 2].astype(np.uint8), np.zeros(len(rows), np.int64))


def _errors(rows: list[Row]) -> Errors:
    data = np.zeros((len(rows), _DATA), np.uint8)
    for at, row in enumerate(rows):
        data[at, : len(row[5])] = np.frombuffer(row[5], np.uint8)
    names = np.array([row[2] for row in rows], np.uint8).reshape(-1, NAME_SIZE)
    seq, stamp, reason, info, length, at_ = (
        np.array([pick(row) for row in rows], np.int64)
        for pick in (
            lambda row: row[0], lambda row: row[1], lambda row: row[3],
            lambda row: row[4], lambda row: len(row[5]), lambda row: row[6],
        )
    )  # fmt: skip
    return Errors(seq, stamp, names, reason, info, data, length, at_)


def _stamp(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, body in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            seconds, ns = struct.unpack_from("=qq", body)
            return int(seconds * 1_000_000_000 + ns)
    return 0


def _sent(
    sock: socket.socket, packet: bytes, control: list[tuple[int, int, bytes]], to: tuple[str, int]
) -> bool:
    for _ in range(3):  # an error of an earlier packet is told once at a later call
        try:
            sock.sendmsg([packet], control, 0, to)
        except OSError as error:
            if error.errno == 90:  # EMSGSIZE
                return False
        else:
            return True
    return False


def _socket(local: str) -> socket.socket:
    words, family = (_IPV6, socket.AF_INET6) if ":" in local else (_IP, socket.AF_INET)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE)
    sock.setsockopt(words["level"], words["recverr"], 1)
    sock.setsockopt(words["level"], words["rfc4884"], 1)
    sock.setsockopt(words["level"], words["discover"], _PROBE)
    sock.bind((local, 0))
    return sock


class Reflector:
    """Sends every datagram back as it is; open and start it inside the far namespace."""

    def __init__(self, addresses: list[str], port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        for address in addresses:
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, port))
            self._selector.register(sock, selectors.EVENT_READ)
            self._sockets.append(sock)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(timeout=0.05):
                assert isinstance(key.fileobj, socket.socket)
                data, name = key.fileobj.recvfrom(9200)
                key.fileobj.sendto(data, name)
