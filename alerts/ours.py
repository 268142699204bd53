"""What our receivers were told, of all that fires: a peer told the rest to its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from alerts.delivery.book import Stands
from alerts.event import Event, Fired, payload, widens
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import Told
from alerts.roll.roll import Alert
from alerts.roll.wider import Wider


class Ours:
    """ids: of alerts that our receivers were told of as a whole. Not thread safe."""

    def __init__(
        self, receivers: Sequence[Receiver], ids: Iterable[str] = (), wider: Wider | None = None
    ) -> None:
        self._forgetful = [receiver for receiver in receivers if receiver.policy.resend_s is not None]
        self._ids, self.wider = set(ids), wider or Wider()

    @property
    def ids(self) -> list[str]:
        """In order, to be kept."""
        return sorted(self._ids)

    def split(
        self, events: Sequence[Event], tell: Sequence[bool], at_ns: int
    ) -> tuple[list[Event], list[Event]]:
        """Of what a window found, what our receivers are told and what they are not. tell: whether they are
        to be told of each; they are in any case of the end of what they were told. at_ns: end of the window,
        Unix ns."""
        told = [event for event, ours in zip(events, tell, strict=True) if ours or self._ends(event)]
        known = {id(event) for event in told}
        untold = [event for event in events if id(event) not in known]
        ends = self.wider.ends(untold)
        self.wider.pass_over(untold, at_ns)
        return [*told, *ends], untold

    def note(self, event: Event) -> None:
        """An event that is told."""
        self.wider.note(event, self._ids)
        if not widens(event):
            (self._ids.add if isinstance(event, Fired) else self._ids.discard)(event.id)

    def missing(self, roll: Iterable[Alert], untold: Sequence[Event], since_ns: int) -> list[Event]:
        """What our receivers have to be told when duty begins: of what fires and they do not know, if it was
        to be told at since_ns or later (end of its window, Unix ns), and of what nobody told.

        untold: what this life found and did not tell."""
        firing = [alert for alert in roll if alert.told]
        named = {event.id for event in untold if not widens(event)} | self._ids
        late = [each.fired for each in firing if each.told_ns >= since_ns and each.fired.id not in named]
        whole = {fired.id for fired in late}
        later = [event for event in untold if not (widens(event) and event.id in whole)]
        known = {(event.id, team) for event in later if isinstance(event, Fired) for team in event.teams_now}
        wider = [
            _for_teams(each.fired, tuple(team for team in teams if (each.fired.id, team) not in known))
            for each in firing
            if each.fired.id not in whole and (teams := self.wider.passed(each.fired.id, since_ns))
        ]
        self.wider.forget_passed()
        return [*late, *later, *(each for each in wider if each.teams_now)]

    def known(self, roll: Iterable[Alert], told: Sequence[Event]) -> list[Fired]:
        """What fires and our receivers were told as a whole, save by these events."""
        now = {event.id for event in told if not widens(event)}
        return [each.fired for each in roll if each.fired.id in self._ids and each.fired.id not in now]

    def stands(self, roll: Iterable[Alert], ours: bool, now_ns: int) -> list[Stands]:
        """What each receiver that forgets wants to hear again and again of what we told, or others did."""
        told = [each.fired for each in roll if each.told and (each.fired.id in self._ids) == ours]
        bodies = [(each.id, payload(each, now_ns)) for each in told]
        notices = [(id, body, Told.read(body)) for id, body in bodies] if self._forgetful else []
        return [
            Stands(receiver.name, id, body, None)
            for receiver in self._forgetful
            for id, body, read in notices
            if receiver.policy.wants(read)
        ]

    def _ends(self, event: Event) -> bool:
        return not isinstance(event, Fired) and event.id in self._ids


def _for_teams(fired: Fired, teams: tuple[str, ...]) -> Fired:
    return replace(fired, teams_now=teams, held=f"it explains alerts of {', '.join(teams)} only now")
