"""The demo as a user runs it: both worlds, to the end, and what its summary says."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

SECONDS = "72"
"""The fault is over after 55 % of them, the alert six clear windows of 3 s later, or somewhat more."""
WORLDS = {"namespaces": (), "loopback": ("--loopback",)}
ROUTED_HOPS = {"metro": 2, "region": 3, "hub": 3}
"""Up to the far end on the lab's backbone, which has a router at each site."""


def demo(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "console.main", "demo", "--folder", str(folder), *options]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def finished(run: subprocess.Popen[bytes], folder: Path) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what it printed, and the summary."""
    printed = run.communicate(timeout=600)[0].decode()
    return run.returncode, printed, json.loads((folder / "summary.json").read_text())


def hops(link: dict[str, Any]) -> int:
    """Hops that the last sweep found, all of which answered."""
    addresses = str(link["path"]).split()
    assert "*" not in addresses
    return len(addresses)


def namespaces() -> set[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines()}


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], Path]]]:
    """A run in each world, with its folder; both at the same time, for most of what they do is wait."""
    made = {}
    for world, options in WORLDS.items():
        if world == "loopback" or missing("root") is None:
            folder = tmp_path_factory.mktemp(world)
            made[world] = demo(folder, "--seconds", SECONDS, *options), folder
    yield made
    for run, _ in made.values():
        if run.poll() is None:
            run.send_signal(signal.SIGINT)
            run.communicate()


@pytest.mark.parametrize("world", [pytest.param("namespaces", marks=pytest.mark.root), "loopback"])
def test_the_whole_chain_works(runs: dict[str, tuple[subprocess.Popen[bytes], Path]], world: str) -> None:
    run, folder = runs[world]
    code, printed, summary = finished(run, folder)
    bad = [check["name"] for check in summary["checks"] if not check["good"]]
    assert code == bool(bad)
    # the bounds in seconds are for a machine that has little else to do; what came after what is seen below
    assert [name for name in bad if not re.search(r"(forward|resolved) within \d+ s", name)] == [], printed
    assert len(summary["links"]) == 36
    assert {link["network"] for link in summary["links"]} == {"backbone", "private"}
    for link in summary["links"]:
        truth_us = 2 * link["true_delay_us"]
        assert abs(link["rtt_p50_us"] - truth_us) <= max(200, truth_us / 10), link
        assert link["sent"] > 0
        assert hops(link) == (
            1 if world == "loopback" or link["network"] == "private" else ROUTED_HOPS[link["tier"]]
        )
        assert link["verdict"] in ("met", "missed", "unknown")
    fault = summary["fault"]
    assert (fault["kind"], fault["direction"], fault["ratio"]) == ("loss", "forward", 0.2)
    faulty = next(link for link in summary["links"] if link["link"] == fault["link"])
    assert faulty["lost_forward"] > 20
    assert faulty["lost_backward"] == 0
    assert faulty["verdict"] == "missed"
    [alert] = [each for each in summary["alerts"] if each["severity"] == "page"]
    assert (alert["rule"], alert["about"], alert["direction"]) == ("link-loss", fault["link"], "forward")
    assert fault["injected_at"] < alert["fired_at"] < alert["resolved_at"]
    assert fault["cleared_at"] < alert["resolved_at"]
    kept = summary["kept"]
    assert (kept["missing"], kept["duplicates"]) == (0, 0)
    assert kept["windows_produced"] == kept["windows_in_archive"] > 36
    if shutil.which("influxd"):
        assert kept["points_in_influxdb"] == kept["windows_produced"]
    assert "collector's API" in printed
    assert (folder / "grafana" / "dashboards" / "overview.json").exists()


@pytest.mark.root
def test_ctrl_c_ends_in_order_with_nothing_left(tmp_path: Path) -> None:
    run = demo(tmp_path)
    deadline_s = time.monotonic() + 180
    while not list(tmp_path.glob("run/collector/archive/window/*/*/*.parquet")):
        assert time.monotonic() < deadline_s, "nothing was archived"
        assert run.poll() is None
        time.sleep(0.2)
    [record] = tmp_path.glob("lab/lg*/record.json")
    made = set(json.loads(record.read_text())["namespaces"])  # others may make some at the same time
    assert made
    assert made <= namespaces()
    run.send_signal(signal.SIGINT)
    code, printed, summary = finished(run, tmp_path)
    assert code == 0, printed
    assert (summary["kept"]["missing"], summary["kept"]["duplicates"]) == (0, 0)
    fault = summary["fault"]
    assert fault is None or fault["cleared_at"]  # a slow machine archives nothing before the fault comes
    assert not namespaces() & made


def test_two_demos_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = demo(tmp_path, "--loopback")
        printed = run.communicate(timeout=180)[0].decode()
    assert run.returncode == 2
    assert "another demo runs here; end it or use --folder" in printed


def test_a_run_too_short_for_the_fault_is_refused(tmp_path: Path) -> None:
    run = demo(tmp_path, "--seconds", "10")
    printed = run.communicate(timeout=180)[0].decode()
    assert run.returncode == 2
    assert "linkgauge: --seconds 10: too short to see the fault come and go; give 45 or more" in printed
