"""The inventory in force and the plans made of it; a changed file is taken up without a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.plan import Timetable, etag, plan_for, timetable
from collector.watched_file import WatchedFile
from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory, load
from linkgauge.model import LinkSpec
from linkgauge.plan import encode_plan


@dataclass(frozen=True, slots=True)
class _Edition:
    inventory: Inventory
    times: Timetable
    specs: Sequence[LinkSpec]
    links: frozenset[str]
    plans: dict[str, tuple[bytes, str]] = field(default_factory=dict)


class PlanBook:
    """Reads the inventory again when its file changes; a faulty new file keeps the old one in force.

    So does one with another window_s, period_s or probing.stamp.timeout_s than at the start: the parts that
    judge were built for those.

    Raises ConfigError when the first reading fails. `failures` and `fault` tell of later ones. Thread safe.
    """

    def __init__(self, path: Path) -> None:
        self._began: Inventory | None = None
        self._file = WatchedFile(path, self._edition)

    def inventory(self) -> Inventory:
        return self._file.value().inventory

    def specs(self) -> Sequence[LinkSpec]:
        """Every link that is expected to be measured."""
        return self._file.value().specs

    def links(self) -> frozenset[str]:
        """Text forms of the expected links."""
        return self._file.value().links

    def cycle_ns(self) -> int:
        """From a link's throughput test to its next, ns; 0 when there are none."""
        return self._file.value().times.cycle_ns

    def plan(self, node: str) -> tuple[bytes, str]:
        """Encoded plan of a node and its entity tag; raises ConfigError for a node that is not there."""
        edition = self._file.value()
        if node not in edition.plans:
            plan = plan_for(edition.inventory, node, edition.times)
            edition.plans[node] = encode_plan(plan), etag(plan)
        return edition.plans[node]

    @property
    def failures(self) -> int:
        """Versions of the file that could not be taken."""
        return self._file.failures

    @property
    def fault(self) -> str | None:
        """Why the newest version of the file was not taken, None when it was."""
        return self._file.fault

    def _edition(self, path: Path) -> _Edition:
        edition = _edition(path)
        if self._began is None:
            self._began = edition.inventory
        _check_lengths(path, _lengths_s(self._began), _lengths_s(edition.inventory))
        return edition


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


def _edition(path: Path) -> _Edition:
    inventory = load(path)
    specs = tuple(inventory.links.values())
    return _Edition(inventory, timetable(inventory), specs, frozenset(str(spec.link) for spec in specs))
