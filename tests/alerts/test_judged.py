"""From packets to a page: windows judged by the room quality, observed here. One fault, one alert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.evaluation.evaluate import Evaluator
from alerts.rule import Rule, load_rules
from linkgauge.model import LinkSpec
from tests.alerts.world import rule
from tests.quality.plain import judge
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, flows, row, throughput, windows
from tests.quality.world import spec as plain

Pair = tuple[dict[str, int], dict[str, int] | None]
"""What became of the packets of a window there and back, and `unfit`; None: no row came."""
CLEAN: Pair = ({}, {})
LOSS = [each for each in load_rules() if each.name in ("link-loss", "link-delay", "flow-loss")]
Told = tuple[int, str, str, int]
"""Window in which it is told, what, of which rule, thing and direction, and the window since when."""


def _spec(link: Any) -> LinkSpec:
    made = plain(link, mirrored=True)
    tags = {"link": str(link), "src": link.src, "dst": link.dst, "network": link.network, "tier": "region"}
    return LinkSpec(made.link, made.tier, 0, True, tags)


def _told(fates: Sequence[Pair], rules: Sequence[Rule] = ()) -> list[Told]:
    """Windows of 50 packets there and back, with these fates."""
    specs = [_spec(THERE), _spec(BACK)]
    evaluator, rows, told = Evaluator(rules or LOSS), [], list[Told]()
    for at, pair in enumerate(fates):
        for link, fate in zip((THERE, BACK), pair, strict=True):
            if fate is None:
                continue
            lost = sum(count for name, count in fate.items() if name.startswith("lost"))
            delays = [4_000.0] * (50 - lost)
            rows.append(row(-at, link=str(link), sent=50, replied=50 - lost, rtt_us=delays, **fate))
        start_ns = START_NS + at * WINDOW_NS
        state = judge(windows(rows), throughput([]), flows([]), specs, start_ns, WINDOW_NS)
        for each in evaluator.step({"state": state}):
            about = f"{each.watch.rule.name}/{each.thing}/{each.watch.direction}"
            told.append((at, each.kind, about, (each.since_ns - START_NS) // WINDOW_NS))
    return told


def test_loss_on_one_link_in_one_direction_is_one_alert_that_ends() -> None:
    fault: Pair = ({"lost_forward": 10}, {"lost_backward": 10})
    assert _told([CLEAN] * 3 + [fault] * 4 + [CLEAN] * 8) == [
        (4, "fires", "link-loss/a>b@net/forward", 3),
        (12, "over", "link-loss/a>b@net/forward", 3),
    ]


def test_a_dead_pair_is_a_forward_alert_on_each_of_its_links() -> None:
    dead: Pair = ({"lost_unattributed": 50}, {"lost_unattributed": 50})
    assert [about for _, _, about, _ in _told([dead] * 4)] == [
        "link-loss/a>b@net/forward",
        "link-loss/b>a@net/forward",
    ]


def test_a_lost_packet_now_and_then_is_no_alert() -> None:
    assert _told([({"lost_forward": 1}, {"lost_backward": 1}), ({}, {})] * 6) == []


def test_an_unfit_agent_is_no_alert_of_the_far_ends_link() -> None:
    """Node b is in trouble for some windows and drops replies of its own: a sees backward loss."""
    trouble: Pair = ({"lost_backward": 20}, {"unfit": 16})
    assert _told([CLEAN] * 3 + [trouble] * 4 + [CLEAN] * 4) == []


def test_loss_told_for_an_end_that_does_not_measure_ends_when_it_does() -> None:
    """b reflects only: a tells its direction. Then b measures and tells its own: a's alert may not stay."""
    alone: Pair = ({"lost_backward": 10}, None)
    both: Pair = ({"lost_backward": 10}, {"lost_forward": 10})
    assert _told([alone] * 4 + [both] * 12, [rule("link-loss", unknown_windows=8)]) == [
        (1, "fires", "link-loss/a>b@net/backward", 0),
        (5, "fires", "link-loss/b>a@net/forward", 4),
        (11, "unjudged", "link-loss/a>b@net/backward", 0),
    ]
