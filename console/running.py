"""What long-running commands share: one-line logs on stderr, and an orderly end on SIGTERM and SIGINT."""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import threading
import time

from console.sparing import Sparing

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
_KEPT_BYTES, _LARGE_BYTES = 128 << 10, 32 << 10
_GARBAGE_OBJECTS = 20_000
_AWAKE_S = 0.5


class _Line(logging.Formatter):
    """2026-11-21T12:03:05Z warning probes.upload: sentence (a traceback only for what is a bug)."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        return super().format(record)


def set_up_logs() -> None:
    """Our own messages from info on, those of libraries from warning on, each at most once a minute."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    handler.addFilter(Sparing())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a round that is skipped is no news
    for room in ("probes", "collector", "quality", "alerts", "console", "linkgauge"):
        logging.getLogger(room).setLevel(logging.INFO)


def share_heaps(large_bytes: int = _LARGE_BYTES) -> None:
    """Let all threads use two heaps instead of eight for each core; call it before there are threads.

    Each heap keeps what was freed in it, and an agent's threads do the same work one after the other. Large
    arrays, as the end of a window needs them, are given back at once; glibc's own bounds for what is kept
    would rise with the largest that was ever freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc's allocator has such heaps
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, large_bytes)


def look_less_for_garbage() -> None:
    """Leave what there is now out of the search for cycles, and search after more new objects than usual.

    For a server with many connections: each search goes through what all of them hold, and through a large
    inventory, which took a third of the time of a crowd of ten thousand.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS)


class _Stop(threading.Event):
    """Waited for in short pieces: the kernel may give a signal to any thread, which does not wake the main
    one, and Python's handlers run in that one only, when it is awake."""

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(_AWAKE_S):
            pass
        return True


def stop_event() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Only in the main thread."""
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
