"""One drill in the lab, from building it to the end of the last alert: real agents, collector, receiver."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from collector.sinks.archive_reader import ArchiveReader
from console.demo.chain import Chain, Setting
from console.demo.view import page_line
from console.drill.score import Score, score
from lab.faults.fault import Fault, Truth
from linkgauge.clock import NS_PER_S
from linkgauge.errors import LinkgaugeError

WARM_WINDOWS, DETECT_WINDOWS, SETTLE_WINDOWS, RESOLVE_WINDOWS = 4, 20, 4, 16
DETECT_LEAST_S = 150.0
"""Throughput is tested once a minute, whatever the windows, and two tests say that it is low."""
CALM_WINDOWS = 10
"""After a fault of many links: what was held back because of it is told, or not, before the next comes."""
_START_WITHIN_S = 90.0
_LOOK_S = 0.25


class Rehearsal:
    """A context manager around the chain; `play` may be called for several faults, one after the other."""

    def __init__(self, folder: Path, setting: Setting, window_s: int, console: Console) -> None:
        self._chain = Chain(folder, loopback=False, setting=setting)
        self._window_s, self._console = window_s, console
        self._shown, self._calm_windows = 0, 0

    def __enter__(self) -> Rehearsal:
        self._chain.__enter__()
        try:
            self._chain.start(self._console)
            self._warm_up()
        except BaseException:
            self._chain.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._chain.__exit__(None, None, None)

    @property
    def archive(self) -> Path:
        """Where what was measured is kept."""
        return self._chain.archive

    def play(self, fault: Fault) -> Score:
        """Inject, wait until it is told, mend, wait until that is told."""
        chain, pager = self._chain, self._chain.pager
        self._wait(self._calm_windows, lambda: False)
        before = len(pager.pages)
        truth = chain.world.truth_of(fault)
        self._calm_windows = CALM_WINDOWS if len(truth.links) > 1 else 0
        on = fault.of.on if fault.place else ""
        link = f"{'>'.join(fault.link[:2])}@{fault.link[2]}"
        self._say(f"fault: {fault.kind} on " + (f"{on} {fault.place}, as {link} sees it" if on else link))
        chain.world.inject(fault)
        injected_ns = time.time_ns()

        def told() -> bool:
            return any(page.body["rule"] in truth.must for page in pager.pages[before:])

        if truth.must:
            self._wait(max(DETECT_WINDOWS, round(DETECT_LEAST_S / self._window_s)), told)
        self._wait(SETTLE_WINDOWS, lambda: False)
        chain.world.clear_faults()
        cleared_ns = time.time_ns()
        self._say("mended")
        self._wait(RESOLVE_WINDOWS, lambda: not self._open(before))
        window_ns = self._window_s * NS_PER_S
        measured = self._measured(truth, injected_ns, cleared_ns)
        return score(fault.kind, truth, pager.pages[before:], injected_ns, cleared_ns, window_ns, measured)

    def _warm_up(self) -> None:
        """Wait until all links are measured, and then for windows to compare with."""
        links = len(self._chain.links)
        deadline_s = time.monotonic() + _START_WITHIN_S
        fresh_s = 3 * self._window_s + 5
        while sum(_fresh(link, fresh_s) for link in self._chain.live_links()) < links:
            self._chain.check()
            if time.monotonic() > deadline_s:
                raise LinkgaugeError(
                    f"not all links are measured after {_START_WITHIN_S:.0f} s; see {self._chain.run_folder}"
                )
            time.sleep(_LOOK_S)
        self._say(f"{links} links are measured; {WARM_WINDOWS} windows to compare with")
        self._wait(WARM_WINDOWS, lambda: False)

    def _wait(self, windows: int, ready: Callable[[], bool]) -> None:
        """Until ready, or so many windows (and the time that their verdict takes)."""
        deadline_s = time.monotonic() + windows * self._window_s + 4
        while not ready() and time.monotonic() < deadline_s:
            self._chain.check()
            self._show()
            time.sleep(_LOOK_S)
        self._show()

    def _show(self) -> None:
        """Say what the pager was told since the last time."""
        for page in self._chain.pager.pages[self._shown :]:
            self._say(page_line(page))
            self._shown += 1

    def _open(self, before: int) -> set[str]:
        """Alerts of this drill that have not ended."""
        there: set[str] = set()
        for page in self._chain.pager.pages[before:]:
            (there.add if page.body["status"] == "firing" else there.discard)(page.body["id"])
        return there

    def _measured(self, truth: Truth, injected_ns: int, cleared_ns: int) -> list[str]:
        """Which of the columns that show the fault do so in the archive, on its links."""
        if not truth.seen_in:
            return []
        reader = ArchiveReader(self._chain.archive)
        try:
            rows = reader.windows(None, injected_ns - self._window_s * NS_PER_S, cleared_ns)
        finally:
            reader.close()
        names = ["{}>{}@{}".format(*link) for link in truth.links]
        ours = rows.take(np.isin(rows.text("link"), names) & (rows.text("probe") == "stamp"))
        return [name for name in truth.seen_in if ours.rows and int(ours.count(name).sum()) > 0]

    def _say(self, words: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')}  {words}")


def _fresh(link: dict[str, object], within_s: float) -> bool:
    age_s = link["age_s"]
    return isinstance(age_s, int | float) and age_s < within_s
