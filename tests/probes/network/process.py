"""A child that runs an engine at one end of a cable, and what it told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import namespace
from linkgauge.plan import Plan, encode_plan
from tests.probes.network.cable import Cable
from tests.probes.network.engines import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]


@dataclass(slots=True)
class Child:
    """told: what it printed, one value a window."""

    process: subprocess.Popen[str]
    told: list[dict[str, Any]] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "ready":
                self.ready.set()
            else:
                self.told.append(json.loads(line))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def wait_for(self, windows: int) -> None:
        self.wait_until(lambda: len(self.told) >= windows, "no window came")

    def wait_until(self, done: Callable[[], bool], what: str) -> None:
        """Look until it is so; fails when the child ends or it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert self.process.poll() is None, "the child ended"
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of windows in their last revision, by start."""
        last: dict[tuple[int, str], dict[str, Any]] = {}
        for told in self.told:
            columns = told["window"]
            for row in range(len(columns["link"])):
                one = {name: column[row] for name, column in columns.items()}
                last[one["start_ns"], one["link"]] = one
        return [last[key] for key in sorted(last)]

    def total(self, name: str, link: str) -> int:
        return sum(row[name] for row in self.rows() if row["link"] == link)


@contextmanager
def child(cable: Cable, end: str, plan: Plan) -> Iterator[Child]:
    """Runs until the end, then is told to stop and to tell the rest."""
    entered = ["nsenter", f"--net={namespace.path(getattr(cable, end))}"]
    argv = [*entered, sys.executable, "-m", "tests.probes.network.child", encode_plan(plan).decode()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        made = Child(process)
        reader = threading.Thread(target=made.read)
        reader.start()
        try:
            assert made.ready.wait(PATIENCE_S), "the child did not begin"
            yield made
        finally:
            for number in (signal.SIGCONT, signal.SIGTERM):
                if process.poll() is None:
                    made.signal(number)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()
