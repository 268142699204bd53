"""A file of ours that may change while the program runs: read again when it does, never made worse by it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from collector.event_line import event_line
from linkgauge.errors import ConfigError
from linkgauge.file_mark import file_mark

T = TypeVar("T")
log = logging.getLogger(__name__)


class WatchedFile(Generic[T]):
    """What `read(path)` made of the file, read again when the file is another one than last time.

    The first reading raises ConfigError. Later ones keep the old value when the new file is faulty: `fault`
    then holds the sentence (None when all is well) and `failures` counts the faulty versions. Thread safe.
    """

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self._path, self._read = path, read
        self._lock = threading.Lock()
        self._stamp = file_mark(self._path)
        self._value = read(path)
        self.failures = 0
        self.fault: str | None = None

    def value(self) -> T:
        """The newest value that could be read."""
        if file_mark(self._path) == self._stamp:
            return self._value
        with self._lock:
            stamp = file_mark(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reread()
            return self._value

    @property
    def stale(self) -> bool:
        """The next `value` reads the file, and whoever calls it waits so long."""
        return file_mark(self._path) != self._stamp

    def _reread(self) -> None:
        try:
            self._value = self._read(self._path)
        except ConfigError as err:
            self.failures += 1
            self.fault = str(err)
            log.error(event_line("file_refused", file=self._path, error=err, kept="the former version"))
        else:
            self.fault = None
            log.info(event_line("file_reread", file=self._path))
