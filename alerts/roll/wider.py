"""Teams that are told of an alert later than others, where one of two collectors told it and the other these.

Of an alert that the peer told to others these hear of its end from us. What nobody told yet is remembered
too, should the peer turn out to be gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from alerts.event import Event, Fired, Resolved, widens

Passed = Mapping[str, Sequence[tuple[int, str]]]
"""By id of an alert: teams, and the end of the window in which they were to be told, Unix ns."""


class Wider:
    """Not thread safe. teams: that we told, by id of the alert. passed: that the peer may have told."""

    def __init__(
        self, teams: Mapping[str, Sequence[str]] | None = None, passed: Passed | None = None
    ) -> None:
        self._teams = {id: list(each) for id, each in (teams or {}).items()}
        self._passed = {id: list(each) for id, each in (passed or {}).items()}

    def kept(self) -> dict[str, list[str]]:
        """What has to be known after a restart."""
        return dict(self._teams)

    def kept_passed(self) -> dict[str, list[tuple[int, str]]]:
        """The same of what we did not tell."""
        return dict(self._passed)

    def note(self, event: Event, ours: Collection[str]) -> None:
        """An event that is told. ours: ids of alerts that our receivers were told of as a whole."""
        if not (isinstance(event, Fired) and event.teams_now):
            self._teams.pop(event.id, None)
            self._passed.pop(event.id, None)
        elif event.id not in ours:
            self._teams.setdefault(event.id, []).extend(event.teams_now)

    def ends(self, events: Sequence[Event]) -> list[Event]:
        """Of events that others tell, the ends that are ours to tell, for those teams alone."""
        over = [each for each in events if isinstance(each, Resolved) and each.id in self._teams]
        return [
            replace(each, fired=replace(each.fired, teams_now=tuple(self._teams[each.id]))) for each in over
        ]

    def pass_over(self, events: Sequence[Event], at_ns: int) -> None:
        """Events of the window that ends at_ns, Unix ns, which we do not tell."""
        for each in events:
            if isinstance(each, Fired) and widens(each):
                self._passed.setdefault(each.id, []).extend((at_ns, team) for team in each.teams_now)
            else:
                self._passed.pop(each.id, None)

    def passed(self, about: str, since_ns: int) -> list[str]:
        """Teams that we did not tell of an alert in windows that ended at since_ns or later."""
        return [team for at_ns, team in self._passed.get(about, ()) if at_ns >= since_ns]

    def forget_passed(self) -> None:
        """From now on all is told."""
        self._passed = {}
