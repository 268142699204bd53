"""Throughput tests with iperf3 as a child process that never outlives its deadline."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from linkgauge.clock import NS_PER_S, Clock, SystemClock
from linkgauge.code import Outcome
from probes.throughput import report
from probes.throughput.report import Report

CLIENT_MARGIN_S, SERVER_MARGIN_S = 4.0, 6.0
"""How much longer than its test a client or server may live."""
CONNECT_FOR_NS = NS_PER_S
_RETRY_S = 0.1
_KILL_AFTER_S = 1.0
_LONGEST_OUTPUT = 8 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. in_time: by itself, before its deadline."""

    in_time: bool
    code: int
    stdout: bytes


class Runner(Protocol):
    """Runs a program; raises FileNotFoundError when there is none, OSError when it cannot be started."""

    def run(self, argv: Sequence[str], timeout_s: float) -> Finished: ...


class ProcessRunner:
    """Runs children of this process: no shell, no input; ended (terminate, then kill) at the deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, argv: Sequence[str], timeout_s: float) -> Finished:
        with self._lock:
            if self._stopped:
                return Finished(False, -1, b"")
            child = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._running.add(child)
        in_time = True
        try:
            stdout, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            in_time = False
            stdout = _end(child)
        finally:
            with self._lock:
                self._running.discard(child)
        return Finished(in_time and child.returncode >= 0, child.returncode, stdout[:_LONGEST_OUTPUT])

    def stop(self) -> None:
        """End what runs, so that `run` returns in the other threads; start nothing any more.

        iperf3 tells its peer that it ends, and hangs where the peer is gone: then it is killed.
        """
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for child in running:
            child.terminate()
        for child in running:
            try:
                child.wait(_KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                child.kill()


def _end(child: subprocess.Popen[bytes]) -> bytes:
    """Terminate, then kill; always reaps. Returns what it printed."""
    child.terminate()
    try:
        return child.communicate(timeout=_KILL_AFTER_S)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[0]


class ThroughputProbe:
    """Either end of a throughput test. A host without iperf3 is said once; its tests are ABSENT."""

    def __init__(
        self,
        runner: Runner,
        clock: Clock | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runner, self._clock, self._pause = runner, clock or SystemClock(), pause
        self._absence_told = False

    def measure(self, local: str, peer: str, port: int, duration_ns: int, limit_bps: int = 0) -> Report:
        """Send from `local` to `peer` for `duration_ns`; blocks until it ended or was ended.

        While nobody listens yet it is tried again for up to a second.
        """
        argv = report.client_argv(local, peer, port, duration_ns, limit_bps)
        timeout_s = report.whole_s(duration_ns) + CLIENT_MARGIN_S
        until_ns = self._clock.now().mono_ns + CONNECT_FOR_NS
        while True:
            made = self._client(argv, timeout_s)
            if made.outcome is not Outcome.UNREACHABLE or self._clock.now().mono_ns >= until_ns:
                return made
            self._pause(_RETRY_S)

    def serve_once(self, local: str, port: int, duration_ns: int) -> Outcome:
        """Be the far end of one test; blocks until it ended or nobody came in time.

        MEASURED: a test was served; FAILED: none was, or the port is in use.
        """
        timeout_s = report.whole_s(duration_ns) + SERVER_MARGIN_S
        finished = self._run(report.server_argv(local, port), timeout_s)
        if finished is None:
            return Outcome.ABSENT
        served = report.served(finished.stdout) if finished.in_time else "nobody came before the deadline"
        if served:
            _log.warning("throughput test at %s port %d was not served: %s", local, port, served)
            return Outcome.FAILED
        return Outcome.MEASURED

    def _client(self, argv: Sequence[str], timeout_s: float) -> Report:
        finished = self._run(argv, timeout_s)
        if finished is None:
            return Report(Outcome.ABSENT, sentence="iperf3 is not installed")
        if not finished.in_time:
            return Report(
                Outcome.FAILED, sentence=f"iperf3 did not end within {timeout_s:.0f} s and was ended"
            )
        return report.parse(finished.stdout)

    def _run(self, argv: Sequence[str], timeout_s: float) -> Finished | None:
        """None when iperf3 is not there or cannot be started."""
        try:
            return self._runner.run(argv, timeout_s)
        except OSError as err:
            if not self._absence_told:
                _log.warning(
                    "iperf3 cannot be run (%s); install it, no throughput is measured until then",
                    err.strerror or type(err).__name__,
                )
                self._absence_told = True
            return None
