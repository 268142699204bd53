"""Throughput tests with a scripted runner, with children that misbehave, and with iperf3 itself."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from linkgauge.code import Outcome
from probes.throughput.probe import Finished, ProcessRunner, ThroughputProbe
from tests.probes.fake_clock import FakeClock

S = 10**9
GOOD = {"end": {"sum_sent": {"bits_per_second": 2e9}, "sum_received": {"bits_per_second": 1e9}}}
REFUSED = {"error": "unable to connect to server: Connection refused"}
BUSY = {"error": "the server is busy running a test. try again later"}


class Script:
    """Gives its results one after the other; notes what was run."""

    def __init__(self, *results: object) -> None:
        self.results, self.seen = list(results), list[tuple[list[str], float]]()

    def run(self, argv: Sequence[str], timeout_s: float) -> Finished:
        self.seen.append((list(argv), timeout_s))
        result = self.results.pop(0)
        if isinstance(result, OSError):
            raise result
        return result if isinstance(result, Finished) else Finished(True, 0, json.dumps(result).encode())


def probe(*results: object) -> tuple[ThroughputProbe, Script]:
    script, clock = Script(*results), FakeClock()
    return ThroughputProbe(script, clock, lambda wait_s: clock.advance(int(wait_s * S))), script


def test_a_server_that_comes_up_late_is_waited_for() -> None:
    measuring, script = probe(REFUSED, REFUSED, GOOD)
    assert measuring.measure("10.0.0.1", "10.0.0.2", 5201, 10 * S).outcome is Outcome.MEASURED
    assert len(script.seen) == 3
    assert script.seen[0][1] == 14.0


def test_a_server_that_never_comes_up_is_given_up_after_a_second() -> None:
    measuring, script = probe(*[REFUSED] * 50)
    assert measuring.measure("10.0.0.1", "10.0.0.2", 5201, S).outcome is Outcome.UNREACHABLE
    assert 5 <= len(script.seen) <= 12


def test_a_busy_server_is_not_tried_again() -> None:
    measuring, script = probe(BUSY)
    assert measuring.measure("10.0.0.1", "10.0.0.2", 5201, S).outcome is Outcome.BUSY
    assert len(script.seen) == 1


def test_iperf3_that_does_not_end_has_failed() -> None:
    report = probe(Finished(False, -15, b""))[0].measure("10.0.0.1", "10.0.0.2", 5201, S)
    assert (report.outcome, report.sentence) == (
        Outcome.FAILED,
        "iperf3 did not end within 5 s and was ended",
    )


def test_absent_iperf3_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    absent = FileNotFoundError(2, "No such file or directory")
    measuring, _ = probe(absent, absent, absent)
    assert measuring.measure("10.0.0.1", "10.0.0.2", 5201, S).outcome is Outcome.ABSENT
    assert measuring.measure("10.0.0.1", "10.0.0.2", 5201, S).outcome is Outcome.ABSENT
    assert measuring.serve_once("10.0.0.1", 5201, S) is Outcome.ABSENT
    assert [record.message for record in caplog.records] == [
        "iperf3 cannot be run (No such file or directory); install it, no throughput is measured until then"
    ]


def test_a_server_that_served_and_one_that_did_not(caplog: pytest.LogCaptureFixture) -> None:
    serving, _ = probe(GOOD, Finished(True, 0, b""), Finished(False, -15, b""))
    outcomes = [serving.serve_once("10.0.0.1", 5201, S) for _ in range(3)]
    assert outcomes == [Outcome.MEASURED, Outcome.FAILED, Outcome.FAILED]
    assert "10.0.0.1 port 5201 was not served: nobody came" in caplog.text


STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_child_that_ignores_the_end_is_killed_and_reaped() -> None:
    began = time.monotonic()
    finished = ProcessRunner().run([sys.executable, "-c", STUBBORN], 1.0)
    assert time.monotonic() - began < 50
    assert not finished.in_time
    assert finished.code in (-9, -15)


def test_a_child_that_ends_in_time() -> None:
    finished = ProcessRunner().run([sys.executable, "-c", "print('x'); raise SystemExit(3)"], 30)
    assert finished == Finished(True, 3, b"x\n")


def test_a_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # a folder that may not be entered would be another answer
    with pytest.raises(FileNotFoundError):
        ProcessRunner().run(["linkgauge-no-such-program"], 1)


def test_stop_ends_what_runs_and_starts_nothing_more() -> None:
    runner = ProcessRunner()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(runner.run, [sys.executable, "-c", "import time; time.sleep(60)"], 60)
        deadline = time.monotonic() + 60
        while not runner._running:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.stop()
        assert not running.result(timeout=60).in_time
    assert runner.run([sys.executable, "-c", "print(1)"], 10) == Finished(False, -1, b"")


def test_stop_ends_also_what_does_not_want_to_end() -> None:
    runner = ProcessRunner()
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(runner.run, [sys.executable, "-c", deaf], 60)
        deadline = time.monotonic() + 60
        while not runner._running:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.stop()
        assert not running.result(timeout=60).in_time


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def real() -> ThroughputProbe:
    return ThroughputProbe(ProcessRunner())


@pytest.mark.iperf
def test_a_real_test_over_loopback_with_a_late_server() -> None:
    port = free_port()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(real().measure, "127.0.0.1", "127.0.0.1", port, S)
        assert real().serve_once("127.0.0.1", port, S) is Outcome.MEASURED
        report = sending.result(timeout=60)
    assert report.outcome is Outcome.MEASURED, report.sentence
    assert report.received_bps > 1e6
    assert report.sent_bps > 1e6
    assert 0.5 < report.duration_s < 30
    assert 0 < report.loaded_rtt_us < 1e6
    assert report.retransmits >= 0


@pytest.mark.iperf
def test_real_refusal_and_real_busyness(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    assert real().measure("127.0.0.1", "127.0.0.1", port, S).outcome is Outcome.UNREACHABLE
    with ThreadPoolExecutor(2) as pool:
        serving = pool.submit(real().serve_once, "127.0.0.1", port, 6 * S)
        first = pool.submit(real().measure, "127.0.0.1", "127.0.0.1", port, 6 * S)
        second = Outcome.UNREACHABLE
        while second is not Outcome.BUSY and not first.done():
            time.sleep(0.5)
            second = real().measure("127.0.0.1", "127.0.0.1", port, S).outcome
        assert second is Outcome.BUSY
        assert real().serve_once("127.0.0.1", port, S) is Outcome.FAILED
        assert "ddress already in use" in caplog.text
        assert first.result(timeout=60).outcome is Outcome.MEASURED
        assert serving.result(timeout=60) is Outcome.MEASURED


@pytest.mark.iperf
def test_a_real_server_that_nobody_asks_ends_by_its_deadline(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    assert real().serve_once("127.0.0.1", free_port(), S) is Outcome.FAILED
    assert time.monotonic() - began < 60
    assert "nobody came" in caplog.text


@pytest.mark.iperf
def test_a_far_end_that_accepts_and_says_nothing_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held: list[socket.socket] = []
        accepting = threading.Thread(target=lambda: held.append(silent.accept()[0]), daemon=True)
        accepting.start()
        report = real().measure("127.0.0.1", "127.0.0.1", silent.getsockname()[1], S)
        accepting.join(60)
        for sock in held:
            sock.close()
    assert report.outcome is Outcome.FAILED
    assert "did not end within 5 s" in report.sentence
