"""Network namespaces: make, enter, furnish, remove. Needs root; LabError says what failed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lab.process import ProcessMark
from linkgauge.errors import LabError

T = TypeVar("T")

_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def path(namespace: str) -> Path:
    """The file by which a named namespace is entered."""
    return _FOLDER / namespace


def present() -> set[str]:
    """The names of all namespaces of this host."""
    return set(os.listdir(_FOLDER)) if _FOLDER.is_dir() else set()


def ip_batch(text: str) -> None:
    """Run `ip -batch` in the host's namespace."""
    run(["ip", "-batch", "-"], text)


def run(argv: list[str], text: str = "") -> str:
    """Run a command with text as its input and return what it prints; LabError when it fails."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}; install the package that has it") from error
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed: {_first_line(done.stderr)}; the lab needs root and Linux")
    return done.stdout


def run_inside(scripts: Mapping[str, str]) -> None:
    """Run one `sh -e` script in each namespace, several at a time; LabError names one that failed."""

    def furnish(item: tuple[str, str]) -> None:
        run(["nsenter", f"--net={path(item[0])}", "sh", "-e"], item[1])

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(furnish, scripts.items()))


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Call work() in the namespace, in a thread that ends with it; sockets it makes stay in the namespace."""
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            _enter(namespace)
            results.append(work())
        except (OSError, LabError) as error:
            errors.append(error)

    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter(namespace: str) -> None:
    try:
        handle = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"there is no namespace {namespace}: build the world first") from error
    try:
        if _LIBC.setns(handle, _CLONE_NEWNET) != 0:
            raise LabError(f"cannot enter namespace {namespace}: {os.strerror(ctypes.get_errno())}; be root")
    finally:
        os.close(handle)


def occupants(namespaces: Collection[str]) -> list[ProcessMark]:
    """The processes that run inside any of the namespaces."""
    own = os.stat("/proc/self/ns/net")
    files = [path(name).stat() for name in present().intersection(namespaces)]
    wanted = {(s.st_dev, s.st_ino) for s in files} - {(own.st_dev, own.st_ino)}
    found = []
    for entry in os.listdir("/proc"):
        mark = ProcessMark.of(int(entry)) if entry.isdigit() else None
        if mark is None:
            continue
        try:
            status = os.stat(f"/proc/{entry}/ns/net")
        except OSError:  # it ended meanwhile
            continue
        if (status.st_dev, status.st_ino) in wanted:
            found.append(mark)
    return found


def remove(namespaces: Collection[str]) -> None:
    """Kill what runs inside, delete the namespaces with all their interfaces; absent ones are passed over."""
    there = present().intersection(namespaces)
    if not there:
        return
    for mark in occupants(there):
        mark.kill()
    run(["ip", "-force", "-batch", "-"], "".join(f"netns del {name}\n" for name in sorted(there)))


def _first_line(words: str) -> str:
    return words.strip().partition("\n")[0] or "it said nothing"
