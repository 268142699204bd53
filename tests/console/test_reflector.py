"""`linkgauge reflector` as a process: it answers, tells its counters, and says what is wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from console import reflector
from linkgauge.clock import ClockQuality
from linkgauge.errors import ConfigError
from tests.probes.stamp.arrivals import signed

KEY = bytes(range(32))
REQUEST = bytes(12) + b"\x00\x01" + bytes(30)
COMMAND = [sys.executable, "-m", "console.main", "reflector"]


def said(*options: str) -> str:
    """What the command says when it does not start."""
    done = subprocess.run(
        [*COMMAND, "--allow", "127.0.0.1", "--listen", "127.0.0.1", "--port", "0", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 2
    return done.stderr


def test_it_answers_and_tells_its_counters_as_json(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.touch(0o600)
    keys.write_text(f"'::1': {KEY.hex()}\n", encoding="utf-8")
    options = ["--allow", "::1", "--listen", "::1", "--port", "0", "--key-file", str(keys), "--json"]
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("answering at ::1 port ")
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.settimeout(60)
                home = ("::1", int(line.split()[-1]))
                sock.sendto(REQUEST, home)
                sock.sendto(signed(KEY), home)
                assert len(sock.recv(2000)) == 160
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    counters = json.loads(out)
    assert counters["reflected"] == 1
    assert counters["refused_short"] == 1
    assert counters["sessions"] == 1


@pytest.mark.parametrize("other", [["--ptp"], ["--key-file", "keys.yaml"]])
def test_twamp_light_stands_alone(other: list[str]) -> None:
    assert said("--twamp-light", *other) == (
        f"linkgauge: --twamp-light cannot stand with {other[0]}: TWAMP-Light knows neither; leave one out\n"
    )


def test_a_keys_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.touch(0o644)
    assert "others can reach this keys file" in said("--key-file", str(keys))


def test_ptp_needs_a_kernel_that_knows_tai(monkeypatch: pytest.MonkeyPatch) -> None:
    told = reflector._tai_offset_s
    monkeypatch.setattr(reflector, "read_clock_quality", lambda: ClockQuality(True, 1000, 37))
    assert told() == 37
    monkeypatch.setattr(reflector, "read_clock_quality", lambda: ClockQuality(True, 1000, 0))
    with pytest.raises(ConfigError, match="the kernel does not know how far TAI is ahead of UTC"):
        told()


def test_a_port_that_is_none() -> None:
    assert said("--port", "70000") == "linkgauge: --port 70000: a port is at most 65535\n"
