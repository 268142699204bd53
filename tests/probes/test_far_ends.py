"""Far ends that are not ours: TWAMP-Light, stateless reflectors, other stamps; measured all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.frame import Frame
from linkgauge.plan import PlanLink
from probes.engine.flights import Flights
from probes.engine.plan_sessions import Staffed, staff
from probes.stamp.policy import Policy
from probes.stamp.window import Span, report
from tests.probes.loopback import FAR4, HOME4, SYNCED, FarEnd, await_stamps, stamp_plan, until

Measure = Callable[..., Frame]
TAI_S = 37


@pytest.fixture
def measure() -> Iterator[Measure]:
    """The window of some packets to a far end of that policy; twice as many packets as sessions."""
    await_stamps(FAR4)
    opened: list[Any] = []

    def window(policy: Policy, links: list[PlanLink], **changed: Any) -> Frame:
        far = FarEnd(FAR4, 0, policy)
        made = staff(stamp_plan(far.port, links=links, **changed), {}, 0, Flights(far.port, 44, {}))
        opened.extend((far, made.sender))
        made.sender.set_error(SYNCED)
        while made.sender.sessions.next_seq.min() < 2 * made.sender.wheel.train:
            made.sender.send_due(Instant(made.sender.next_due_ns(), 0), SystemClock())
        return _reported(made, far)

    yield window
    for one in opened:
        one.close()


def _reported(made: Staffed, far: FarEnd) -> Frame:
    sessions = made.sender.sessions
    sent = int(sessions.next_seq.sum())
    far.answer(sent)

    def all_back() -> bool:
        made.sender.read(0, force=True)
        return int((sessions.reply["seq"] >= 0).sum()) == sent

    until(all_back, "replies are missing")
    assert sessions.discarded.sum() == 0
    first, missed = np.zeros(len(sessions), np.int64), sessions.missed.copy()
    span = Span(10**18, NS_PER_S, first, sessions.next_seq.copy(), missed, 10_000.0, TAI_S, 0, False)
    return report(sessions, made.groups, span).frame


def links(count: int, reflector: str) -> list[PlanLink]:
    return [PlanLink(f"a>b{at}@net", HOME4, FAR4, reflector) for at in range(count)]


@pytest.mark.parametrize("size", [0, 41, 200])
def test_twamp_light(measure: Measure, size: int) -> None:
    rows = measure(Policy(twamp_light=True), links(3, "twamp-light"), size_bytes=size, classes=[0, 46])
    assert rows.rows == 3
    assert (rows.count("replied") == rows.count("sent")).all()
    assert (rows.real("rtt_p50_us") > 0).all()
    assert (rows.real("rtt_p50_us") < 1e6).all()
    assert (rows.count("marks") == 0).all()
    assert np.isnan(rows.real("dscp_forward")).all()
    assert (rows.real("dscp_backward") == 0).all()


def test_a_stateless_far_end(measure: Measure) -> None:
    rows = measure(Policy(stateless=True), links(2, "stateless"), flows=2)
    assert (rows.count("replied") == rows.count("sent")).all()
    assert (rows.count("marks") == rows.count("replied")).all()


def test_a_far_end_that_stamps_in_ptp(measure: Measure) -> None:
    rows = measure(Policy(tai_offset_s=TAI_S), links(1, "stateful"))
    assert (rows.count("replied") == rows.count("sent")).all()
    assert 0 < rows.real("rtt_p50_us")[0] < 1e6
    assert abs(rows.real("forward_p50_us")[0]) < 1e6


def test_plain_and_twamp_light_links_from_one_address(measure: Measure) -> None:
    """One far end answers as a plain one; the light link is known by its address alone."""
    mixed = [*links(1, "stateful"), PlanLink("a>c@net", HOME4, FAR4, "twamp-light")]
    rows = measure(Policy(), mixed)
    assert (rows.count("replied") == rows.count("sent")).all()
    assert (rows.count("marks") > 0).tolist() == [True, False]
