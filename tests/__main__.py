"""All tests, in three pytest processes at once, then those that need the processor: `python -m tests`.

What most tests do is wait, so three processes share the processor well. Programs of ours that listen on
fixed ports (the lab on loopback) are in the first. Lines of the second begin with `|`, those of the third,
with labs in namespaces, with `:`. Tests that say how well packets are timed come last, with nothing beside
them. The exit code is 1 when a test failed, could not be collected, or a group ran none.

Programs, servers and labs share the processor with each other here, and a host may stand still. So where no
more than MOST_AGAIN tests failed, these are run once more when all is over, alone, and named; one that fails
again fails the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TOGETHER = ("console", "faults", "real")
"""Folders of the first group; all others are in the second."""
APART = ("real/test_causes.py",)
"""Files of the first group's folders that are the third."""
LAST = (
    "lab",
    "probes/engine",
    "probes/network",
    "probes/test_engine_follow.py",
    "probes/test_engine_life.py",
)
"""Folders and files that are run when the others are over: a late tick fails them."""
MOST_AGAIN = 3
_SOME_FAILED = 1
"""pytest's exit code when all tests were collected and run, and some failed."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tests of one pytest process. words: what it is given; mark: how its lines begin."""

    mark: str
    words: Sequence[str]
    cache: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def start(self, *more: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "pytest", "-o", f"cache_dir={self.cache.name}", *self.words, *more]
        return subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=HERE.parent,
            text=True,
            errors="replace",
        )

    def failed(self) -> list[str]:
        """Names of the tests that failed."""
        noted = Path(self.cache.name, "v", "cache", "lastfailed")
        return sorted(json.loads(noted.read_text())) if noted.exists() else []


def main() -> int:
    """Run all; 0 when all went well."""
    began_s = time.monotonic()
    together, third, last = ([str(HERE / name) for name in names] for names in (TOGETHER, APART, LAST))
    first = Group("", [*together, *_without(third)])
    second = Group("| ", [str(HERE), *_without([*together, *last])])
    beside = [first, second, Group(": ", third)]
    alone = [Group("", last)]
    groups, codes = [*beside, *alone], [*_run(beside), *_run(alone)]
    failed = [name for group in groups for name in group.failed()]
    well = _well_at_last(groups, codes, len(failed))
    took = f"in {time.monotonic() - began_s:.0f} s"
    print(
        f"{'passed' if well else 'failed'} {took}",
        *(f"  failed at first: {name}" for name in failed),
        sep="\n",
    )
    return int(not well)


def _without(paths: list[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def _run(groups: Sequence[Group], *more: str) -> list[int]:
    """Run these at once; their exit codes."""
    processes = [group.start(*more) for group in groups]
    readers = [
        threading.Thread(target=_pass_on, args=(process, group.mark))
        for process, group in zip(processes, groups, strict=True)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return [process.wait() for process in processes]


def _well_at_last(groups: Sequence[Group], codes: Sequence[int], failed: int) -> bool:
    """Whether all passed, a few of them the second time, alone. failed: how many tests did not the first."""
    unwell = [(group, code) for group, code in zip(groups, codes, strict=True) if code]
    if any(code != _SOME_FAILED for _, code in unwell) or failed > MOST_AGAIN:
        return False
    again = [_run([group], "--last-failed", "--last-failed-no-failures=none") for group, _ in unwell]
    return not any(code for codes in again for code in codes)


def _pass_on(process: subprocess.Popen[str], mark: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{mark}{line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
