"""A relay before one UDP reflector that can lose what one client sends: the fault of a world without root.

Run as `python -m lab.relay ADDRESS PUBLIC_PORT INNER_PORT SEED DELAY_US`. What a client sends to
ADDRESS:PUBLIC_PORT goes to ADDRESS:INNER_PORT from a socket of that client's own, bound to the client's
address, so the reflector sees one 4-tuple per client and the true source address; replies go back unharmed.
Each datagram leaves DELAY_US after the kernel got it, either way: that hides how long a busy relay takes, so
what it adds is known. Orders come on stdin, one a line, each answered by a line `ok …` or `error <sentence>`:

    loss CLIENT_ADDRESS RATIO    lose that share (0..1) of what comes from the address, seeded random
    clear                        lose nothing
    count                        ok and the counters as JSON
    quit                         end (so does the end of stdin)

Datagrams keep their payload; time to live and DSCP are those of a fresh socket.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence

from lab.advance import Advance
from lab.delay_line import DelayLine
from lab.prompt import be_prompt
from lab.timer import Timer

_CLIENTS_MOST = 1024
_DATAGRAM_OCTETS = 65_535
_BATCH = 32
_SO_MEMINFO = 55
_BUFFER_OCTETS = 1 << 20
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("=qq")
_FORWARD, _BACKWARD = 0, 1
_HELD_MOST = 4096
_CLIENT = struct.Struct("!4sH")
Peer = tuple[str, int]


class Loss:
    """Decides per datagram whether it is lost. Pure: chance comes from the seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ratios: dict[str, float] = {}

    def set(self, client: str, ratio: float) -> None:
        """Lose that share (0..1) of what comes from the client address."""
        self._ratios[client] = ratio

    def clear(self) -> None:
        """Lose nothing."""
        self._ratios.clear()

    def takes(self, client: str) -> bool:
        """Whether the next datagram of that client address is lost."""
        ratio = self._ratios.get(client)
        return ratio is not None and self._chance.random() < ratio


