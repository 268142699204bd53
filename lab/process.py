"""A process known by its pid and its start time, so that a recycled pid is never taken for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_GONE_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A pid and the start time that /proc/PID/stat gives for it, in clock ticks since boot (proc(5))."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The mark of a running process; None when there is none of that pid, or only a zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()  # the name before may hold blanks and brackets
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return ProcessMark.of(self.pid) == self

    def kill(self) -> None:
        """End exactly this process at once and wait until it is gone; nothing happens when it is already."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.alive():  # the handle holds on to the process we looked at, so this cannot become stale
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], _GONE_WITHIN_S)
        finally:
            os.close(handle)
