"""The world of the benchmarks: a packet goes from end to end, and nothing of it is left afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from benchmarks import compiled
from benchmarks.machine import ROOT
from benchmarks.world import cpu_s, packets_counted, running, world
from lab import namespace

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


@as_root
@compiler
@pytest.mark.root
@pytest.mark.parametrize("wire", [False, True])
def test_the_floor_is_answered_at_every_target_and_counted(wire: bool) -> None:
    with world(wire=wire) as where, compiled.floor() as programs:
        assert programs is not None
        spaces = [name for name in (where.sender_space, where.reflector_space, where.wire) if name]
        before = packets_counted(where.reflector_space, "Udp", "OutDatagrams")
        with compiled.reflector(programs, where):
            load = compiled.Load(10, 200, 10, 0.5, transmit_stamps=True, warm_s=0)
            found = compiled.send(programs, where, load, where.first_target)
        assert found["sent"] >= 100
        assert found["answered"] >= found["sent"] - 20
        assert 0 < found["rtt_min_us"] < 1e6
        assert packets_counted(where.reflector_space, "Udp", "OutDatagrams") - before >= found["answered"]
    assert not namespace.present().intersection(spaces)


def test_the_clock_of_a_process_counts_its_processor_time() -> None:
    with running([sys.executable, "-c", "while True: pass"]) as process:
        deadline = time.monotonic() + 20
        while cpu_s(process.pid) < 0.05 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert cpu_s(process.pid) >= 0.05
    assert process.returncode is not None


def test_a_process_that_ends_before_it_is_ready_says_so() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no port')"]
    with pytest.raises(RuntimeError, match="no port"), running(argv, ready="listening"):
        pass


def test_our_own_clock_agrees() -> None:
    assert cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.5)


@as_root
@pytest.mark.root
def test_sigterm_takes_the_world_down() -> None:
    """A benchmark that is stopped leaves no namespace behind."""
    code = (
        "from benchmarks.world import world\n"
        "import signal\n"
        "with world() as made:\n"
        "    print(made.sender_space, made.reflector_space, flush=True)\n"
        "    signal.pause()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stdout is not None
        spaces = program.stdout.readline().split()
        assert len(spaces) == 2
        assert namespace.present() >= set(spaces)
        program.terminate()
        assert program.wait(60) != 0
    assert not namespace.present().intersection(spaces)
