"""One program of a kind to one data folder: two would each believe that the files in it are their own.

An agent and a collector may share one: none of their files has the same name.

What the program makes is not for others to read: every file and folder, whichever library makes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from linkgauge.errors import ConfigError

_LOCKS = {"agent": "lock.agent"}
_MASK = 0o027
"""Owner all, group reading, others nothing."""


@contextlib.contextmanager
def only_one(folder: Path, what: str, mend: str) -> Iterator[None]:
    """Hold `folder` (made when missing) while inside; raises ConfigError when somebody else holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.fdopen(os.open(folder / _LOCKS.get(what, "lock"), os.O_RDWR | os.O_CREAT, 0o640), "w")
    except OSError as err:
        raise ConfigError(f"{folder}: cannot be written ({err.strerror}); {mend}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another {what} runs here; end it or {mend}") from None
        former = os.umask(_MASK)
        try:
            yield
        finally:
            os.umask(former)


def is_held(folder: Path, what: str) -> bool:
    """Whether such a program has `folder` now. Raises ConfigError when that cannot be seen."""
    path = folder / _LOCKS.get(what, "lock")
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read ({err.strerror}); run this as root") from None
    return False
