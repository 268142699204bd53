"""What is told of an alert: the values Fired and Resolved, and their JSON form. Pure.

    version       2
    id            the alert: rule/about/direction; the same each time that it fires
    notification  this change of it: a receiver that sees it twice was told twice of one thing
    status        "firing" or "resolved"
    rule, title   which rule, by name and in words
    severity      "page" or "ticket"
    about         what it is about: link, node, collector/sink, collector, or kind:place
    link          src>dst@network; null when it is about something else
    direction     "forward" or "backward", of a place "in", "out" or "both"; "-": none
    place         where the trouble likely is, in words; null: it cannot be told
    since         start of the first breached window
    fired_at      end of the window that made it fire
    resolved_at   end of the window that ended it; null while firing
    created_at    when it was found out
    held          why it is told only now; null: it is told as soon as it fires
    teams_later   teams that were told later than those of the labels: it came to explain alerts of theirs
    teams_now     those of them for whom this notice is, nobody else; none: it is for all
    summary       one sentence with numbers and how sure they are; of a resolved one whether it is over or
                  only no longer judged
    numbers       the rule's numbers in the window that decided: name to number, null = not known;
                  ratios 0..1 (`_ratio`), microseconds (`_us`), seconds (`_s`), bit/s (`_bps`)
    labels        text to text: see alerts.roll.subject
    first_steps   what to do first, a list of sentences
    runbook       path of the page with the whole procedure

Times are RFC 3339 in UTC (`2025-11-21T12:03:05.000Z`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from linkgauge.clock import NS_PER_S


class Fired(msgspec.Struct, frozen=True, tag="firing"):
    """An alert begins. Times are Unix ns; a number that is not known is NaN."""

    id: str
    """The alert: rule, thing and direction. The same each time that this alert fires."""
    since_ns: int
    """Start of the first breached window."""
    at_ns: int
    """End of the window that made it fire."""
    numbers: dict[str, float]
    """The rule's numbers in that window."""
    labels: dict[str, str]
    """See alerts.subject."""
    title: str
    summary: str
    first_steps: tuple[str, ...]
    runbook: str
    about: str = ""
    """The link, node, collector/sink, collector or kind:place."""
    place: str = ""
    """Where the trouble likely is, in words; empty: it cannot be told."""
    held: str = ""
    """Why it was told only now; empty: it was told when it fired."""
    teams_later: tuple[str, ...] = ()
    """Teams that were told later than those of the labels, in that order."""
    teams_now: tuple[str, ...] = ()
    """Those of them who are told now, and nobody else; empty: everybody is."""


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


def widens(event: Event) -> bool:
    """Whether it only tells further teams what others know."""
    return isinstance(event, Fired) and bool(event.teams_now)


def payload(event: Event, created_ns: int) -> bytes:
    """The event as JSON, see the top of the file. created_ns: when it was found, Unix ns."""
    fired = event if isinstance(event, Fired) else event.fired
    status = "firing" if isinstance(event, Fired) else "resolved"
    told: dict[str, Any] = {
        "version": 2,
        "id": fired.id,
        "notification": f"{fired.id}|{fired.since_ns}|{status}",
        "status": status,
        "rule": fired.labels["rule"],
        "title": fired.title,
        "severity": fired.labels["severity"],
        "about": fired.about,
        "link": fired.labels.get("link"),
        "direction": fired.labels["direction"],
        "place": fired.place or None,
        "since": rfc3339(fired.since_ns),
        "fired_at": rfc3339(fired.at_ns),
        "resolved_at": rfc3339(event.at_ns) if isinstance(event, Resolved) else None,
        "created_at": rfc3339(created_ns),
        "held": fired.held or None,
        "teams_later": fired.teams_later,
        "teams_now": fired.teams_now,
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
