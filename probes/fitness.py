"""Whether the host let the agent work: time stolen by a hypervisor, held back by a control group, suspended.

Three counters that only grow are read now and then; what lies between two readings is told as figures and as
Unfit bits. Steal is /proc/stat (proc_stat(5)); throttling is cpu.stat of the control groups that the process
is in (throttled_usec in version 2, throttled_time in version 1); suspension is CLOCK_BOOTTIME less
CLOCK_MONOTONIC. A counter that this kernel does not have is unknown (NaN); one that cannot be understood is
said once, and unknown.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.code import Unfit
from probes.notice import Notice

STEAL_RATIO = 0.05
"""More of the processor time than this taken by the hypervisor: starved."""
THROTTLED_RATIO = 0.02
"""Held back for more of the time than this by a control group: starved."""
SUSPENDED_NS = 10_000_000
"""Any suspension is longer than this; what is shorter is the noise of reading two clocks."""
_READINGS = 1_024
_STEAL_FIELD, _TIME_FIELDS = 7, 8  # guest time stands twice: it is part of user time
_NAN = float("nan")
_log = logging.getLogger(__name__)


class Host(Protocol):
    """Where the counters are read."""

    def text(self, path: str) -> str | None:
        """A file of the kernel's; None when it is not there or may not be read."""

    def suspended_ns(self) -> int:
        """Time that this machine was suspended since it started, ns."""


class SystemHost:
    """This host."""

    def text(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="ascii", errors="replace")
        except OSError:
            return None

    def suspended_ns(self) -> int:
        best_ns, suspended_ns = 1 << 62, 0
        for _ in range(5):  # the reading that was least disturbed between the two clocks
            before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            if after_ns - before_ns < best_ns:
                best_ns, suspended_ns = after_ns - before_ns, boot_ns - (before_ns + after_ns) // 2
        return suspended_ns


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading. steal, total: jiffies of all processors, NaN = unknown.

    throttled_ns: of each control group that the process is in, from its own up; empty = unknown. A group's
    time counts once for each processor that it was held back on.
    """

    steal: float
    total: float
    throttled_ns: tuple[int, ...]
    suspended_ns: int


@dataclass(frozen=True, slots=True)
class HostSpan:
    """What the host did to the agent in a span of time; NaN = unknown. unfit: sum of the Unfit bits."""

    unfit: int = 0
    cpu_steal_ratio: float = _NAN
    cpu_throttled_s: float = _NAN
    suspended_s: float = _NAN


class HostFitness:
    """Reads the counters at each call and remembers the readings. Safe to use from several threads."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self._lock = threading.Lock()
        self._readings: deque[tuple[int, Counters]] = deque(maxlen=_READINGS)
        self._stat, self._group = Notice(_log), Notice(_log)
        self._read()

    def unfit(self, start_ns: int, end_ns: int) -> int:
        """The Unfit bits of that time, SUSPENDED and CPU_STARVED."""
        return self.over(start_ns, end_ns).unfit

    def over(self, start_ns: int, end_ns: int) -> HostSpan:
        """What happened between two times on the wall clock, ns, by the readings nearest to them."""
        with self._lock:
            self._read()
            first_ns, first = min(self._readings, key=lambda one: abs(one[0] - start_ns))
            last_ns, last = min(self._readings, key=lambda one: abs(one[0] - end_ns))
        return between(first, last, last_ns - first_ns) if last_ns > first_ns else HostSpan()

    def _read(self) -> None:
        now_ns = self._clock.now().wall_ns
        while self._readings and self._readings[-1][0] >= now_ns:  # the clock was set back
            self._readings.pop()
        steal, total = self._times()
        counters = Counters(steal, total, self._throttled(), self._host.suspended_ns())
        self._readings.append((now_ns, counters))

    def _times(self) -> tuple[float, float]:
        text = self._host.text("/proc/stat")
        if text is None:
            return _NAN, _NAN
        try:
            steal, total = cpu_times(text)
        except ValueError as err:
            self._stat.trouble("stat", f"/proc/stat: {err}; stolen processor time is unknown")
            return _NAN, _NAN
        self._stat.over("/proc/stat: can be read again")
        return steal, total

    def _throttled(self) -> tuple[int, ...]:
        membership = self._host.text("/proc/self/cgroup") or ""
        mounts = self._host.text("/proc/self/mounts") or ""
        found = []
        for path in cpu_stat_paths(membership, mounts):
            text = self._host.text(path)
            if text is None:
                continue  # a container does not see the groups around it
            try:
                throttled_ns = throttled(text)
            except ValueError as err:
                self._group.trouble("group", f"{path}: {err}; throttling is unknown")
                return ()
            if throttled_ns is not None:
                found.append(throttled_ns)
        self._group.over("cpu.stat of the control groups can be read again")
        return tuple(found)


