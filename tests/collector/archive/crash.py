"""Stops the archive's world before a chosen one of its steps, as a crash or as an error of the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from collector.archive import disk

STEPS = (
    "make_folder",
    "settle",
    "sync_folder",
    "move",
    "link",
    "remove",
    "remove_folder",
    "append",
    "exchange",
)


class Crash(BaseException):
    """The process ends here; nothing that it would have done comes any more."""


class Stops:
    """Counts the steps and lets those before the `at`-th pass; an append is torn in its middle.

    crash: all steps from then on fail; else only that one does, with an error of the disk.
    """

    def __init__(self, at: int, crash: bool) -> None:
        self._left, self._crash = at, crash
        self.struck = False

    def wrap(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any) -> Any:
            self._left -= 1
            if self._left > 0 or (self.struck and not self._crash):
                return step(*given)
            if not self.struck and name == "append" and self._crash:
                os.write(given[0], given[1][: len(given[1]) // 2])
            self.struck = True
            if self._crash:
                raise Crash
            raise OSError(errno.ENOSPC, "No space left on device", str(given[0]))

        return wrapped


@contextmanager
def stopped(at: int, crash: bool, exchange: bool = True) -> Iterator[Stops]:
    """While inside, the `at`-th step does not come to pass. exchange: whether folders can be exchanged."""
    stops = Stops(at, crash)
    with pytest.MonkeyPatch.context() as patch:
        if not exchange:
            patch.setattr(disk, "exchange", lambda *_: False)
        for name in STEPS:
            patch.setattr(disk, name, stops.wrap(name, getattr(disk, name)))
        yield stops
