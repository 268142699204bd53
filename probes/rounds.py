"""The probers that ask in rounds, each on a thread of the schedule, until it is ended.

What they are to ask is looked up at each round, so a new plan's links are theirs from the next round on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.model import Probe
from linkgauge.plan import Plan, PlanLink
from probes.discards import Count
from probes.echo import EchoRound
from probes.engine.flight import Caught
from probes.path.probe import Counts
from probes.reporter import Reporter
from probes.schedule import Schedule

_JITTER = 0.2
"""A round comes earlier or later by up to this share of its interval, so that nodes do not march in step."""
_OBSERVE = "observe"
Targets = Callable[[], Plan]


class EchoProber(Protocol):
    """A probe that asks each target once a round."""

    @property
    def discarded(self) -> int:
        """What came and could not be used, since the start. Asked from other threads, and after `close`."""

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound: ...
    def close(self) -> None: ...


class TlsProber(EchoProber, Protocol):
    """An echo prober that also saw certificates."""

    def certificates(self) -> Frame:
        """CERTIFICATE rows of the last round."""


class Counting(Protocol):
    def counts(self) -> Counts:
        """What was discarded and what was put off, since the start."""


class PathProber(Counting, Protocol):
    """Finds the ways that the flows of the links take. All but `round` come from other threads."""

    def caught(self, caught: Caught) -> None:
        """What came of packets of sweeps; never blocks."""

    def follow(self, plan: Plan) -> None:
        """Sweep the links of this plan from the next round on."""

    def observe(self, window: Frame) -> Frame:
        """Take WINDOW rows; returns the EVENT rows that are clear by now."""

    def round(self) -> Frame:
        """Sweep the flows whose turn it is; returns PATH rows."""

    def stop(self) -> None:
        """End a running round soon."""


class Rounds:
    """Of one execution, by probe."""

    def __init__(self, schedule: Schedule, reporter: Reporter) -> None:
        self._schedule, self._reporter = schedule, reporter
        self._jobs: dict[str, list[str]] = {}
        self._closing: dict[str, list[Callable[[], None]]] = {}

    def echo(self, probe: str, prober: EchoProber, interval_ns: int, targets: Targets) -> None:
        """Ask all links of `targets()` each interval, with the timeout of the probe."""

        def one_round() -> None:
            plan = targets()
            timeout_ns = plan.icmp_timeout_ns if probe == Probe.ICMP.value else plan.tcp_timeout_ns
            self._reporter.echo(probe, lambda: prober.round(plan.links, timeout_ns))

        self._begin(probe, prober.close, lambda: {"echo_discarded": prober.discarded})
        self._every(probe, probe, one_round, interval_ns)

    def tls(self, prober: TlsProber, interval_ns: int, targets: Targets) -> None:
        """The same with handshakes, and report the certificates."""

        def one_round() -> None:
            plan = targets()
            self._reporter.echo(Probe.TLS.value, lambda: prober.round(plan.links, plan.tls_timeout_ns))
            self._reporter.add(prober.certificates())

        self._begin(Probe.TLS.value, prober.close, lambda: {"echo_discarded": prober.discarded})
        self._every(Probe.TLS.value, Probe.TLS.value, one_round, interval_ns)

    def path(self, path: PathProber, interval_ns: int, observe: Callable[[], None], window_ns: int) -> None:
        """Sweep, and look at each window that was told."""
        self._begin(Probe.PATH.value, path.stop, lambda: _of_paths(path.counts()))
        self._every(Probe.PATH.value, Probe.PATH.value, lambda: self._reporter.add(path.round()), interval_ns)
        self._jobs[Probe.PATH.value].append(_OBSERVE)
        self._schedule.every(_OBSERVE, observe, window_ns / NS_PER_S)

    def end(self, probe: str) -> None:
        """Start no more rounds of a probe; its prober is closed when the one that runs is over. Nothing
        happens when there is none."""
        for job in self._jobs.pop(probe, []):
            self._schedule.cancel(job)
        closing = self._closing.pop(probe, [])
        if probe == Probe.PATH.value:
            _close(closing)  # which ends a long round
        elif closing:
            self._schedule.once(f"{probe} ends", lambda: _close(closing), 0, probe)

    def stop(self) -> None:
        """End all, at once."""
        for jobs in self._jobs.values():
            for job in jobs:
                self._schedule.cancel(job)
        for closing in self._closing.values():
            _close(closing)
        self._jobs, self._closing = {}, {}

    def _begin(self, probe: str, close: Callable[[], None], count: Count) -> None:
        """What is discarded is looked at until all is closed."""
        self._reporter.discards.watch(count)
        self._closing[probe] = [lambda: self._reporter.discards.forget(count), close]
        self._jobs[probe] = []

    def _every(self, probe: str, name: str, job: Callable[[], None], interval_ns: int) -> None:
        self._jobs[probe].append(name)
        interval_s = interval_ns / NS_PER_S
        self._schedule.every(name, job, interval_s, probe, interval_s * _JITTER)


def _close(closing: Sequence[Callable[[], None]]) -> None:
    for close in reversed(closing):
        close()


def _of_paths(counts: Counts) -> Mapping[str, int]:
    """By columns of the table health."""
    return {
        "path_discarded": counts.malformed + counts.foreign,
        "path_postponed": counts.postponed + counts.unconfirmed + counts.mtu_untold + counts.shifts_untold,
    }
