"""The inventory in force and the plans made of it; a changed file is taken up without a restart.

A plan made of a changed file says when it is to take over: `take_over_s` after the file was read. By then
every agent that asks as often as it should has it, so both ends of a new link begin together, and nobody
counts as lost what the far end did not expect yet. It is told by the wall clock of the moment when it is
asked for, so a clock that is set meanwhile moves it little.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from collector.event_line import event_line
from collector.plans.plan import Planner, etag
from linkgauge.clock import NS_PER_S, Clock, SystemClock, seconds
from linkgauge.errors import ConfigError
from linkgauge.file_mark import file_mark
from linkgauge.inventory import Inventory, load
from linkgauge.model import LinkSpec
from linkgauge.plan import encode_plan

PATIENCE_S = 0.5
"""How long the first who asks after a change waits for the new edition: a small file is read by then."""
log = logging.getLogger(__name__)
_MOST_FORMER = 3
"""Links of former editions are known until there are so many times as many as expected ones."""
_MOVED_NS = NS_PER_S
"""A plan is encoded again when the wall clock was moved by more: clocks that are steered move less."""


@dataclass(frozen=True, slots=True)
class _Edition:
    planner: Planner
    specs: Sequence[LinkSpec]
    links: frozenset[str]
    takes_over_mono_ns: int
    changed: bool
    plans: dict[str, _Encoded] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Encoded:
    body: bytes
    tag: str
    takes_over_ns: int


class PlanBook:
    """Reads the inventory again when its file changes; a faulty new file keeps the old one in force.

    So does one with another window_s, period_s or probing.stamp.timeout_s than at the start: the parts that
    judge were built for those. A large file is read by a thread of its own while the former
    edition is served.

    fresh: nobody has a plan of ours yet, so the first edition is in force at once.

    Raises ConfigError when the first reading fails. `failures` and `fault` tell of later ones. Thread safe.
    """

    def __init__(
        self,
        path: Path,
        take_over_s: float = 0,
        clock: Clock | None = None,
        patience_s: float = PATIENCE_S,
        fresh: bool = False,
    ) -> None:
        self._path, self._patience_s = path, patience_s
        self._take_over_s = 0 if fresh else take_over_s
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._stamp = file_mark(path)
        self._edition = self._read(None)
        self._take_over_s = take_over_s
        self.failures = 0
        """Versions of the file that could not be taken."""
        self.fault: str | None = None
        """Why the newest version of the file was not taken, None when it was."""

    @property
    def stale(self) -> bool:
        """The file is another one than was read: who asks next may wait `patience_s` for the new edition."""
        return file_mark(self._path) != self._stamp

    def refresh(self) -> None:
        """Begin to read it now when it is stale, and wait so long."""
        self._newest()

    def inventory(self) -> Inventory:
        return self._newest().planner.inventory

    def specs(self) -> Sequence[LinkSpec]:
        """Every link that is expected to be measured."""
        return self._newest().specs

    def links(self) -> frozenset[str]:
        """Text forms of the links that windows may come of: those expected, and those of editions before, as
        agents measure by the former plan for a while, and bring what waited in an outage later still."""
        return self._newest().links

    def cycle_ns(self) -> int:
        """From a link's throughput test to its next, ns; 0 when there are none."""
        return self._newest().planner.times.cycle_ns

    def takes_over_in_s(self) -> float | None:
        """Until the plans of a file that has changed take over, s; below 0 since they have; None: none has
        changed since the start."""
        edition = self._newest()
        if not edition.changed:
            return None
        return (edition.takes_over_mono_ns - self._clock.now().mono_ns) / NS_PER_S

    def plan(self, node: str) -> tuple[bytes, str]:
        """Encoded plan of a node and its entity tag; raises ConfigError for a node that is not there."""
        edition = self._newest()
        at_ns = edition.takes_over_mono_ns + self._clock.now().offset_ns
        found = edition.plans.get(node)
        if found is None or abs(found.takes_over_ns - at_ns) > _MOVED_NS:
            plan = edition.planner.plan(node)
            tag = etag(encode_plan(plan))  # of what is to be done, not of when: it outlives a restart
            found = _Encoded(encode_plan(replace(plan, takes_over_ns=at_ns)), tag, at_ns)
            edition.plans[node] = found
        return found.body, found.tag

    def _newest(self) -> _Edition:
        """The newest edition that could be read; begins to read the file when it is another one."""
        if file_mark(self._path) == self._stamp:
            return self._edition
        with self._lock:
            stamp = file_mark(self._path)
            if stamp == self._stamp or (self._reader is not None and self._reader.is_alive()):
                return self._edition
            self._stamp = stamp
            reader = self._reader = threading.Thread(target=self._reread, name="inventory", daemon=True)
            reader.start()
        reader.join(self._patience_s)
        return self._edition

    def _reread(self) -> None:
        try:
            self._edition = self._read(self._edition)
        except ConfigError as err:
            self._refuse(err)
        except Exception as err:  # a bug of ours must not be silent either
            log.exception(event_line("inventory_failed"))
            self._refuse(ConfigError(f"{self._path}: cannot be used ({err!r}); undo the last change of it"))
        else:
            self.fault = None
            log.info(event_line("file_reread", file=self._path))

    def _refuse(self, err: ConfigError) -> None:
        self.failures += 1
        self.fault = str(err)
        log.error(event_line("file_refused", file=self._path, error=err, kept="the former version"))

    def _read(self, former: _Edition | None) -> _Edition:
        inventory = load(self._path)
        specs = tuple(inventory.links.values())
        links = frozenset(map(str, inventory.links))
        if former is not None:
            _check_lengths(self._path, _lengths_s(former.planner.inventory), _lengths_s(inventory))
            if len(former.links) <= _MOST_FORMER * max(len(links), 100):
                links = former.links | links
        planner = Planner(inventory)
        at_ns = self._clock.now().mono_ns + seconds(self._take_over_s)
        return _Edition(planner, specs, links, at_ns, former is not None)


def _lengths_s(inventory: Inventory) -> dict[str, float]:
    """What a running collector cannot change, by the keys of the file."""
    return {
        "window_s": inventory.window_s,
        "period_s": inventory.period_s,
        "probing.stamp.timeout_s": inventory.probing.stamp.timeout_s,
    }


def _check_lengths(path: Path, began: Mapping[str, float], found: Mapping[str, float]) -> None:
    for key, old in began.items():
        if found[key] != old:
            change = f"{key} has changed from {old:g} to {found[key]:g}"
            raise ConfigError(f"{path}: {change}; restart the collector to use it")
