"""`linkgauge probe` against real reflectors on loopback: each mode, each exit code, no privilege."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.main import app
from console.probe import command
from console.probe.shot import Shot
from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.errors import LinkgaugeError
from probes.standalone import StandaloneReflector, parse_allowed

HOME, FAR, NOBODY = "127.72.1.1", "127.72.1.2", "127.72.1.3"
KEY = "0f" * 32


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a reflector that answers HOME."""
    made = StandaloneReflector([(FAR, 0)], parse_allowed([HOME]), SystemClock(), read_clock_quality)
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made.ports[0]
    stop.set()
    thread.join()


def probe(*options: str) -> tuple[int, str]:
    """Exit code and output, in a process of its own: the command takes the signals of its process."""
    argv = [sys.executable, "-m", "console.main", "probe", "--from", HOME, *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
    return done.returncode, done.stdout + done.stderr


def told(*options: str) -> tuple[int, dict[str, Any]]:
    code, printed = probe("--json", *options)
    answer: dict[str, Any] = json.loads(printed)
    return code, answer


def keys_file(folder: Path, peer: str) -> str:
    path = folder / f"{peer}.yaml"
    path.write_text(f"{peer}: {KEY}\n")
    path.chmod(0o600)
    return str(path)


def test_sizes_classes_and_flows_at_once(port: int) -> None:
    options = ("--sizes", "0,512", "--dscp", "0,46", "--flows", "4", "--count", "50", "--rate-pps", "100")
    code, answer = told(FAR, "--port", str(port), *options)
    assert code == 0
    assert [(one["size_bytes"], one["dscp"]) for one in answer["packets"]] == [
        (72, 0), (72, 46), (512, 0), (512, 46),
    ]  # fmt: skip
    for one in answer["packets"]:
        assert 0 < one["sent"] == one["replied"] <= 100  # a busy machine misses slots and ends late
        assert one["dscp_forward"] == one["dscp_backward"] == one["dscp"]
        assert 0 < one["rtt_min_us"] <= one["rtt_p50_us"] * 1.02
    assert len(answer["flows"]) == 16
    assert sum(one["sent"] for one in answer["flows"]) == sum(one["sent"] for one in answer["packets"])
    assert f"no loss in {answer['packets'][0]['sent']} packets" in answer["judgement"][0]


def test_tables_for_people_with_the_path(port: int) -> None:
    code, printed = probe(
        FAR, "--port", str(port), "--count", "30", "--path", "--icmp", "--tcp", "--tcp-port", str(port)
    )
    assert code == 0, printed
    assert f"from {HOME} to {FAR} port {port}" in printed
    assert "path of flow 0, DSCP 0" in printed
    assert "no loss in " in printed  # a busy machine may miss a slot or two of 30
    assert "TCP to the same address is refused" in printed


def test_nobody_there_is_exit_1(port: int) -> None:
    code, answer = told(NOBODY, "--port", str(port), "--count", "10")
    assert code == 1
    [one] = answer["packets"]
    assert one["refused"] == one["sent"] > 0
    assert answer["judgement"][0].startswith("nobody answers there")


def test_a_stateless_far_end_tells_no_direction(port: int) -> None:
    code, answer = told(FAR, "--port", str(port), "--stateless", "--count", "10")
    assert code == 0
    assert answer["packets"][0]["replied"] == answer["packets"][0]["sent"]


def test_twamp_light_has_no_tlvs(port: int) -> None:
    code, answer = told(FAR, "--port", str(port), "--twamp-light", "--sizes", "44,100", "--count", "10")
    assert code == 0
    assert [one["size_bytes"] for one in answer["packets"]] == [44, 100]


def test_authenticated(tmp_path: Path) -> None:
    keys, far_keys = keys_file(tmp_path, FAR), keys_file(tmp_path, HOME)
    where = ("--allow", HOME, "--listen", FAR, "--port", "0")
    argv = [sys.executable, "-m", "console.main", "reflector", *where]
    with subprocess.Popen([*argv, "--key-file", far_keys], stderr=subprocess.PIPE, text=True) as far:
        try:
            assert far.stderr is not None
            said = next(line for line in far.stderr if line.startswith("answering at"))
            bound = said.split()[-1]
            code, answer = told(FAR, "--port", bound, "--key-file", keys, "--count", "10")
            assert code == 0
            assert answer["packets"][0]["replied"] == answer["packets"][0]["sent"]
            code, answer = told(FAR, "--port", bound, "--count", "10")
            assert code == 1
            assert answer["judgement"][0].startswith("no reply to")
        finally:
            far.terminate()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("no-such-host.invalid",), "no-such-host.invalid: has no address"),
        ((FAR, "--sizes", "44,big"), "--sizes 44,big: give whole numbers from 0 to 8972"),
        ((FAR, "--dscp", "64"), "--dscp 64: give whole numbers from 0 to 63"),
        ((FAR, "--rate-pps", "0"), "--rate-pps 0: must be between 0.01 and 100000"),
        ((FAR, "--twamp-light", "--stateless"), "--twamp-light and --stateless: give one of them"),
        ((FAR, "--from", "192.0.2.7"), f"{FAR}: cannot be reached from 192.0.2.7"),
        ((FAR, "--key-file", "nowhere.yaml"), "nowhere.yaml: there is no such keys file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(options: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(LinkgaugeError) as caught:
        CliRunner().invoke(app, ["probe", *options], catch_exceptions=False)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_key_of_somebody_else_is_none(tmp_path: Path) -> None:
    keys = keys_file(tmp_path, HOME)
    with pytest.raises(LinkgaugeError, match=f"has no key for {FAR}") as caught:
        CliRunner().invoke(app, ["probe", FAR, "--key-file", keys], catch_exceptions=False)
    assert KEY not in str(caught.value)


def test_sizes_that_are_sent_as_one_are_sent_once() -> None:
    shot = Shot(FAR, HOME, sizes=(44, 60, 512))
    assert len(command.distinct(shot).sizes) == 2
    light = Shot(FAR, HOME, sizes=(44, 60, 512), reflector="twamp-light")
    assert command.distinct(light) is light
