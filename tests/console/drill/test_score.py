"""What alerts say about a fault, held against its truth."""

from __future__ import annotations

from typing import Any

from console.demo.webhook import Page
from console.drill.score import AMONG, NONE, OPEN, RIGHT, WRONG, Score, score
from lab.faults import truths
from lab.faults.fault import Fault
from lab.places import drill_topology
from linkgauge.clock import NS_PER_S

_LINK = ("jinan-1", "guiyang-1", "backbone")
_START_NS = 1_700_000_000 * NS_PER_S


def _page(at_s: float, rule: str, status: str = "firing", **labels: str) -> Page:
    direction = labels.get("direction", "-")
    about = labels.get("src", "") + labels.get("node", "") + labels.get("place", "")
    body: dict[str, Any] = {
        "status": status,
        "rule": rule,
        "id": f"{rule}/{about}/{direction}",
        "link": "x" if "src" in labels else None,
        "direction": direction,
        "fired_at": "2023-11-14T22:13:29.000Z",  # 9 s after the start
        "labels": labels,
    }
    return Page(_START_NS + round(at_s * NS_PER_S), body)


def _on(src: str = "jinan-1", dst: str = "guiyang-1", direction: str = "forward") -> dict[str, str]:
    return {"src": src, "dst": dst, "network": "backbone", "direction": direction}


def _score(fault: Fault, *pages: Page, measured: tuple[str, ...] = ()) -> Score:
    truth = truths.truth(drill_topology(), fault)
    return score(fault.kind, truth, pages, _START_NS, _START_NS + 60 * NS_PER_S, 3 * NS_PER_S, measured)


def test_a_loss_told_on_its_link() -> None:
    found = _score(
        Fault("loss", _LINK),
        _page(12, "link-loss", **_on()),
        _page(75, "link-loss", "resolved", **_on()),
        measured=("lost_forward",),
    )
    assert (found.detect_s, found.notify_s, found.resolve_s) == (9.0, 12.0, 15.0)
    assert (found.link, found.direction, found.place) == (True, True, OPEN)
    assert found.good


def test_another_link_or_direction_is_wrong() -> None:
    other = _score(Fault("loss", _LINK), _page(9, "link-loss", **_on("zunyi-1")))
    assert other.link is False
    assert len(other.others) == 1
    assert not other.detected
    back = _score(Fault("loss", _LINK), _page(9, "link-loss", **_on("guiyang-1", "jinan-1")))
    assert back.detected
    assert back.direction is False
    assert not back.good


def test_a_fault_that_is_not_told_or_not_over() -> None:
    silent = _score(Fault("blackhole", _LINK))
    assert (silent.detected, silent.link, silent.direction) == (False, None, None)
    lasting = _score(Fault("blackhole", _LINK), _page(9, "link-unreachable", **_on(direction="-")))
    assert lasting.resolve_s is None
    assert lasting.direction is None
    assert lasting.link


def test_a_place_that_is_named_as_one_of_several_is_no_wrong_one() -> None:
    receiver = Fault("bad-receiver", _LINK, "guiyang-1")
    right = next(iter(truths.truth(drill_topology(), receiver).places))
    page = _page(9, "common-cause", kind="hop", place="10.0.0.1", direction="in")
    page.body["place"] = f"hop 10.0.0.1 (what enters it); cannot tell it from hop 10.0.0.2, {' '.join(right)}"
    among = _score(receiver, page)
    assert (among.place, among.others) == (AMONG, ())
    page.body["place"] = "hop 10.0.0.1 (what enters it); cannot tell it from hop 10.0.0.2"
    wrong = _score(receiver, page)
    assert (wrong.place, len(wrong.others)) == (WRONG, 1)


def test_what_was_held_back_since_an_earlier_fault_is_not_of_this_one() -> None:
    late = _page(9, "delay-step", **_on("zunyi-1"))
    late.body["since"] = "2023-11-14T22:10:00.000Z"
    assert _score(Fault("remark", _LINK), late, measured=("remarked_forward",)).others == ()
    late.body["since"] = "2023-11-14T22:13:20.000Z"
    assert len(_score(Fault("remark", _LINK), late).others) == 1


def test_a_place_of_tickets_is_a_place() -> None:
    cut = Fault("mtu-cut", _LINK)
    right = _score(cut, _page(9, "common-mtu", kind="node", place="guiyang-1", direction="both"))
    assert (right.place, right.others, right.good) == (RIGHT, (), True)
    assert _score(cut, _page(9, "common-mtu", kind="site", place="guiyang")).place == WRONG
    assert not _score(cut, _page(9, "common-remark", kind="node", place="guiyang-1")).good


def test_places() -> None:
    dead = Fault("node-down", _LINK, "guiyang-1")
    assert _score(dead, _page(9, "node-down", node="guiyang-1", site="guiyang")).place == RIGHT
    assert _score(dead, _page(9, "node-down", node="zunyi-1", site="zunyi")).place == WRONG
    assert _score(dead, _page(9, "link-loss", **_on())).place == NONE
    site = Fault("site-down", _LINK, "guiyang")
    assert _score(site, _page(9, "common-cause", kind="site", place="guiyang")).good
    assert _score(site, _page(9, "common-cause", kind="site", place="zunyi")).place == WRONG
    assert _score(Fault("loss", _LINK), _page(9, "common-cause", kind="node", place="zunyi-1")).place == WRONG


def test_what_no_rule_looks_at_is_seen_in_its_column() -> None:
    assert _score(Fault("duplicate", _LINK), measured=("duplicate",)).good
    unseen = _score(Fault("duplicate", _LINK))
    assert not unseen.detected
    assert unseen.measured == ("-duplicate",)
