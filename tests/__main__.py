"""All tests, in three pytest processes at once: `python -m tests`. What most tests do is wait.

Programs of ours that listen on fixed ports (the lab on loopback) are all in the first group. Lines of the
second begin with `|`, those of the third, which has labs in namespaces, with `:`. The exit code is 1 when a
test failed, could not be collected, or a group ran none.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
TOGETHER = ("console", "faults", "lab", "real")
"""Folders of the first group; all others are in the second."""
APART = ("real/test_causes.py",)
"""Files of the first group's folders that are the third."""


def main() -> int:
    """Run all; 0 when all went well."""
    began_s = time.monotonic()
    together, third = ([str(HERE / name) for name in names] for names in (TOGETHER, APART))
    first = [*together, *(f"--ignore={path}" for path in third)]
    second = [str(HERE), *(f"--ignore={path}" for path in together)]
    groups = [(_start(words), mark) for words, mark in ((first, ""), (second, "| "), (third, ": "))]
    readers = [threading.Thread(target=_pass_on, args=group) for group in groups]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    bad = [process for process, _ in groups if process.wait()]
    print(f"{'failed' if bad else 'passed'} in {time.monotonic() - began_s:.0f} s")
    return int(bool(bad))


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
