"""How slow this machine was, seen from outside of what is tested: a small program started again and again."""

from __future__ import annotations

import subprocess
import threading
import time
from types import TracebackType
from typing import Self

EVERY_S = 0.25
SLOW_S = 0.1
"""A program that does nothing has ended after some ms: after so long others wait for the processor too."""
_NS_PER_S = 1_000_000_000


class Witness:
    """Use as a context manager, beside what is tested."""

    def __init__(self) -> None:
        self.slow: list[tuple[int, int]] = []
        """When starting and ending the program took too long: from, until, Unix ns."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def slow_s(self, since_ns: int, until_ns: int) -> float:
        """For how long the machine was slow in spans that touch the time between the two, Unix ns."""
        touched = [span for span in self.slow if span[0] < until_ns and span[1] > since_ns]
        return sum(ended_ns - began_ns for began_ns, ended_ns in touched) / _NS_PER_S

    def _watch(self) -> None:
        while not self._over.is_set():
            began_s, began_ns = time.monotonic(), time.time_ns()
            self._over.wait(EVERY_S)
            subprocess.run(["true"], check=True)
            late_s = time.monotonic() - began_s - EVERY_S
            if late_s > SLOW_S and not self._over.is_set():
                self.slow.append((began_ns, began_ns + int((EVERY_S + late_s) * _NS_PER_S)))
