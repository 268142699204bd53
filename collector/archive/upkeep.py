"""The thread that puts small files together and removes what is older than is kept.

What fails is told once, in a line of the log and in `trouble`, and tried again at the next round; a folder of
which a file cannot be read is left alone for a day, others are not. Deliveries go on meanwhile. Once a day
what is old goes of writers of former times too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from collector.archive import compaction, retention
from collector.archive.holdings import Holdings
from collector.archive.rules import Rules
from collector.event_line import event_line
from linkgauge.clock import NS_PER_S, Clock

log = logging.getLogger(__name__)
ROUND_S, PATIENCE_S = 60.0, 5.0
ANEW_NS = 86_400 * NS_PER_S
"""How often folders that failed are tried again, and files of other writers are looked at."""


class Upkeep:
    """`start` as often as one likes; `stop` waits a little for the step that is under way."""

    def __init__(self, holdings: Holdings, rules: Rules, clock: Clock) -> None:
        self._holdings, self._rules, self._clock = holdings, rules, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive-upkeep", daemon=True)
        self._aside: dict[str, str] = {}  # folders that failed, and why
        self._anew_ns = -1
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
        now_ns = self._clock.now().mono_ns
        daily = now_ns >= self._anew_ns
        if daily:
            self._anew_ns, self._aside = now_ns + ANEW_NS, {}
        faults = [self._guarded(partial(self._tend, stopping))]
        if daily:
            others = partial(retention.expire_others, self._holdings, self._rules, self._clock)
            faults.append(self._guarded(others))
        self.trouble = next(filter(None, (*faults, *self._aside.values())), None)

    def _tend(self, stopping: Callable[[], bool]) -> None:
        self._holdings.sweep()
        retention.expire(self._holdings, self._rules, self._clock)
        more = True
        while more and not stopping():
            try:
                more = compaction.step(self._holdings, self._rules, self._clock, self._aside)
            except compaction.FolderFault as err:
                self._aside[err.folder] = str(err)
                log.error(event_line("archive_folder_failed", error=err, effect="its small files stay"))

    def _guarded(self, work: Callable[[], None]) -> str | None:
        """Do it; returns why it failed. Whatever that is, the next round is tried."""
        try:
            work()
        except Exception as err:
            if self.trouble is None:
                log.exception(event_line("archive_upkeep_failed", error=err, effect="small files stay"))
            return str(err) or repr(err)
        return None

    def _run(self) -> None:
        compaction.be_nice()
        while not self._stopping.wait(ROUND_S):
            self.round(self._stopping.is_set)
