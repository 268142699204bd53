"""The judging loop: each window, once its reports had time to come, is judged and the verdicts published."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.live.judged import Judged, Stage
from collector.live.recent import Past
from collector.live.told import Told
from linkgauge.clock import NS_PER_S, Clock, window_start
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec

log = logging.getLogger(__name__)
Judge = Callable[[Past, Sequence[LinkSpec], int], Frame]
"""(new rows to be judged by, expected links, start_ns) -> STATE rows; it remembers what it was given."""
LONGEST_WAIT_S = 1.0
SILENT_WINDOWS, LEAST_SILENT_S = 3, 30.0
"""Who has told no verdict for so many windows, and so long, does not judge: a standby should."""
MOST_AGAIN = 16
"""Windows judged again in one step; the others wait for the next."""


class Live(Protocol):
    """The present, as far as a judge needs it."""

    def period(self, start_ns: int) -> Past: ...

    def last_judged_ns(self) -> int | None: ...

    def late(self) -> list[int]: ...

    def set_back(self, start_ns: int, now_ns: int) -> None: ...


class JudgingLoop:
    """Judges every window `delay_ns` after its end. Nothing is skipped in silence.

    Windows that passed while nobody judged (the process was away, the machine slept) are judged up to
    `back_ns` back; older ones are counted as missed. A judge or publisher that fails is logged and counted,
    and the next window is judged all the same. `step` may be called without the thread.

    A window whose rows came after its verdict (agents and collector were apart, and the agents had them
    still; or late replies corrected it), or that `changed` names, is judged again, up to `back_ns` back and
    at most once in a step, and the rows that differ are given to `publish_again`, alone. InfluxDB overwrites
    the former verdict; in the archive there are then two rows of the same key, of which the one written later
    counts. Alerts are told of the first verdict only: they look at windows in order.
    """

    def __init__(
        self,
        clock: Clock,
        live: Live,
        judge: Judge,
        publish: Sequence[Stage],
        publish_again: Sequence[Stage],
        specs: Callable[[], Sequence[LinkSpec]],
        metrics: Metrics,
        window_ns: int,
        delay_ns: int,
        back_ns: int,
        changed: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        self._clock, self._live, self._judge, self._specs = clock, live, judge, specs
        self._publish, self._publish_again, self._metrics = tuple(publish), tuple(publish_again), metrics
        self._window_ns, self._delay_ns, self._back_ns = window_ns, delay_ns, back_ns
        self._told, self._changed = Told(back_ns // window_ns + 1), changed
        self._next_ns: int | None = None
        self._well_ns, self._failing = clock.now().mono_ns, False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="judging", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def fault(self) -> str | None:
        """Why no verdicts come; None while they do, or may still. A judge that fails at every window counts,
        and one that does not return."""
        silent_s = (self._clock.now().mono_ns - self._well_ns) / NS_PER_S
        if silent_s <= max(SILENT_WINDOWS * self._window_ns / NS_PER_S, LEAST_SILENT_S):
            return None
        return (
            f"no verdicts were told for {silent_s:.0f} s; look for judging_failed in the log, and restart it"
        )

    def start(self) -> None:
        self._well_ns = self._clock.now().mono_ns
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def step(self) -> float:
        """Judge every window that is due, then those with late rows; returns the seconds until the next."""
        now_ns = self._clock.now().wall_ns
        due_ns = window_start(now_ns - self._delay_ns, self._window_ns) - self._window_ns
        next_ns = self._begin(due_ns)
        if next_ns > due_ns + 2 * self._window_ns:
            log.warning(event_line("clock_set_back", by_s=(next_ns - due_ns) / NS_PER_S, now="judging anew"))
            next_ns = due_ns
            self._live.set_back(due_ns, now_ns)
            self._told = Told(self._back_ns // self._window_ns + 1)
        oldest_ns = due_ns - self._back_ns + self._window_ns
        if next_ns < oldest_ns:
            missed = -(-(oldest_ns - next_ns) // self._window_ns)
            self._metrics.windows("missed", missed)
            log.warning(event_line("windows_missed", count=missed, why="older than one period"))
            next_ns += missed * self._window_ns
        while next_ns <= due_ns and not self._stopping.is_set():
            state = self._judge_window(next_ns, "judged")
            if state is not None:
                self._told.changed(state)
            self._note(state is not None and self._tell(next_ns, state, self._publish))
            next_ns += self._window_ns
        self._next_ns = next_ns
        self._note(not self._failing)  # nothing was due, and the last window was told
        self._judge_late(oldest_ns)
        return max(0.0, (next_ns + self._window_ns + self._delay_ns - now_ns) / NS_PER_S)

    def _begin(self, due_ns: int) -> int:
        """First window to judge: the one after the last judged in an earlier life, or the newest due."""
        if self._next_ns is not None:
            return self._next_ns
        last_ns = self._live.last_judged_ns()
        return due_ns if last_ns is None else window_start(last_ns, self._window_ns) + self._window_ns

    def _judge_late(self, oldest_ns: int) -> None:
        late = sorted({*self._live.late(), *self._changed()})
        late = [at for at in late if oldest_ns <= at < (self._next_ns or 0)]
        for start_ns in late[:MOST_AGAIN]:
            if self._stopping.is_set():
                return
            state = self._judge_window(start_ns, "again")
            if state is not None and (changed := self._told.changed(state)).rows:
                self._tell(start_ns, changed, self._publish_again)

    def _judge_window(self, start_ns: int, outcome: str) -> Frame | None:
        """STATE rows of all links; None, logged and counted, when the judge failed."""
        try:
            state = self._judge(self._live.period(start_ns), self._specs(), start_ns)
        except Exception:
            self._metrics.windows("failed")
            log.exception(event_line("judging_failed", start_ns=start_ns))
            return None
        self._metrics.windows(outcome)
        return state

    def _tell(self, start_ns: int, state: Frame, publish: Sequence[Stage]) -> bool:
        """Whether all publishers took it; a fault of one keeps what was there before it from no other."""
        well = True
        judged: Judged = {state.table.name: state}
        for publisher in publish:
            try:
                judged = {**judged, **(publisher(judged) or {})}
            except Exception:
                well = False
                self._metrics.fault("publisher")
                log.exception(event_line("publishing_failed", start_ns=start_ns))
        return well

    def _note(self, well: bool) -> None:
        self._failing = not well
        if well:
            self._well_ns = self._clock.now().mono_ns

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(min(self.step(), LONGEST_WAIT_S))
