"""Moments as people write them: ``2026-11-21T10:00``, ``2026-11-21``, ``2h ago``, ``now``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from linkgauge.clock import NS_PER_S, seconds
from linkgauge.errors import ConfigError

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)\s+ago")
LAST_NS = 1 << 62
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ns(text: str, now_ns: int) -> int:
    """Unix ns of a moment. A date is its midnight, a time without a zone is UTC. Raises ConfigError."""
    try:
        told_ns = _read(text.strip(), now_ns)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is no time; write 2026-11-21T10:00 (UTC), 2026-11-21, now, or 2h ago (s, m, h, d)"
        ) from None
    if not 0 <= told_ns <= LAST_NS:
        raise ConfigError(f"{text!r} is not within the years 1970 to 2116; write a time that is, or 2h ago")
    return told_ns


def _read(words: str, now_ns: int) -> int:
    if words == "now":
        return now_ns
    if ago := _AGO.fullmatch(words):
        return now_ns - seconds(float(ago[1]) * _UNIT_S[ago[2]])
    told = datetime.fromisoformat(words)
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    return round(told.timestamp()) * NS_PER_S


def as_text(time_ns: int) -> str:
    """A moment for people, UTC, whole seconds."""
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
