"""What InfluxDB's answer to a write means: done, again later, hold, smaller pieces, or never. Pure.

The same bytes may always be sent again: a point is keyed by series and time. 1.x stores the good lines of a
request and names the bad ones; 2.x stores nothing when a line cannot be parsed, and names them too; 3 names
them by number. Types that conflict, and points that are too old, are counted and not named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linkgauge.errors import SinkBusy, SinkError, SinkHeld

_DROPPED = re.compile(r"dropped[= ](\d+)")
_UNREAD, _END = "unable to parse '", "': "
_LATER = frozenset({408, 429, 500, 502, 503, 504})
_NO_LINES_FAULT = ("database is required", "would exceed", "exceed limit of", "is deleted")
"""In an answer of 400 or 422: not the lines, but the server, must be mended."""
WORDS = 1000


class LinesRefused(SinkError):
    """The server will not take these lines as they are.

    partial: the good ones among them are stored. dropped: how many were not, as far as the server told.
    text: all that it said. numbered: what it said of lines by their number, from 0.
    """

    def __init__(
        self, text: str, partial: bool, dropped: int, numbered: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(_short(text))
        self.text, self.partial, self.dropped = text, partial, dropped
        self.numbered = numbered or {}


class TooLarge(SinkError):
    """The server wants smaller requests."""


def check_reply(url: str, status: int, text: str, retry_after: str | None = None) -> None:
    """Return when the write was taken; raises SinkBusy, SinkHeld, TooLarge or LinesRefused."""
    if 200 <= status < 300:
        return
    told = _told(text)
    words = _words(told, text)
    said = f"InfluxDB at {url} answered {status}: {_short(words)}"
    # what stands behind _UNREAD, or as original_line, was sent: those may be anybody's words
    own = "\n".join([words.partition(_UNREAD)[0], *(why for _, why in _numbered(told))])
    if status in (400, 422) and not any(fault in own for fault in _NO_LINES_FAULT):
        found = _DROPPED.search(words)
        raise LinesRefused(
            words, "partial write" in words, int(found[1]) if found else 0, dict(_numbered(told))
        )
    if status == 413:
        raise TooLarge(said)
    if status in _LATER and "retention policy not found" not in words:
        raise SinkBusy(said, _seconds(retry_after))
    raise SinkHeld(f"{said}; {_mend(status, told, words)}")


def at_fault(refused: LinesRefused, lines: Sequence[str]) -> dict[int, str]:
    """Which of `lines` the server names, with its words; empty when that must be found out.

    When points are too old, and it says how many, it is that many with the smallest times.
    """
    if refused.numbered:
        return {at: words for at, words in refused.numbered.items() if at < len(lines)}
    if _UNREAD in refused.text:
        return _named(refused.text, lines)
    if "retention policy" in refused.text and 0 < refused.dropped < len(lines):
        return dict.fromkeys(_oldest(lines, refused.dropped), str(refused))
    return {}


def _named(text: str, lines: Sequence[str]) -> dict[int, str]:
    where: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        where.setdefault(line, []).append(at)
    found: dict[int, str] = {}
    for piece in text.split(_UNREAD)[1:]:
        end = piece.find(_END)
        while end >= 0 and piece[:end] not in where:
            end = piece.find(_END, end + 1)
        if end >= 0:
            why = piece[end + len(_END) :].partition("\n")[0]
            found |= dict.fromkeys(where[piece[:end]], _short(f"unable to parse: {why}"))
    return found


def _oldest(lines: Sequence[str], count: int) -> list[int]:
    """The `count` lines with the smallest times; none when that is not one set of lines."""
    times = [line.rpartition(" ")[2] for line in lines]
    if not all(time.isascii() and time.isdigit() for time in times):
        return []
    order = sorted(range(len(lines)), key=lambda at: int(times[at]))
    return [] if times[order[count - 1]] == times[order[count]] else order[:count]


def _numbered(told: Any) -> Iterator[tuple[int, str]]:
    """3.x: one object, or with accept_partial a list, each with line_number from 1."""
    data = told.get("data") if isinstance(told, dict) else None
    for each in data if isinstance(data, list) else [data]:
        if not isinstance(each, dict):
            continue
        number = each.get("line_number")
        if isinstance(number, int) and number >= 1:
            yield number - 1, _short(str(each.get("error_message")))


def _mend(status: int, told: Any, text: str) -> str:
    if status in (401, 403):
        return "give it the right user and password, or token"
    if status == 404 and ("organization" in text or "invalid org" in text):
        return "correct influxdb.org"
    if status == 404 and told is None:
        return "this server has no such address; correct influxdb.url"
    if status == 404:
        return "create the database or correct its name"
    return "look at the server"


def _told(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _words(told: Any, text: str) -> str:
    """The server's own sentence, out of its JSON where it is JSON."""
    return str(told.get("error") or told.get("message") or text) if isinstance(told, dict) else text


def _short(text: str) -> str:
    return " ".join(text[: 4 * WORDS].split())[:WORDS]


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:  # a date: our own backoff is good enough
        return None
