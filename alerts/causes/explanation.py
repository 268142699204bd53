"""Why nobody is told of an alert: another one explains it, or somebody does not want to hear of it.

The engine asks a Cause and Silences in every window; the plainest ones are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerts.causes.located import Recalled
from alerts.evaluation.evaluate import Suspects, Window
from alerts.event import Fired
from alerts.rule import Rule
from linkgauge.frame import Frame, concat
from linkgauge.schema import PLACE


@dataclass(frozen=True, slots=True)
class Explanation:
    """by: id of the alert that explains it; empty: none does, and only the place is told.

    place: where it likely is, in words; empty: it cannot be told. why: half a sentence for people. instead:
    id of an alert that explains it to those who do not hear of `by`.
    """

    by: str
    place: str = ""
    why: str = ""
    instead: str = ""


class Suspecting(Protocol):
    """The memory of an evaluation, as far as a cause needs it."""

    def suspects(self, table: str) -> list[Suspects]: ...


class Cause(Protocol):
    """Finds places that explain the trouble of several links, and which alert explains which."""

    def places(self, judged: Mapping[str, Frame], memory: Suspecting, window: Window) -> Frame:
        """PLACE rows of this window, perhaps none; each kind and place once."""

    def explained(self, firing: Sequence[Fired]) -> Mapping[str, Explanation]:
        """By id of an alert that fires: what explains it. Who is not there is not explained."""

    def troubles(self, about: str) -> Mapping[str, str]:
        """Links whose trouble a place (kind:place) explains now, and the gravest sort of it: "dark", "lossy",
        "slow", "small" (its MTU) or "remarked"; none when nothing is known of such a place."""

    def kept(self) -> Recalled:
        """What it has to know again after a restart."""

    def resume(self, recalled: Recalled) -> None:
        """Go on from what was kept; before the first window."""


class Silences(Protocol):
    """Announced work, and what nobody wants to hear of."""

    def silenced(self, labels: Mapping[str, str], window: Window) -> str | None:
        """Why an alert with these labels is told to nobody now; None: it is told."""


class NoSilences:
    """Everything is told."""

    def silenced(self, labels: Mapping[str, str], window: Window) -> str | None:
        return None


class SameThing:
    """An alert is explained by one of the rules that its own names in `explained_by`, of the same thing.

    A place of the kind node is that node.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._explained_by = {rule.name: rule.explained_by for rule in rules if rule.explained_by}

    def places(self, judged: Mapping[str, Frame], memory: Suspecting, window: Window) -> Frame:
        return concat(PLACE, [])

    def troubles(self, about: str) -> Mapping[str, str]:
        return {}

    def kept(self) -> Recalled:
        return Recalled()

    def resume(self, recalled: Recalled) -> None:
        """There is nothing to remember."""

    def explained(self, firing: Sequence[Fired]) -> dict[str, Explanation]:
        ids: dict[tuple[str, str], dict[str, str]] = {}
        for fired in firing:
            ids.setdefault((fired.labels["rule"], _thing(fired)), {})[fired.labels["direction"]] = fired.id
        found: dict[str, Explanation] = {}
        for fired in firing:
            for rule in self._explained_by.get(fired.labels["rule"], ()):
                if by := ids.get((rule, _thing(fired))):
                    one = by.get(fired.labels["direction"]) or next(iter(by.values()))
                    found[fired.id] = Explanation(one, fired.place, f"{rule} of the same explains it")
                    break
        return found


def _thing(fired: Fired) -> str:
    return fired.labels["place"] if fired.labels.get("kind") == "node" else fired.about
