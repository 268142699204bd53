"""Keeps a log readable while something goes wrong a thousand times a second: a filter for a log's handler.

A line like one of the last minute is left out; like means: the same but for its numbers. Of one event (its
first word, or the sentence before its values are put in) at most BURST different lines a minute are written.
The next line of an event tells how many were left out before it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from time import monotonic

EVERY_S = 60.0
BURST = 20
_MOST_LINES = 4096
"""Lines that are remembered at most, whatever comes."""
_NUMBER = re.compile(r"(?<![\w-])\d[\d.,]*(?![\w-])")
_PLAIN = re.compile(r"[a-z_]+")


class Sparing(logging.Filter):
    """See above. clock_s: seconds that only go forward. Thread safe as far as a handler's lock holds."""

    def __init__(self, clock_s: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._lines: dict[str, float] = {}
        self._events: dict[str, list[float]] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; a line after others that were not gets ``left_out=<count>``."""
        now_s = self._clock_s()
        text = record.getMessage()
        event = f"{record.name} {_event(record)}"
        written = [at_s for at_s in self._events.get(event, ()) if now_s - at_s < EVERY_S]
        line = f"{record.name} {_NUMBER.sub('#', text)}"
        known_s = self._lines.get(line)
        if len(written) >= BURST or (known_s is not None and now_s - known_s < EVERY_S):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return False
        if len(self._lines) >= _MOST_LINES:
            self._lines = {line: at_s for line, at_s in self._lines.items() if now_s - at_s < EVERY_S}
            if len(self._lines) >= _MOST_LINES:
                self._lines.clear()
            self._events = {name: at for name, at in self._events.items() if now_s - at[-1] < EVERY_S}
        self._lines[line] = now_s
        self._events[event] = [*written, now_s]
        if left_out := self._left_out.pop(event, 0):
            record.msg, record.args = f"{text} left_out={left_out}", None
        return True


def _event(record: logging.LogRecord) -> str:
    """The first word of an event line, else the sentence without its values."""
    word = str(record.msg).partition(" ")[0]
    return word if "_" in word and _PLAIN.fullmatch(word) else str(record.msg)[:80] if record.args else word
