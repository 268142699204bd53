"""Ctrl-C and SIGTERM while a program ends what it started: only the first is obeyed, what follows is told.

A second one in the middle of taking down would leave processes behind, and one comes quickly: timeout(1)
sends two, a person presses the key again. For the main thread only.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """While inside, the first of both is a KeyboardInterrupt."""

    def interrupt(*_: object) -> None:
        for number in _NUMBERS:
            signal.signal(number, _tell)
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """While inside, neither is obeyed."""
    with _handled(_tell):
        yield


@contextmanager
def _handled(handler: Callable[..., None]) -> Iterator[None]:
    old = {number: signal.signal(number, handler) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, former in old.items():
            signal.signal(number, former)


def _tell(*_: object) -> None:
    print("ending, please wait", file=sys.stderr)