class Relay:
    """The sockets between clients and reflector; OSError when the public address is taken."""

    def __init__(self, address: str, public_port: int, inner_port: int, loss: Loss, delay_us: int) -> None:
        self._line = DelayLine([delay_us * 1000] * 2, _HELD_MOST)
        self._advance = Advance(start_ns=50_000, step_ns=1_000, most_ns=delay_us * 1000)
        self._timer = Timer()
        self._inner = (address, inner_port)
        self._loss = loss
        self._selector = selectors.DefaultSelector()
        self._public = _udp_socket((address, public_port))
        self._selector.register(self._public, selectors.EVENT_READ, self._take)
        self._selector.register(self._timer.fd, selectors.EVENT_READ, self._release)
        self._clients: OrderedDict[Peer, socket.socket] = OrderedDict()
        self._orders = b""
        self._counts = {"forward": 0, "lost": 0, "backward": 0, "refused": 0, "failed": 0, "evicted": 0}

    def serve(self, orders_fd: int, answers_fd: int) -> None:
        """Relay until told to quit or until orders_fd ends."""
        os.write(answers_fd, b"ready\n")
        self._selector.register(orders_fd, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    key.data()
                elif not self._obey(orders_fd, answers_fd):
                    return
            self._release()

    def close(self) -> None:
        """Close all sockets."""
        for sock in (self._public, *self._clients.values()):
            sock.close()
        self._selector.close()
        self._timer.close()

    def counters(self) -> dict[str, int]:
        """What happened to all datagrams; `overflow` is what the kernel dropped at the sockets open now."""
        overflow = sum(map(_kernel_drops, (self._public, *self._clients.values())))
        return {
            **self._counts,
            "clients": len(self._clients),
            "overflow": overflow,
            "held_dropped": self._line.dropped,
        }

    def answer(self, order: str) -> str:
        """Carry out one order other than quit and say how it went."""
        match order.split():
            case ["loss", client, ratio]:
                try:
                    share = float(ratio)
                    ipaddress.IPv4Address(client)
                except ValueError as error:
                    return f"error {error}: write loss ADDRESS RATIO"
                if not 0.0 <= share <= 1.0:
                    return f"error loss ratio {ratio} is not between 0 and 1: give a share, such as 0.2"
                self._loss.set(client, share)
                return "ok"
            case ["clear"]:
                self._loss.clear()
                return "ok"
            case ["count"]:
                return "ok " + json.dumps(self.counters())
            case _:
                return f"error unknown order {order[:40]!r}: use loss, clear, count or quit"

    def _obey(self, orders_fd: int, answers_fd: int) -> bool:
        data = os.read(orders_fd, 4096)
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            order = line.decode(errors="replace").strip()
            if order == "quit":
                os.write(answers_fd, b"ok\n")
                return False
            os.write(answers_fd, self.answer(order).encode() + b"\n")
        return bool(data)

    def _take(self) -> None:
        for _ in range(_BATCH):
            try:
                data, stamps, _, client = self._public.recvmsg(_DATAGRAM_OCTETS, 64)
            except BlockingIOError:
                return
            except OSError:  # an earlier reply met a client that was gone
                self._counts["refused"] += 1
                continue
            if self._loss.takes(client[0]):
                self._counts["lost"] += 1
                continue
            self._hold(_FORWARD, data, client, stamps)

    def _hold(self, lane: int, data: bytes, client: Peer, stamps: Sequence[tuple[int, int, bytes]]) -> None:
        name = _CLIENT.pack(socket.inet_aton(client[0]), client[1])
        self._line.push(lane, _arrival_ns(stamps), name + data)

    def _release(self) -> None:
        """Send what is due, a little early by the usual lateness, and wait for the next."""
        while (item := self._line.pop(time.monotonic_ns() + self._advance.ns)) is not None:
            due_ns, lane, held = item
            address, port = _CLIENT.unpack_from(held)
            client, data = (socket.inet_ntoa(address), port), held[_CLIENT.size :]
            if lane == _FORWARD:
                self._pass_on(data, client)
            else:
                self._hand_back(data, client)
            self._advance.observe(time.monotonic_ns() - due_ns)
        due = self._line.next_due_ns
        self._timer.arm(None if due is None else due - self._advance.ns)

    def _pass_on(self, data: bytes, client: Peer) -> None:
        try:
            self._outward(client).send(data)
            self._counts["forward"] += 1
        except ConnectionRefusedError:  # the reflector is not up
            self._counts["refused"] += 1
        except OSError:
            self._counts["failed"] += 1

    def _outward(self, client: Peer) -> socket.socket:
        """The client's own socket towards the reflector, made at its first datagram."""
        sock = self._clients.get(client)
        if sock is None:
            while len(self._clients) >= _CLIENTS_MOST:
                _, oldest = self._clients.popitem(last=False)
                self._selector.unregister(oldest)
                oldest.close()
                self._counts["evicted"] += 1
            sock = _udp_socket((client[0], 0))
            sock.connect(self._inner)
            self._clients[client] = sock
            self._selector.register(sock, selectors.EVENT_READ, lambda: self._give_back(sock, client))
        self._clients.move_to_end(client)
        return sock

    def _give_back(self, sock: socket.socket, client: Peer) -> None:
        for _ in range(_BATCH):
            try:
                data, stamps, _, _ = sock.recvmsg(_DATAGRAM_OCTETS, 64)
            except BlockingIOError:
                return
            except OSError:  # the reflector refused an earlier datagram
                self._counts["refused"] += 1
                continue
            self._hold(_BACKWARD, data, client, stamps)

    def _hand_back(self, data: bytes, client: Peer) -> None:
        try:
            self._public.sendto(data, client)
            self._counts["backward"] += 1
        except OSError:
            self._counts["failed"] += 1


def _arrival_ns(stamps: Sequence[tuple[int, int, bytes]]) -> int:
    """When the kernel got a datagram, on the monotonic clock; now, when it did not say."""
    now_ns = time.monotonic_ns()
    for level, kind, data in stamps:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _STAMP.size:
            second, ns = _STAMP.unpack_from(data)
            age_ns: int = time.time_ns() - (second * 1_000_000_000 + ns)
            return now_ns - min(max(age_ns, 0), 1_000_000_000)
    return now_ns


def _udp_socket(address: Peer) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _kernel_drops(sock: socket.socket) -> int:
    """Datagrams dropped because the socket's buffer was full: the ninth field of SO_MEMINFO."""
    fields = struct.unpack("@9I", sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))
    return int(fields[8])


def main(argv: Sequence[str]) -> int:
    """Relay; one sentence on stderr and 2 when that cannot work."""
    try:
        address, public_port, inner_port, seed, delay_us = argv[0], *map(int, argv[1:5])
    except (IndexError, ValueError):
        print("usage: python -m lab.relay ADDRESS PUBLIC_PORT INNER_PORT SEED DELAY_US", file=sys.stderr)
        return 2
    try:
        relay = Relay(address, public_port, inner_port, Loss(seed), delay_us)
    except OSError as error:
        print(
            f"the relay cannot have {address} port {public_port}: {error.strerror}; free it", file=sys.stderr
        )
        return 2
    be_prompt()
    try:
        relay.serve(sys.stdin.fileno(), sys.stdout.fileno())
    finally:
        relay.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
