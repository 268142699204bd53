"""The inventory in force and the plans made of it; a changed file is taken up without a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.plan import Timetable, etag, plan_for, timetable
from collector.watched_file import WatchedFile
from linkgauge.inventory import Inventory, load
from linkgauge.model import LinkSpec
from linkgauge.wire import encode_plan


@dataclass(frozen=True, slots=True)
class _Edition:
    inventory: Inventory
    times: Timetable
    specs: Sequence[LinkSpec]
    links: frozenset[str]
    plans: dict[str, tuple[bytes, str]] = field(default_factory=dict)


class PlanBook:
    """Reads the inventory again when its file changes; a faulty new file keeps the old one in force.

    Raises ConfigError when the first reading fails. `failures` and `fault` tell of later ones. Thread safe.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, _edition)

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


def _edition(path: Path) -> _Edition:
    inventory = load(path)
    specs = tuple(inventory.links.values())
    return _Edition(inventory, timetable(inventory), specs, frozenset(str(spec.link) for spec in specs))
