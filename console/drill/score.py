"""What a drill found, held against the truth. Pure.

Times are seconds from the fault (or from its end) to: the end of the window that fired (detect), the message
at the receiver (notify), the message that says that it is over (resolve).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from alerts.causes.located import UNSURE
from console.demo.webhook import Page
from lab.faults.fault import Link, Truth
from linkgauge.clock import NS_PER_S

RIGHT, AMONG, WRONG, NONE, OPEN = "right", "among those named", "wrong", "not told", "cannot be told"
"""Of a place; AMONG: it is one of those that the message says cannot be told from the one it begins with.
OPEN: the truth has none."""
_ROUND_TRIP = "-"
_PLACE_RULES = ("common-cause", "common-mtu", "common-remark")


@dataclass(frozen=True, slots=True)
class Score:
    """link, direction: of the alerts told; None where nothing was told or nothing is to be told. others:
    alerts that the fault does not explain. measured: columns of windows that show the fault, and those that
    should and do not have a minus before them."""

    fault: str
    detected: bool
    detect_s: float | None
    notify_s: float | None
    resolve_s: float | None
    rules: tuple[str, ...]
    link: bool | None
    direction: bool | None
    place: str
    places_told: tuple[str, ...]
    others: tuple[str, ...]
    measured: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Found where a rule should, seen where only a column shows it, and nothing wrong said."""
        told_right = self.link is not False and self.direction is not False and self.place != WRONG
        return self.detected and told_right and not self.others

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "good": self.good}


def score(
    fault: str,
    truth: Truth,
    pages: Sequence[Page],
    injected_ns: int,
    cleared_ns: int,
    window_ns: int,
    measured: Sequence[str],
) -> Score:
    """Judge the messages that came since the fault, but for those of trouble that began more than a window
    before it: they were held back because of an earlier one. measured: columns of `truth.seen_in` that
    showed it.
    """
    firing = [
        page
        for page in pages
        if page.body["status"] == "firing"
        and page.at_ns >= injected_ns
        and not _earlier(page.body, injected_ns - window_ns)
    ]
    ours = [page for page in firing if _explained(truth, page.body)]
    main = [page for page in ours if page.body["rule"] in truth.must]
    first = min(main, key=lambda page: page.at_ns, default=None)
    over = [_over_ns(pages, page) for page in ours]
    unseen = [f"-{name}" for name in truth.seen_in if name not in measured]
    on_links = [page.body for page in ours if page.body.get("link")]
    wrong_links = [page.body for page in firing if page.body.get("link") and page not in ours]
    return Score(
        fault,
        first is not None if truth.must else not unseen,
        None if first is None else _seconds(_moment_ns(first.body["fired_at"]), injected_ns),
        None if first is None else _seconds(first.at_ns, injected_ns),
        None if not over or None in over else _seconds(max(each or 0 for each in over), cleared_ns),
        tuple(sorted({str(page.body["rule"]) for page in ours})),
        not wrong_links if on_links or wrong_links else None,
        _direction(truth, on_links),
        _place(truth, firing),
        tuple(sorted({"{} {}".format(*each) for each in told_places(firing)})),
        tuple(sorted(f"{page.body['id']}" for page in firing if page not in ours)),
        (*measured, *unseen),
    )


def told_places(firing: Sequence[Page]) -> set[tuple[str, str]]:
    """(kind, name) of every place that an alert was told for."""
    told = set()
    for page in firing:
        labels = page.body["labels"]
        if page.body["rule"] in _PLACE_RULES:
            told.add(_named(page.body))
        elif page.body["rule"] == "node-down":
            told.add(("node", str(labels["node"])))
    return told


def _named(body: Mapping[str, Any]) -> tuple[str, str]:
    return str(body["labels"]["kind"]), str(body["labels"]["place"])


def _alike(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind, name) of the places that the message says cannot be told from the one it names."""
    words = str(body.get("place") or "").partition(UNSURE)[2]
    return {(kind, name) for kind, _, name in (each.partition(" ") for each in words.split(", ")) if name}


def _earlier(body: Mapping[str, Any], than_ns: int) -> bool:
    return "since" in body and _moment_ns(body["since"]) < than_ns


def _explained(truth: Truth, body: Mapping[str, Any]) -> bool:
    """Whether the fault is a reason for this alert: the rule and the thing fit."""
    rule, labels = body["rule"], body["labels"]
    if rule not in truth.must | truth.may:
        return False
    if body.get("link"):
        return _link(labels) in truth.links | truth.also
    if rule in _PLACE_RULES:
        return not truth.places or not truth.places.isdisjoint({_named(body), *_alike(body)})
    if "node" in labels:
        return any(labels["node"] in link[:2] for link in truth.links)
    return True


def _link(labels: Mapping[str, str]) -> Link:
    return labels["src"], labels["dst"], labels["network"]


def _direction(truth: Truth, bodies: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether each alert that tells a direction tells that of the truth, on the links of the truth."""
    told = [body for body in bodies if body["direction"] != _ROUND_TRIP]
    if not told or truth.direction == _ROUND_TRIP:
        return None
    return all(body["direction"] == truth.direction and _link(body["labels"]) in truth.links for body in told)


def _place(truth: Truth, firing: Sequence[Page]) -> str:
    told = told_places(firing)
    if not truth.places:
        return WRONG if told else OPEN
    if not told:
        return NONE
    if told <= truth.places:
        return RIGHT
    alike = [{_named(page.body), *_alike(page.body)} for page in firing if page.body["rule"] in _PLACE_RULES]
    meant = told - truth.places
    return (
        AMONG if all(any(one in some and some & truth.places for some in alike) for one in meant) else WRONG
    )


def _over_ns(pages: Sequence[Page], fired: Page) -> int | None:
    for page in pages:
        same = page.body["status"] == "resolved" and page.body["id"] == fired.body["id"]
        if same and page.at_ns >= fired.at_ns:
            return page.at_ns
    return None


def _moment_ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000) * 1_000_000


def _seconds(at_ns: int, from_ns: int) -> float:
    return round((at_ns - from_ns) / NS_PER_S, 2)
