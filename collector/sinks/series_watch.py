"""Watches how many series the inventory leads to, and says so before the server refuses points."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from collector.event_line import event_line
from collector.sinks.cardinality import DATABASES, series, warnings
from linkgauge.inventory import Inventory

log = logging.getLogger(__name__)


class SeriesWatch:
    """names: of the raw, the 5-minute and the 1-hour database, fewer where there are fewer, none without
    InfluxDB. Counts once for each edition of the inventory; a warning is logged once for each.
    """

    def __init__(self, inventory: Callable[[], Inventory], names: Sequence[str], most: int) -> None:
        self._inventory, self._names, self._most = inventory, tuple(names), most
        self._seen: Inventory | None = None
        self._found: Mapping[str, int] = {}

    def raw(self) -> int:
        """Series of the raw database, 0 without InfluxDB."""
        return next(iter(self._counted().values()), 0)

    def warnings(self) -> list[str]:
        """A sentence for each database that is near its bound."""
        return list(warnings(self._counted(), self._most))

    def _counted(self) -> Mapping[str, int]:
        """Series of each database by its name."""
        inventory = self._inventory()
        if self._names and inventory is not self._seen:
            counts = series(inventory)
            self._found = {name: counts[ending] for ending, name in zip(DATABASES, self._names, strict=False)}
            self._seen = inventory
            for sentence in warnings(self._found, self._most):
                log.warning(event_line("many_series", warning=sentence))
        return self._found
