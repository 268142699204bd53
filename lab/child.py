"""A child process of a world that is told to start, said to be ready, and told to end.

Its stdin is a pipe from us, so it notices when its owner is gone; it has a session of its own, so Ctrl-C at
a terminal reaches the owner first.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from linkgauge.errors import LabError

_ROOT = Path(__file__).resolve().parent.parent
_READY_WITHIN_S = 10.0
_END_WITHIN_S = 3.0


class Child:
    """`python -m MODULE ARGS`, run behind `prefix` (a command that ends in exec, or nothing)."""

    def __init__(self, module: str, args: list[str], log: Path, prefix: tuple[str, ...] = ()) -> None:
        self._module = module
        self._argv = [*prefix, sys.executable, "-m", module, *args]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it and return its pid; what it writes to stderr goes to the log file."""
        paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        try:
            with self._log.open("wb") as errors:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, "PYTHONPATH": paths},
                    start_new_session=True,
                )
        except OSError as error:
            raise LabError(f"cannot start {self._module}: {error}; install what is missing") from error
        return self._process.pid

    def say(self, line: str) -> None:
        """Write a line to its stdin."""
        try:
            stdin = _pipe(self._running().stdin)
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise LabError(f"{self._module} has ended: {self._last_words()}; build the world anew") from error

    def hear(self) -> str:
        """The next line of its stdout, without the newline; LabError when none comes in time or it ended."""
        stdout = _pipe(self._running().stdout)
        deadline_s = time.monotonic() + _READY_WITHIN_S
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([stdout], [], [], left_s)[0]:
                raise LabError(
                    f"{self._module} said nothing for {_READY_WITHIN_S:.0f} s: is the machine stuck?"
                )
            octet = os.read(stdout.fileno(), 1)  # lines are few and short
            if not octet:
                raise LabError(f"{self._module} has ended: {self._last_words()}; build the world anew")
            line += octet
        return line[:-1].decode()

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        self._running().send_signal(number)

    def end(self) -> None:
        """End it, first kindly; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _pipe(pipe).close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LabError(f"{self._module} does not run: enter the world first")
        return self._process

    def _last_words(self) -> str:
        words = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        return words.rpartition("\n")[2] or "it said nothing"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # Popen made it, because PIPE was asked for
    return pipe
