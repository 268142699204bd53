"""What InfluxDB's answer to a write means: done, again later, hold, smaller pieces, or never. Pure.

The same bytes may always be sent again: a point is keyed by series and time.
"""

from __future__ import annotations

import json
import re

from linkgauge.errors import SinkBusy, SinkError, SinkHeld

_DROPPED = re.compile(r"dropped[= ](\d+)")
_LATER = frozenset({408, 429, 500, 502, 503, 504})


class LinesRefused(SinkError):
    """The server will not take these lines as they are.

    partial: the good ones among them are stored. dropped: how many were not, as far as the server told.
    """

    def __init__(self, sentence: str, partial: bool, dropped: int) -> None:
        super().__init__(sentence)
        self.partial, self.dropped = partial, dropped


class TooLarge(SinkError):
    """The server wants smaller requests."""


def check_reply(url: str, status: int, text: str, retry_after: str | None = None) -> None:
    """Return when the write was taken; raises SinkBusy, SinkHeld, TooLarge or LinesRefused."""
    if 200 <= status < 300:
        return
    words = _words(text)
    said = f"InfluxDB at {url} answered {status}: {words}"
    if status in (400, 422) and "database is required" not in words:
        found = _DROPPED.search(words)
        raise LinesRefused(words, "partial write" in words, int(found[1]) if found else 0)
    if status == 413:
        raise TooLarge(said)
    if status in _LATER and "retention policy not found" not in words:
        raise SinkBusy(said, _seconds(retry_after))
    raise SinkHeld(f"{said}; {_mend(status)}")


def _mend(status: int) -> str:
    if status in (401, 403):
        return "give it the right user and password, or token"
    if status == 404:
        return "create the database or correct its name"
    return "look at the server"


def _words(text: str) -> str:
    """The server's own sentence, out of its JSON where it is JSON."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, dict):
        text = str(data.get("error") or data.get("message") or text)
    return " ".join(text.split())[:1000]


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:  # a date: our own backoff is good enough
        return None
