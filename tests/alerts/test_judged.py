"""From packets to a page: windows judged by the room quality, observed here. One fault, one alert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.evaluate import Evaluator
from alerts.event import Event, Fired, Resolved
from alerts.rule import Rule, load_rules
from linkgauge.model import LinkSpec
from quality.judge import judge
from tests.alerts.world import rule
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, flows, row, throughput, windows
from tests.quality.world import spec as plain

Pair = tuple[dict[str, int], dict[str, int] | None]
"""What became of the packets of a window there and back, and `unfit`; None: no row came."""
CLEAN: Pair = ({}, {})


def _spec(link: Any) -> LinkSpec:
    made = plain(link, mirrored=True)
    tags = {"link": str(link), "src": link.src, "dst": link.dst, "network": link.network, "tier": "region"}
    return LinkSpec(made.link, made.tier, 0, True, tags)


def _events(fates: Sequence[Pair], rules: Sequence[Rule] = ()) -> list[tuple[int, Event]]:
    """Windows of 50 packets there and back, with these fates; window and event of each change."""
    specs = [_spec(THERE), _spec(BACK)]
    evaluator, rows, events = Evaluator(rules or load_rules(), specs), [], []
    for at, pair in enumerate(fates):
        for link, fate in zip((THERE, BACK), pair, strict=True):
            if fate is None:
                continue
            lost = sum(count for name, count in fate.items() if name.startswith("lost"))
            delays = [4_000.0] * (50 - lost)
            rows.append(row(-at, link=str(link), sent=50, replied=50 - lost, rtt_us=delays, **fate))
        start_ns = START_NS + at * WINDOW_NS
        state = judge(windows(rows), throughput([]), flows([]), specs, start_ns, WINDOW_NS)
        events += [(at, event) for event in evaluator.step(state)]
    return events


def test_loss_on_one_link_in_one_direction_is_one_alert_that_ends() -> None:
    fault: Pair = ({"lost_forward": 10}, {"lost_backward": 10})
    (fired_at, fired), (over_at, over) = _events([CLEAN] * 3 + [fault] * 4 + [CLEAN] * 4)
    assert isinstance(fired, Fired)
    assert (fired.id, fired.since_ns) == ("link-loss/a>b@net/forward", START_NS + 3 * WINDOW_NS)
    assert (fired_at, over_at) == (4, 8)
    assert over.id == fired.id


def test_a_dead_pair_is_a_forward_alert_on_each_of_its_links() -> None:
    dead: Pair = ({"lost_unattributed": 50}, {"lost_unattributed": 50})
    assert [event.id for _, event in _events([dead] * 3)] == [
        "link-loss/a>b@net/forward",
        "link-loss/b>a@net/forward",
    ]


def test_a_lost_packet_now_and_then_is_no_alert() -> None:
    assert _events([({"lost_forward": 1}, {"lost_backward": 1}), ({}, {})] * 6) == []


def test_an_unfit_agent_is_no_alert_of_the_far_ends_link() -> None:
    """Node b is in trouble for some windows and drops replies of its own: a sees backward loss."""
    trouble: Pair = ({"lost_backward": 20}, {"unfit": 16})
    assert _events([CLEAN] * 3 + [trouble] * 4 + [CLEAN] * 4) == []


def test_loss_told_for_an_end_that_does_not_measure_ends_when_it_does() -> None:
    """b reflects only: a tells its direction. Then b measures and tells its own: a's alert may not stay."""
    alone: Pair = ({"lost_backward": 10}, None)
    both: Pair = ({"lost_backward": 10}, {"lost_forward": 10})
    events = _events([alone] * 3 + [both] * 12, [rule("link-loss", unknown_windows=8)])
    assert [(at, type(event), event.id) for at, event in events] == [
        (1, Fired, "link-loss/a>b@net/backward"),
        (4, Fired, "link-loss/b>a@net/forward"),
        (10, Resolved, "link-loss/a>b@net/backward"),
    ]
    assert "no longer judged from here" in events[-1][1].summary
