"""Places that fire of which a window tells nothing: most links of their trouble are not judged. Pure.

So it is when the collector was away, or agents report late: a place that nobody looked at is not over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from alerts.roll.roll import Alert
from linkgauge.frame import Frame


class Unseen:
    """Remembers the links of the places that fire; of those of an earlier life all links count."""

    def __init__(self) -> None:
        self._links: dict[str, frozenset[str]] = {}

    def __call__(
        self,
        alerts: Iterable[Alert],
        judged: Mapping[str, Frame],
        troubles: Callable[[str], Mapping[str, str]],
    ) -> frozenset[str]:
        """Places (kind:place) of which nothing is known in the window. troubles: see
        alerts.explanation.Cause."""
        places = [alert.thing for alert in alerts if "place" in alert.fired.labels]
        if not places:
            self._links.clear()
            return frozenset()
        known = known_links(judged.get("state"))
        links = {place: frozenset(troubles(place)) or self._links.get(place) for place in places}
        self._links = {place: mine for place, mine in links.items() if mine}
        everyone = frozenset(known)
        return frozenset(each for each in places if unknown(self._links.get(each, everyone), known))


def known_links(state: Frame | None) -> dict[str, bool]:
    """Whether a fit agent measured each link."""
    if state is None:
        return {}
    return dict(zip(state.text("link").tolist(), (state.count("fit") == 1).tolist(), strict=True))


def unknown(links: Collection[str], known: Mapping[str, bool]) -> bool:
    """Whether nothing is known of most of these links; of those that are no longer expected nothing ever
    will be. known: all that are expected."""
    there = [known[link] for link in links if link in known]
    return 2 * sum(there) < len(there) or not links or not known
