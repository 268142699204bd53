"""What only helps to tell alerts well: when it fails, they are told without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Guard:
    """Counts what fails, and says each thing that does once, until it goes well again. Not thread safe."""

    def __init__(self) -> None:
        self.failed = 0
        self._failing: set[str] = set()

    def __call__(self, what: str, ask: Callable[[], T], otherwise: T) -> T:
        """What `ask` returns; `otherwise` when it raises. what: in words."""
        try:
            found = ask()
        except Exception:
            self.failed += 1
            if what not in self._failing:
                log.exception("%s failed; alerts are told without it", what)
            self._failing.add(what)
            return otherwise
        self._failing.discard(what)
        return found
