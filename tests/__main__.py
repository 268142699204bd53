"""All tests, in three pytest processes at once, then those that need the processor: `python -m tests`.

What most tests do is wait, so three processes share the processor well. Programs of ours that listen on
fixed ports (the lab on loopback) are in the first. Lines of the second begin with `|`, those of the third,
with labs in namespaces, with `:`. Tests that say how well packets are timed come last, with nothing beside
them. The exit code is 1 when a test failed, could not be collected, or a group ran none.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
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


def main() -> int:
    """Run all; 0 when all went well."""
    began_s = time.monotonic()
    together, third, last = ([str(HERE / name) for name in names] for names in (TOGETHER, APART, LAST))
    first = [*together, *_without(third)]
    second = [str(HERE), *_without([*together, *last])]
    well = _all_well({"": first, "| ": second, ": ": third})
    well = _all_well({"": last}) and well
    print(f"{'passed' if well else 'failed'} in {time.monotonic() - began_s:.0f} s")
    return int(not well)


def _without(paths: list[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def _all_well(groups: dict[str, list[str]]) -> bool:
    """Run these at once, by the mark of their lines; whether each had tests and none failed."""
    processes = [(_start(words), mark) for mark, words in groups.items()]
    readers = [threading.Thread(target=_pass_on, args=group) for group in processes]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return not [process for process, _ in processes if process.wait()]


def _start(words: list[str]) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "pytest", *words]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=HERE.parent, text=True, errors="replace"
    )


def _pass_on(process: subprocess.Popen[str], mark: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{mark}{line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
