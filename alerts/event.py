"""What an evaluation finds, and how it is told: the values Fired and Resolved, and their JSON form. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from linkgauge.clock import NS_PER_S


class Fired(msgspec.Struct, frozen=True, tag="firing"):
    """An alert begins. Times are Unix ns; a number that is not known is NaN."""

    id: str
    """The alert: rule, link and direction. The same each time that this alert fires."""
    since_ns: int
    """Start of the first breached window."""
    at_ns: int
    """End of the window that made it fire."""
    numbers: dict[str, float]
    """The rule's numbers in that window."""
    labels: dict[str, str]
    """rule severity direction link src dst src_site dst_site src_region dst_region network tier."""
    title: str
    summary: str
    first_steps: tuple[str, ...]
    runbook: str


class Resolved(msgspec.Struct, frozen=True, tag="resolved"):
    """An alert ends: `fired` is the event that began it; at_ns is the end of the window that ended it.

    The summary says whether it is over, or only no longer judged."""

    fired: Fired
    at_ns: int
    numbers: dict[str, float]
    summary: str

    @property
    def id(self) -> str:
        return self.fired.id


Event = Fired | Resolved


def payload(event: Event, created_ns: int) -> bytes:
    """The event as JSON (see alerts.webhook for its keys). created_ns: when it was found, Unix ns."""
    fired = event if isinstance(event, Fired) else event.fired
    status = "firing" if isinstance(event, Fired) else "resolved"
    told: dict[str, Any] = {
        "version": 1,
        "id": fired.id,
        "notification": f"{fired.id}|{fired.since_ns}|{status}",
        "status": status,
        "rule": fired.labels["rule"],
        "title": fired.title,
        "severity": fired.labels["severity"],
        "link": fired.labels["link"],
        "direction": fired.labels["direction"],
        "since": rfc3339(fired.since_ns),
        "fired_at": rfc3339(fired.at_ns),
        "resolved_at": rfc3339(event.at_ns) if isinstance(event, Resolved) else None,
        "created_at": rfc3339(created_ns),
        "summary": event.summary,
        "numbers": event.numbers,
        "labels": fired.labels,
        "first_steps": fired.first_steps,
        "runbook": fired.runbook,
    }
    return msgspec.json.encode(told)


def rfc3339(at_ns: int) -> str:
    """Unix ns as RFC 3339 in UTC to the millisecond: 2025-11-21T12:03:05.000Z."""
    whole, rest = divmod(at_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def time_of_day(at_ns: int) -> str:
    """Unix ns as a person reads it in a sentence: 12:03:05 UTC, with the date in the message's own times."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%H:%M:%S} UTC"