def between(first: Counters, last: Counters, length_ns: int) -> HostSpan:
    """What lies between two readings that are length_ns apart."""
    throttled_s = _NAN
    steal, total = last.steal - first.steal, last.total - first.total
    # both may step back by a little on some hypervisors
    steal_ratio = min(max(steal, 0.0) / total, 1.0) if total > 0 else _NAN
    if first.throttled_ns and len(first.throttled_ns) == len(last.throttled_ns):
        grown = [b - a for a, b in zip(first.throttled_ns, last.throttled_ns, strict=True)]
        throttled_s = max(0, *grown) / NS_PER_S
    suspended_ns = last.suspended_ns - first.suspended_ns
    unfit = 0
    if suspended_ns > SUSPENDED_NS:
        unfit |= Unfit.SUSPENDED.value
    if steal_ratio > STEAL_RATIO or throttled_s > THROTTLED_RATIO * length_ns / NS_PER_S:
        unfit |= Unfit.CPU_STARVED.value
    suspended_s = suspended_ns / NS_PER_S if suspended_ns > SUSPENDED_NS else 0.0
    return HostSpan(unfit, steal_ratio, throttled_s, suspended_s)


def cpu_times(stat: str) -> tuple[int, int]:
    """Stolen and all processor time in /proc/stat, jiffies; ValueError when it is not of that form."""
    line = stat.partition("\n")[0].split()
    if len(line) <= _TIME_FIELDS or line[0] != "cpu" or not all(word.isdecimal() for word in line[1:]):
        raise ValueError("does not begin with the times of all processors")
    times = [int(word) for word in line[1 : _TIME_FIELDS + 1]]
    return times[_STEAL_FIELD], sum(times)


def throttled(cpu_stat: str) -> int | None:
    """Time held back in a cpu.stat of either version, ns; None when the group cannot be held back.

    Raises ValueError when a line is not a name and a number.
    """
    for line in cpu_stat.splitlines():
        name, _, value = line.partition(" ")
        if name in ("throttled_usec", "throttled_time"):
            if not value.strip().isdecimal():
                raise ValueError(f"{name} is no number")
            return int(value) * (1_000 if name == "throttled_usec" else 1)
    return None


def cpu_stat_paths(membership: str, mounts: str) -> list[str]:
    """Files cpu.stat of the process's control group and of those around it, from its own up.

    membership: /proc/self/cgroup; mounts: /proc/self/mounts. Version 1 goes first where its processor
    controller is in use. Empty when the process is in no such group.
    """
    for controllers, path in _groups(membership):
        for line in mounts.splitlines():
            kind, at, options = _mount(line)
            fits = kind == "cgroup2" if not controllers else kind == "cgroup" and "cpu" in options
            if fits:
                parts = [part for part in path.split("/") if part]
                levels = [parts[:depth] for depth in range(len(parts), -1, -1)]
                return ["/".join([at, *level, "cpu.stat"]) for level in levels]
    return []


def _groups(membership: str) -> list[tuple[str, str]]:
    """(controllers, path) of the version 1 processor controller first, then of version 2."""
    found = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and (not controllers or "cpu" in controllers.split(",")):
            found.append((controllers, path))
    return sorted(found, reverse=True)


def _mount(line: str) -> tuple[str, str, list[str]]:
    """Kind, place and options of one mount; empty where the line is not of that form."""
    words = line.split()
    return (words[2], words[1], words[3].split(",")) if len(words) >= 4 else ("", "", [])
