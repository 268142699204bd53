"""What was used of the links' error budgets, kept on disk: three days of it are more than is replayed.

One file in data_dir, written anew every EVERY_NS and at the end, so that a crash loses no more than windows
that the archive still tells. Error budgets are a luxury: a file that cannot be read is moved aside, one that
cannot be written is told once, and judging goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from collector.event_line import event_line
from linkgauge.aside import move_aside
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError

log = logging.getLogger(__name__)
FILE_NAME = "budget.msgpack"
"""In data_dir."""
EVERY_NS = 300 * NS_PER_S


class KeptBudget:
    """See above; used by one thread at a time. snapshot: what is to be kept. failed: called when it cannot be
    written."""

    def __init__(
        self,
        path: Path,
        snapshot: Callable[[], bytes],
        clock: Clock,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._path, self._snapshot, self._clock, self._failed = path, snapshot, clock, failed
        self._next_ns = clock.now().mono_ns + EVERY_NS
        self._troubled = False

    def restore(self, take: Callable[[bytes], None]) -> None:
        """Hand over what was kept, if anything. take: raises StoreError for what is damaged."""
        try:
            body = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as err:
            log.error(event_line("budget_unreadable", file=self._path, error=err.strerror))
            return
        try:
            take(body)
        except StoreError as err:
            moved = self._aside()
            log.error(event_line("budget_damaged", file=self._path, error=err, moved_to=moved))

    def step(self) -> None:
        """Write when it is time."""
        if self._clock.now().mono_ns >= self._next_ns:
            self.write()

    def write(self) -> None:
        """Write now; a failure is told and judging goes on."""
        self._next_ns = self._clock.now().mono_ns + EVERY_NS
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            with temporary.open("wb") as file:
                file.write(self._snapshot())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as err:
            self._failed()
            if not self._troubled:
                log.error(event_line("budget_not_kept", file=self._path, error=err.strerror))
            self._troubled = True
        else:
            self._troubled = False

    def _aside(self) -> str:
        try:
            return str(move_aside(self._path, self._clock.now().wall_ns))
        except OSError as err:
            return f"nowhere ({err.strerror})"
