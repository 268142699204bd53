"""Teams that our receivers told of an alert which the peer told to others: they hear of its end from us."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from alerts.event import Event, Fired, Resolved


class Wider:
    """Not thread safe. teams: by id of the alert."""

    def __init__(self, teams: Mapping[str, Sequence[str]] | None = None) -> None:
        self._teams = {id: list(each) for id, each in (teams or {}).items()}

    def kept(self) -> dict[str, list[str]]:
        """What has to be known after a restart."""
        return dict(self._teams)

    def note(self, event: Event, ours: Collection[str]) -> None:
        """An event that is told. ours: ids of alerts that our receivers were told of as a whole."""
        if not (isinstance(event, Fired) and event.teams_now):
            self._teams.pop(event.id, None)
        elif event.id not in ours:
            self._teams.setdefault(event.id, []).extend(event.teams_now)

    def ends(self, events: Sequence[Event]) -> list[Event]:
        """Of events that others tell, the ends that are ours to tell, for those teams alone."""
        over = [each for each in events if isinstance(each, Resolved) and each.id in self._teams]
        return [
            replace(each, fired=replace(each.fired, teams_now=tuple(self._teams[each.id]))) for each in over
        ]
