"""The thread that puts small files together and removes what is older than is kept.

What fails is told once, in a line of the log and in `trouble`, and tried again at the next round; deliveries
go on meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import duckdb
import pyarrow as pa

from collector.archive import compaction, retention
from collector.archive.holdings import Holdings
from collector.archive.rules import Rules
from collector.event_line import event_line
from linkgauge.clock import Clock

log = logging.getLogger(__name__)
ROUND_S, PATIENCE_S = 60.0, 5.0


class Upkeep:
    """`start` as often as one likes; `stop` waits a little for the step that is under way."""

    def __init__(self, holdings: Holdings, rules: Rules, clock: Clock) -> None:
        self._holdings, self._rules, self._clock = holdings, rules, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive-upkeep", daemon=True)
        self.trouble: str | None = None
        """Why files could not be put together or removed; None when they could."""

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> bool:
        """True: nothing is done any more; False: a step goes on, and may be killed at any instant."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    def round(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Do all that is due now."""
        try:
            retention.expire(self._holdings, self._rules, self._clock)
            while not stopping() and compaction.step(self._holdings, self._rules, self._clock):
                pass
        except (OSError, duckdb.Error, pa.ArrowException) as err:
            if self.trouble is None:
                log.error(event_line("archive_upkeep_failed", error=err, effect="small files stay"))
            self.trouble = str(err)
        else:
            self.trouble = None

    def _run(self) -> None:
        compaction.be_nice()
        while not self._stopping.wait(ROUND_S):
            self.round(self._stopping.is_set)
