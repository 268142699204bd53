"""A notice of the book, read again: what receivers make their own message of. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from alerts.roll.audience import teams

FIRING, RESOLVED = "firing", "resolved"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of alerts.event.payload that messages use; a notice of version 1 has no about and no place."""

    id: str
    notification: str
    status: str
    rule: str
    severity: str
    title: str = ""
    about: str = ""
    link: str | None = None
    direction: str | None = None
    since: str
    fired_at: str
    resolved_at: str | None = None
    summary: str = ""
    labels: dict[str, str] = {}
    first_steps: tuple[str, ...] = ()
    runbook: str = ""
    place: str | None = None
    teams_later: tuple[str, ...] = ()
    teams_now: tuple[str, ...] = ()
    test: bool = False

    @classmethod
    def read(cls, body: bytes) -> Told:
        """Raises ValueError for what is no notice."""
        try:
            return msgspec.json.decode(body, type=cls)
        except msgspec.DecodeError as err:
            raise ValueError(f"this is no notice of an alert ({err})") from None

    @property
    def fires(self) -> bool:
        return self.status == FIRING

    @property
    def thing(self) -> str:
        """What it is about: a link, node, sink, collector or place."""
        return self.about or self.link or self.labels.get("link", "")

    @property
    def team(self) -> str:
        return self.labels.get("team", "")

    @property
    def teams(self) -> frozenset[str]:
        """All that are told of it; `team` is the one that is called first."""
        return teams(self.labels).union(self.teams_later)

    @property
    def drill(self) -> bool:
        return self.labels.get("drill") == "true"


def readable(time: str) -> str:
    """`2025-11-21T12:03:05.000Z` as a person reads it: 2025-11-21 12:03:05 UTC."""
    try:
        return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return time
