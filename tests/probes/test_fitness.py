"""The host's fitness from recorded texts of /proc and control groups, malformed ones included."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.code import Unfit
from probes.fitness import HostFitness, HostSpan, SystemHost, cpu_stat_paths, cpu_times, throttled

STAT = "cpu  329170 12 63054 2076190 4190 3 13718 {steal} 500 0\ncpu0 1 2 3\nintr 5\n"
V1 = "9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/docker/abc\n0::/\n"
V2 = "0::/system.slice/linkgauge.service\n"
MOUNTS_V1 = (
    "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n"
    "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
    "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
)
MOUNTS_V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
STAT_V2 = "usage_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec {us}\n"
STAT_V1 = "nr_periods 4\nnr_throttled 2\nthrottled_time {ns}\n"
OWN, PARENT = (
    "/sys/fs/cgroup/system.slice/linkgauge.service/cpu.stat",
    "/sys/fs/cgroup/system.slice/cpu.stat",
)


class Machine:
    """A host and its clock, both set by the test."""

    def __init__(self) -> None:
        self.files = {"/proc/stat": STAT.format(steal=125), "/proc/self/cgroup": V2}
        self.files |= {"/proc/self/mounts": MOUNTS_V2, OWN: STAT_V2.format(us=0)}
        self.wall_ns, self.asleep_ns = 100 * NS_PER_S, 7

    def now(self) -> Instant:
        return Instant(self.wall_ns, self.wall_ns)

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def suspended_ns(self) -> int:
        return self.asleep_ns


def ten_seconds(machine: Machine, fitness: HostFitness) -> HostSpan:
    """Let a window of ten seconds go by and judge it."""
    machine.wall_ns += 10 * NS_PER_S
    return fitness.over(machine.wall_ns - 10 * NS_PER_S, machine.wall_ns)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def fitness(machine: Machine) -> HostFitness:
    return HostFitness(machine, machine)


def grow(machine: Machine, steal: int, idle: int) -> None:
    machine.files["/proc/stat"] = f"cpu 329170 12 63054 {2076190 + idle} 4190 3 13718 {125 + steal} 500 0\n"


def test_a_quiet_host_is_fit(machine: Machine, fitness: HostFitness) -> None:
    grow(machine, steal=20, idle=980)
    assert ten_seconds(machine, fitness) == HostSpan(0, 0.02, 0.0, 0.0)


@pytest.mark.parametrize(("steal", "unfit"), [(50, 0), (51, Unfit.CPU_STARVED.value)])
def test_steal_beyond_a_twentieth_is_starving(
    machine: Machine, fitness: HostFitness, steal: int, unfit: int
) -> None:
    grow(machine, steal=steal, idle=1000 - steal)
    span = ten_seconds(machine, fitness)
    assert span.cpu_steal_ratio == pytest.approx(steal / 1000)
    assert span.unfit == unfit


@pytest.mark.parametrize(("us", "unfit"), [(200_000, 0), (200_001, Unfit.CPU_STARVED.value)])
def test_throttling_of_version_2(machine: Machine, fitness: HostFitness, us: int, unfit: int) -> None:
    machine.files[OWN] = STAT_V2.format(us=us)
    span = ten_seconds(machine, fitness)
    assert span.cpu_throttled_s == us / 1e6
    assert span.unfit == unfit


def test_a_group_around_the_own_one_may_be_what_holds_back(machine: Machine) -> None:
    machine.files[PARENT] = STAT_V2.format(us=5)
    fitness = HostFitness(machine, machine)
    machine.files[PARENT] = STAT_V2.format(us=3_000_005)
    span = ten_seconds(machine, fitness)
    assert (span.cpu_throttled_s, span.unfit) == (3.0, Unfit.CPU_STARVED.value)


def test_throttling_of_version_1(machine: Machine) -> None:
    machine.files |= {"/proc/self/cgroup": V1, "/proc/self/mounts": MOUNTS_V1}
    path = "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"  # a container sees its own group as the root
    machine.files[path] = STAT_V1.format(ns=1)
    fitness = HostFitness(machine, machine)
    machine.files[path] = STAT_V1.format(ns=400_000_001)
    assert ten_seconds(machine, fitness).cpu_throttled_s == 0.4


def test_paths_of_both_versions() -> None:
    assert cpu_stat_paths(V2, MOUNTS_V2) == [OWN, PARENT, "/sys/fs/cgroup/cpu.stat"]
    assert cpu_stat_paths(V1, MOUNTS_V1) == [
        "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.stat",
        "/sys/fs/cgroup/cpu,cpuacct/docker/cpu.stat",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.stat",
    ]
    assert cpu_stat_paths("", MOUNTS_V2) == cpu_stat_paths(V2, "") == []


def test_a_suspension_is_unfit_and_noise_is_none(machine: Machine, fitness: HostFitness) -> None:
    machine.asleep_ns += 9_000_000
    assert ten_seconds(machine, fitness).suspended_s == 0.0
    machine.asleep_ns += 1_500_000_000
    span = ten_seconds(machine, fitness)
    assert (span.suspended_s, span.unfit) == (1.5, Unfit.SUSPENDED.value)
    assert ten_seconds(machine, fitness).unfit == 0


def test_each_window_has_its_own_share(machine: Machine, fitness: HostFitness) -> None:
    ten_seconds(machine, fitness)
    machine.asleep_ns += NS_PER_S
    ten_seconds(machine, fitness)
    ten_seconds(machine, fitness)
    now_ns = machine.wall_ns
    bits = [fitness.unfit(now_ns - back * NS_PER_S, now_ns - (back - 10) * NS_PER_S) for back in (30, 20, 10)]
    assert bits == [0, Unfit.SUSPENDED.value, 0]


def test_malformed_texts_are_said_once_and_unknown(
    machine: Machine, fitness: HostFitness, caplog: pytest.LogCaptureFixture
) -> None:
    machine.files["/proc/stat"] = "cpu  a b c\n"
    machine.files[OWN] = "throttled_usec many\n"
    for _ in range(3):
        span = ten_seconds(machine, fitness)
        assert (span.unfit, span.suspended_s) == (0, 0.0)
        assert math.isnan(span.cpu_steal_ratio)
        assert math.isnan(span.cpu_throttled_s)
    assert [record.getMessage() for record in caplog.records] == [
        "/proc/stat: does not begin with the times of all processors; stolen processor time is unknown",
        f"{OWN}: throttled_usec is no number; throttling is unknown",
    ]


def test_what_is_not_there_is_unknown_and_no_news(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.files = {}
    span = ten_seconds(machine, HostFitness(machine, machine))
    assert span.unfit == 0
    assert math.isnan(span.cpu_steal_ratio)
    assert math.isnan(span.cpu_throttled_s)
    assert caplog.text == ""


def test_a_clock_that_was_set_back_begins_anew(machine: Machine, fitness: HostFitness) -> None:
    ten_seconds(machine, fitness)
    machine.wall_ns -= 50 * NS_PER_S
    assert ten_seconds(machine, fitness) == HostSpan()
    machine.asleep_ns += NS_PER_S
    assert ten_seconds(machine, fitness).unfit == Unfit.SUSPENDED.value


def test_counters_that_step_back_are_no_fitness_below_zero(machine: Machine, fitness: HostFitness) -> None:
    grow(machine, steal=-10, idle=1000)
    assert ten_seconds(machine, fitness).cpu_steal_ratio == 0.0


@given(st.text())
def test_no_text_is_more_than_a_value_error(text: str) -> None:
    for read in (cpu_times, throttled):
        with contextlib.suppress(ValueError):
            read(text)
    assert all(path.endswith("cpu.stat") for path in cpu_stat_paths(text, text))


def test_this_host_can_be_asked() -> None:
    fitness = HostFitness(SystemHost(), clock := SystemClock())
    start_ns = clock.now().wall_ns
    span = fitness.over(start_ns, start_ns + 1)
    assert span.unfit & Unfit.SUSPENDED.value == 0
    assert SystemHost().text("/proc/self/no-such-file") is None
