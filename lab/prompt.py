"""Being prompt: what a process that has to act on time asks of the machine."""

from __future__ import annotations

import gc
import os

_PRIORITY = 10


def be_prompt() -> bool:
    """Ask for real-time scheduling, make no pauses of our own; False when the machine does not allow it."""
    gc.freeze()
    gc.disable()  # the loop makes no reference cycles
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError:
        return False
    return True
