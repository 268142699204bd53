"""The lab's forwarding element: one process that is all wires of a world, in user space.

Run as `python -m lab.forwarder CONFIG STATUS`. CONFIG is JSON `{"wires": [[left, right, delay_us], …]}`
naming interfaces of this network namespace. A frame that comes in at one end of a wire leaves the other
delay_us later, order kept per direction; its time of arrival is the kernel's stamp. Prints `ready`, runs
until SIGTERM, SIGINT or the end of stdin (so it ends with its owner), and writes counters to the JSON file
STATUS on SIGUSR1 and at the end. A line on stdin is a JSON list of impairments (the fields of
`lab.impairment.Impairment`), which take the place of those before; the answer is `ok` or what is wrong.
Exit code 2 when the configuration cannot be used.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from lab.advance import Advance
from lab.delay_line import DelayLine
from lab.impairment import Impairment, Impairments
from lab.prompt import be_prompt
from lab.timer import Timer
from lab.wire_end import WireEnd

_LANE_LIMIT = 20_000
_STAMP_AGE_MOST_NS = 100_000_000
_SEED = 20_250_501


class Forwarder:
    """The loop between wire ends, delay line and timer. Lane i goes in at ends[i] and out at ends[i ^ 1]."""

    def __init__(self, wires: Sequence[tuple[str, str, int]]) -> None:
        self._ends = [WireEnd(name) for left, right, _ in wires for name in (left, right)]
        self._line = DelayLine([us * 1000 for _, _, us in wires for _ in range(2)], _LANE_LIMIT)
        self.impairments = Impairments(random.Random(_SEED))  # chance of a lab, not a secret
        self._advance = Advance(start_ns=30_000, step_ns=500, most_ns=200_000)
        self._timer = Timer()
        self._armed_ns: int | None = None
        self._lateness_ns: deque[int] = deque(maxlen=2001)
        self._received = self._sent = self._send_errors = self._receive_errors = 0
        self._epoll = select.epoll()
        self._epoll.register(self._timer.fd, select.EPOLLIN)
        self._lanes = {end.fileno(): lane for lane, end in enumerate(self._ends)}
        for fd in self._lanes:
            self._epoll.register(fd, select.EPOLLIN)

    def watch(self, fd: int) -> None:
        """Let `turn` return when fd, which is not a wire end, has something to read."""
        self._epoll.register(fd, select.EPOLLIN)

    def turn(self) -> list[int]:
        """Wait for one thing to happen and do what is due; returns the readable watched descriptors."""
        watched = []
        for fd, _ in self._epoll.poll():
            if (lane := self._lanes.get(fd)) is not None:
                self._take(lane)
            elif fd != self._timer.fd:
                watched.append(fd)
        self._deliver()
        self._arm()
        return watched

    def _take(self, lane: int) -> None:
        try:
            stamp_ns, frame = self._ends[lane].receive()
        except OSError:  # the interface went down, or another reader was faster
            self._receive_errors += 1
            return
        # The stamp is of the wall clock, which may be set; only its age enters the monotonic arrival time.
        age_ns = min(max(time.time_ns() - stamp_ns, 0), _STAMP_AGE_MOST_NS) if stamp_ns else 0
        arrival_ns = time.monotonic_ns() - age_ns
        for extra_ns, queue in self.impairments.fates(lane, frame):
            self._line.push(lane, arrival_ns, frame, extra_ns, queue)
        self._received += 1

    def _deliver(self) -> None:
        first = True
        now_ns = time.monotonic_ns()
        while (item := self._line.pop(now_ns + self._advance.ns)) is not None:
            due_ns, lane, frame = item
            try:
                self._ends[lane ^ 1].send(frame)
                self._sent += 1
            except OSError:  # no buffer, or the interface is down: a cable loses such a frame too
                self._send_errors += 1
            before_ns, now_ns = now_ns, time.monotonic_ns()
            lateness_ns = (before_ns + now_ns) // 2 - due_ns  # the frame leaves in the midst of the call
            self._lateness_ns.append(lateness_ns)
            if first:  # the others of a burst are late by their place in it, which no advance can mend
                self._advance.observe(lateness_ns)
                first = False

    def _arm(self) -> None:
        due_ns = self._line.next_due_ns
        wake_ns = None if due_ns is None else due_ns - self._advance.ns
        if wake_ns != self._armed_ns or wake_ns is None:
            self._timer.arm(wake_ns)
            self._armed_ns = wake_ns

    def status(self) -> dict[str, int | float]:
        """Counters since the start; lateness is of the last 2 001 frames, in microseconds."""
        late = sorted(self._lateness_ns) or [0]
        return {
            "received": self._received,
            "sent": self._sent,
            "waiting": len(self._line),
            "dropped_full": self._line.dropped,
            "dropped_kernel": sum(end.count_drops() for end in self._ends),
            "send_errors": self._send_errors,
            "receive_errors": self._receive_errors,
            "advance_us": self._advance.ns / 1000,
            "lateness_p50_us": late[len(late) // 2] / 1000,
            "lateness_p99_us": late[len(late) * 99 // 100] / 1000,
            "lateness_max_us": late[-1] / 1000,
            "cpu_s": time.process_time(),
        }


def _signals() -> socket.socket:
    """A socket that yields one octet per signal, its number."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    return reader


def _write_status(forwarder: Forwarder, prompt: bool, path: Path) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({**forwarder.status(), "realtime": prompt}))
    draft.replace(path)


def run(wires: Sequence[tuple[str, str, int]], status: Path) -> None:
    """Forward until told to end."""
    signals = _signals()
    forwarder = Forwarder(wires)
    stdin_fd = sys.stdin.fileno()
    forwarder.watch(signals.fileno())
    forwarder.watch(stdin_fd)
    prompt = be_prompt()
    print("ready", flush=True)
    going, waiting = True, b""
    while going:
        for fd in forwarder.turn():
            if fd == stdin_fd:
                octets = os.read(stdin_fd, 65_536)
                going = going and bool(octets)
                *orders, waiting = (waiting + octets).split(b"\n")
                for order in orders:
                    print(obey(forwarder.impairments, order), flush=True)
                continue
            numbers = signals.recv(64)
            if signal.SIGUSR1 in numbers:
                _write_status(forwarder, prompt, status)
            going = going and not {signal.SIGTERM, signal.SIGINT}.intersection(numbers)
    _write_status(forwarder, prompt, status)


def obey(impairments: Impairments, order: bytes) -> str:
    """Carry out one line of stdin and say how it went."""
    try:
        impairments.set([Impairment(**each) for each in json.loads(order)])
    except (ValueError, TypeError, OSError) as error:
        return f"not a list of impairments: {error}"
    return "ok"


def main(argv: Sequence[str]) -> int:
    """Read CONFIG, run; one sentence on stderr and 2 when that cannot work."""
    if len(argv) != 2:
        print("usage: python -m lab.forwarder CONFIG STATUS", file=sys.stderr)
        return 2
    try:
        wires = [(str(a), str(b), int(us)) for a, b, us in json.loads(Path(argv[0]).read_text())["wires"]]
        run(wires, Path(argv[1]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        print(f"the forwarder cannot use {argv[0]}: {error}; check the interfaces it names", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
