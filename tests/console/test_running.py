"""What ends long-running commands."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WAITS = """
import signal, sys, threading, time
from console.running import stop_event

stop = stop_event()

def other():
    main, seen = threading.main_thread().ident, 0
    while seen < 3:  # it waits, and has done so for a moment
        seen = seen + 1 if sys._current_frames()[main].f_code.co_name == "wait" else 0
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.{signal})

threading.Thread(target=other, daemon=True).start()
stop.wait()
print("ended")
"""


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_signal_that_another_thread_gets_ends_it_too(signal: str) -> None:
    """The kernel chooses the thread; the main one is not woken by it."""
    argv = [sys.executable, "-c", _WAITS.format(signal=signal)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout == "ended\n"
