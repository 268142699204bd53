"""The collector's judge: quality's ledger, told what does not count; its error budgets outlive a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from collector.event_line import event_line
from collector.live.excuses import Answer, Excuses
from collector.live.judged import Judged
from collector.live.kept_budget import KeptBudget
from collector.live.recent import Past
from linkgauge.clock import Clock
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.model import LinkSpec
from quality.ledger import Ledger

log = logging.getLogger(__name__)


class LedgerJudge:
    """Called by the judging thread alone, and before it runs. budget: the file of the error budgets."""

    def __init__(
        self,
        ledger: Ledger,
        inventory: Callable[[], Inventory],
        excuses: Excuses,
        budget: Path,
        clock: Clock,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """failed: called when the budgets cannot be written."""
        self._ledger, self._inventory, self._excuses = ledger, inventory, excuses
        self._excused: dict[int, Answer] = {}
        self.budget = KeptBudget(budget, ledger.snapshot, clock, failed)

    def restore(self, specs: Sequence[LinkSpec]) -> None:
        """Take up the kept budgets; before `remember` and `judge`."""
        self.budget.restore(lambda body: self._ledger.restore(body, specs, self._inventory().judged_class))

    def remember(self, past: Past, specs: Sequence[LinkSpec]) -> None:
        """Rows to be judged by later."""
        inventory, unreadable = self._inventory(), self._ledger.unreadable_events
        self._ledger.absorb(
            past.windows, past.flows, specs, inventory.judged_class, past.events, past.certificates,
            past.states, len(inventory.probing.stamp.classes),
        )  # fmt: skip
        if (more := self._ledger.unreadable_events - unreadable) > 0:
            log.warning(event_line("events_unreadable", rows=more, so="left out; update the agents"))

    def judge(self, past: Past, specs: Sequence[LinkSpec], start_ns: int) -> Frame:
        """STATE rows of the window from start_ns, marked where they do not count."""
        if past.anew:
            self._ledger.begin_anew()
            self._excused.clear()
            self._excuses.begin_anew()
        self.remember(past, specs)
        self._excuses.judged(start_ns)
        self._excuse_former(specs, start_ns)
        excused = self._excuses.links(specs, start_ns)
        self._ledger.excuse(start_ns, excused.any)
        tests = self._excuses.counting(past.throughput, specs)
        return excused.marked(self._ledger.judge(tests, start_ns))

    def _excuse_former(self, specs: Sequence[LinkSpec], before_ns: int) -> None:
        """Windows that the ledger remembers: those not judged in this life are excused too, and those of
        which it became known since."""
        answers = {at: self._excuses.answer(at) for at in self._ledger.starts if at < before_ns}
        for start_ns, answer in answers.items():
            if self._excused.get(start_ns) != answer:
                self._ledger.excuse(start_ns, self._excuses.links(specs, start_ns).any)
        later = {at: answer for at, answer in self._excused.items() if at > before_ns}
        self._excused = {**answers, before_ns: self._excuses.answer(before_ns), **later}

    def keep(self, _judged: Judged) -> None:
        """A stage of the telling: writes the budgets when it is time."""
        self.budget.step()
