"""Places that alter packets in one way, as long as their alerts fire, and which alerts of links they explain.

An alert of a link is explained by a place that explained the same sort of trouble of it, in the direction of
the alert, in the last windows (LASTS). A dead, lossy or slow place is graver: what it explains stays its own,
and this place is named for those who do not hear of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from alerts.causes.explanation import Explanation
from alerts.causes.inhibition import LASTS
from alerts.causes.located import Altered, Key
from alerts.event import Fired

Alerts = frozenset[tuple[str, str]]
"""(link, direction) of alerts."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of trouble: its word, and the rules that tell of it on links and at places."""

    word: str
    of_link: str
    of_place: str


class AlteredPlaces:
    """Of one sort; for one thread at a time."""

    def __init__(self, sort: Sort) -> None:
        self.sort = sort
        self._found: dict[Key, Altered] = {}
        self._lately: deque[Sequence[Altered]] = deque(maxlen=LASTS)
        self._ids: dict[Key, str] = {}

    @property
    def firing(self) -> frozenset[Key]:
        """Places that fire, also those of an earlier life."""
        return frozenset(self._ids)

    @property
    def held(self) -> frozenset[Key]:
        """The same, and those that were found in the last window."""
        return self.firing.union(each.key for each in (self._lately[-1] if self._lately else ()))

    def kept(self) -> dict[str, Altered]:
        """What has to be known again after a restart, by id of the place's alert."""
        return {by: replace(self._found[key], explains=self.explains(key)) for key, by in self._ids.items()}

    def resume(self, kept: Mapping[str, Altered]) -> None:
        """Go on from what was kept of this sort."""
        mine = {by: each for by, each in kept.items() if by.partition("/")[0] == self.sort.of_place}
        self._ids = {each.key: by for by, each in mine.items()}
        self._found = {each.key: each for each in mine.values()}
        self._lately.append(list(mine.values()))

    def take(self, found: Sequence[Altered], unseen: Callable[[Collection[str]], bool]) -> None:
        """The places of the window that ends now. unseen: whether nothing is known of most of these links; a
        place goes on to explain them as long."""
        again = []
        for key in self._found.keys() - {each.key for each in found}:
            explains = self.explains(key)
            if unseen({link for link, _ in explains}):
                again.append(replace(self._found[key], explains=explains))
        self._lately.append([*found, *again])
        self._found |= {each.key: each for each in found}

    def explains(self, key: Key) -> Alerts:
        """Alerts of links that the place explained lately."""
        return frozenset[tuple[str, str]]().union(
            *(each.explains for some in self._lately for each in some if each.key == key)
        )

    def explained(self, firing: Sequence[Fired], told: dict[str, Explanation]) -> None:
        """Enter into `told`, by id of an alert that fires, what explains it; what stands there already is
        graver."""
        of_place = {_key(each): each for each in firing if each.labels["rule"] == self.sort.of_place}
        self._found = {key: each for key, each in self._found.items() if key in of_place}
        self._ids = {key: of_place[key].id for key in self._found}
        over = {alert: key for key in self._found for alert in self.explains(key)}
        for key, each in of_place.items():
            if key in self._found:
                words = self._found[key].located.words
                told[each.id] = replace(told.get(each.id, Explanation("")), place=words)
        for each in firing if over else ():
            direction = each.labels["direction"]
            if each.labels["rule"] == self.sort.of_link and (about := over.get((each.about, direction))):
                by = Explanation(
                    of_place[about].id, self._found[about].located.words, f"{' '.join(about)} explains it"
                )
                graver = told.get(each.id)
                told[each.id] = replace(graver, instead=by.by) if graver and graver.by else by


def _key(fired: Fired) -> Key:
    return fired.labels.get("kind", ""), fired.labels.get("place", "")
