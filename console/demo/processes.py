"""The demo's child processes: started with a log file each, ended kindly, then firmly, by their own pid."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linkgauge.errors import LinkgaugeError

END_WITHIN_S = 60.0
"""An agent takes some 20 s when its collector does not answer, and longer on a machine that is slow."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child process with a name for people, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The last line it wrote."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


_HAND = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 64) for fd in sys.argv[1].split(",")]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high))}
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""A shell could not: dash knows descriptors of one digit only, and a caller may have many open."""


def start(name: str, argv: Sequence[str], log: Path, handed: Sequence[socket.socket] = ()) -> Child:
    """Start a child in a session of its own, so that Ctrl-C reaches the demo first.

    handed: listening sockets that it gets from descriptor 3 on, as systemd does (sd_listen_fds(3)).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if handed:
        argv = [sys.executable, "-c", _HAND, ",".join(str(sock.fileno()) for sock in handed), *argv]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[sock.fileno() for sock in handed],
        )
    return Child(name, process, log)


def linkgauge(*words: str) -> list[str]:
    """The command line of our own program."""
    return [sys.executable, "-m", "console.main", *words]


def end(children: Sequence[Child], within_s: float = END_WITHIN_S) -> list[str]:
    """Ask all to end at once, wait, kill those that stay; returns a sentence for each that ended badly."""
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + within_s
    faults = []
    for child in children:
        try:
            code = child.process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
            faults.append(f"{child.name} did not end within {within_s:.0f} s and was killed; see {child.log}")
            continue
        if code not in (0, -signal.SIGTERM):
            faults.append(f"{child.name} ended with {code}: {child.last_words()}; see {child.log}")
    return faults


def check(children: Sequence[Child]) -> None:
    """Raise LinkgaugeError when one has ended on its own."""
    for child in children:
        if child.process.poll() is not None:
            raise LinkgaugeError(f"{child.name} has ended early: {child.last_words()}; see {child.log}")


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port of that address that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def is_root() -> bool:
    return os.geteuid() == 0
