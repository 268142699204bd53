"""The sender on loopback: what is due leaves once, what is missed is counted, what comes back is taken in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.plan import Plan
from probes.engine.flights import Flights
from probes.engine.plan_sessions import staff
from probes.engine.sender import LONGEST_UNDIGESTED_NS, LONGEST_UNREAD_NS, Sender
from probes.stamp.sessions import FAILED, REFUSED, Discard
from tests.probes.fake_clock import FakeClock
from tests.probes.loopback import (
    FAR4,
    HOME4,
    MS,
    SYNCED,
    FarEnd,
    Listener,
    await_stamps,
    free_port,
    stamp_plan,
    until,
)

Make = Callable[..., Sender]
KEY = b"a key for tests!"
NEVER_NS = 1 << 62


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Sender] = []

    def sender(plan: Plan, start_ns: int = 0, keys: dict[str, bytes] | None = None) -> Sender:
        made.append(staff(plan, keys or {}, start_ns, Flights(plan.stamp_port, 44, {})).sender)
        made[-1].set_error(SYNCED)
        return made[-1]

    yield sender
    for one in made:
        one.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def far() -> Iterator[FarEnd]:
    await_stamps(FAR4)
    made = FarEnd()
    yield made
    made.close()


def at(mono_ns: int) -> Instant:
    return Instant(mono_ns, 10**18 + mono_ns)


def run(sender: Sender, until_ns: int, step_ns: int = MS, start_ns: int = 0) -> None:
    """Turn the fake clock and send what is due."""
    clock = FakeClock()
    for mono_ns in range(start_ns, until_ns, step_ns):
        sender.send_due(at(mono_ns), clock)


def sent(sender: Sender) -> int:
    """Packets of all sessions so far."""
    return int(sender.sessions.next_seq.sum())


def numbers(came: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Numbers of the packets of each SSID, as they came."""
    by_ssid: dict[int, list[int]] = {}
    for ssid, seq, _ in came:
        by_ssid.setdefault(ssid, []).append(seq)
    return by_ssid


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"stamp_interval_ns": 1_000_000},
        {"flows": 4, "classes": [0, 46]},
        {"stamp_interval_ns": 200_000},
        {"transmit_stamps": "on", "flows": 3},
        {"poisson": True},
    ],
)
def test_every_session_sends_its_numbers_one_after_another(
    make: Make, listener: Listener, changed: dict[str, Any]
) -> None:
    plan = stamp_plan(listener.port, **changed)
    sender = make(plan)
    run(sender, 2 * NS_PER_S)
    came = numbers(listener.take(sent(sender)))
    assert set(came) == set(sender.sessions.ends.ssid.tolist())
    each = 2 * NS_PER_S / (plan.stamp_interval_ns * plan.flows)
    spread = 6 * each**0.5 if plan.poisson else sender.wheel.train
    for session, ssid in enumerate(sender.sessions.ends.ssid.tolist()):
        count = int(sender.sessions.next_seq[session])
        assert sorted(came[ssid]) == list(range(count))
        assert count == pytest.approx(each, abs=spread)
    assert sender.sessions.missed.sum() == 0


def test_flows_leave_from_ports_of_their_own_and_classes_share_them(make: Make, listener: Listener) -> None:
    sender = make(stamp_plan(listener.port, flows=3, classes=[0, 46]))
    run(sender, 200 * MS)
    port_of = {ssid: port for ssid, _, port in listener.take(sent(sender))}
    assert len(port_of) == 6
    assert Counter(port_of.values()) == Counter({port.socket.port: 2 for port in sender.ports})


@pytest.mark.parametrize("interval_ns", [10 * MS, 100 * MS])
def test_missed_slots_are_counted_and_never_sent_as_a_burst(
    make: Make, listener: Listener, interval_ns: int
) -> None:
    sender = make(stamp_plan(listener.port, stamp_interval_ns=interval_ns))
    run(sender, NS_PER_S)
    before = len(listener.take(sent(sender)))
    lag_ns = sender.send_due(at(9 * NS_PER_S), FakeClock())
    burst = len(listener.take(sent(sender) - before))
    latest_ns = min(max(interval_ns // 4, 20 * MS), 250 * MS)
    assert burst <= latest_ns // interval_ns + sender.wheel.train
    assert 7 * NS_PER_S < lag_ns <= 8 * NS_PER_S + interval_ns
    run(sender, 10 * NS_PER_S, start_ns=9 * NS_PER_S)
    after = len(listener.take(sent(sender) - before - burst))
    missed = int(sender.sessions.missed.sum())
    assert before + burst + after + missed == pytest.approx(
        10 * NS_PER_S / interval_ns, abs=sender.wheel.train
    )
    assert missed >= 7 * NS_PER_S // interval_ns
    assert before + burst + after == sent(sender)


def test_a_poisson_session_that_was_held_up_sends_no_burst(make: Make, listener: Listener) -> None:
    sender = make(stamp_plan(listener.port, poisson=True))
    run(sender, NS_PER_S)
    before = sent(sender)
    sender.send_due(at(9 * NS_PER_S), FakeClock())
    assert sent(sender) - before <= 1
    assert len(listener.take(sent(sender))) == sent(sender)
    missed = int(sender.sessions.missed.sum())
    assert missed == pytest.approx(800, abs=6 * 800**0.5), "8 s, 10 ms between packets"


def test_the_next_due_time_is_that_of_the_next_packet(make: Make, listener: Listener) -> None:
    sender = make(stamp_plan(listener.port), start_ns=7 * NS_PER_S)
    due = []
    for _ in range(100):
        due.append(sender.next_due_ns())
        sender.send_due(at(due[-1] - 1), FakeClock())
        assert not listener.take()
        assert sender.send_due(at(due[-1]), FakeClock()) == 0
        assert len(listener.take(sender.wheel.train)) == sender.wheel.train
    assert set(np.diff(due).tolist()) == {sender.wheel.cycle_ns}


def test_without_links_there_is_never_anything_to_do(make: Make) -> None:
    sender = make(stamp_plan(1, peers=[]))
    assert sender.next_due_ns() == NEVER_NS
    assert sender.send_due(at(10**15), FakeClock()) == 0
    sender.set_error(5)
    sender.read(10**15, force=True)


def exchange(sender: Sender, far: FarEnd, ticks: int = 1) -> int:
    """Send so many ticks now, have them answered and read; returns how many packets."""
    clock = SystemClock()
    for _ in range(ticks):
        sender.send_due(Instant(sender.next_due_ns(), 0), clock)
    count = sent(sender)
    far.answer(count)

    def all_back() -> bool:
        sender.read(0, force=True)
        return int((sender.sessions.reply["seq"] >= 0).sum()) >= count

    until(all_back, "replies are missing")
    return count


@pytest.mark.parametrize("stamps", ["on", "off"])
def test_replies_are_taken_in_with_delays_that_can_be(make: Make, far: FarEnd, stamps: str) -> None:
    sender = make(stamp_plan(far.port, flows=2, classes=[0, 46], transmit_stamps=stamps))
    exchange(sender, far, 20)
    sessions = sender.sessions
    row, seq = np.nonzero(sessions.reply["seq"] >= 0)
    reply = sessions.reply[row, seq]
    t1, kernel = sessions.t1_ns(row, seq.astype(np.int64))
    assert (reply["t4_ns"] >= t1).all()
    assert (reply["t4_ns"] - t1 < 60 * NS_PER_S).all()
    assert kernel.all() if stamps == "on" else not kernel.any()
    assert set(reply["tos_out"].tolist()) == {2, 46 << 2 | 2}
    assert (reply["tos_out"] == reply["tos_back"]).all()
    assert sender.unstamped == 0
    assert sessions.discarded.sum() == 0


def test_more_than_the_inbox_holds_is_taken_in_whole(make: Make, far: FarEnd) -> None:
    sender = make(stamp_plan(far.port, stamp_interval_ns=MS, flows=2))
    assert exchange(sender, far, 2_000 // sender.wheel.train) > 3 * 512


def test_authentic_replies_are_taken(make: Make) -> None:
    await_stamps(FAR4)
    far = FarEnd(keys={HOME4: KEY})
    sender = make(stamp_plan(far.port, authenticated=True), keys={FAR4: KEY})
    exchange(sender, far, 3)
    assert sender.sessions.discarded.sum() == 0
    far.close()


def test_a_reply_that_was_tampered_with_is_counted_and_not_taken(make: Make, listener: Listener) -> None:
    sender = make(stamp_plan(listener.port, authenticated=True), keys={FAR4: KEY})
    sender.send_due(Instant(sender.next_due_ns(), 0), SystemClock())
    got = listener.one()
    got.data[:, 30] ^= 1
    count = len(got.length)
    listener.socket.reply(np.arange(count), got.length.copy(), np.zeros(count, np.uint8))

    def counted() -> bool:
        sender.read(0, force=True)
        return int(sender.sessions.discarded[Discard.UNAUTHENTIC]) == count

    until(counted)
    assert not (sender.sessions.reply["seq"] >= 0).any()


def test_what_is_refused_by_the_far_host_is_noted(make: Make) -> None:
    sender = make(stamp_plan(free_port(FAR4)))
    sender.send_due(Instant(sender.next_due_ns(), 0), SystemClock())

    def noted() -> bool:
        sender.read(0, force=True)
        return bool((sender.sessions.mishap == REFUSED).any())

    until(noted)


def test_one_far_end_without_a_route_fails_and_the_others_are_measured(make: Make, far: FarEnd) -> None:
    sender = make(stamp_plan(far.port, peers=["240.0.0.1", FAR4], transmit_stamps="on"))
    sessions = sender.sessions
    for _ in range(6):
        sender.send_due(Instant(sender.next_due_ns(), 0), SystemClock())
    dead = int(np.flatnonzero(sessions.ends.names[:, 4] == 240)[0])
    count = int(sessions.next_seq[1 - dead])
    assert count > 0
    far.answer(count)

    def all_back() -> bool:
        sender.read(0, force=True)
        return int((sessions.reply["seq"][1 - dead] >= 0).sum()) == count

    until(all_back)
    failed = sessions.mishap[dead] == FAILED
    assert int(failed.sum()) == int(sessions.next_seq[dead])
    assert not (sessions.mishap[1 - dead] == FAILED).any()
    assert sender.ports[0].socket.send_failed == int(failed.sum())
    stamped = sessions.t1_ns(np.full(count, 1 - dead), np.arange(count))[1]
    assert stamped.all(), "one far end costs the others their transmit stamps"


def test_the_kernel_is_read_now_and_then_and_when_it_must_be(make: Make, far: FarEnd) -> None:
    sender = make(stamp_plan(far.port))
    sender.read(NS_PER_S, force=True)
    sender.send_due(Instant(sender.next_due_ns(), 0), SystemClock())
    far.answer(sent(sender))
    sender.read(NS_PER_S + LONGEST_UNREAD_NS - 1)
    assert sender.ports[0].unread > 0
    sender.read(NS_PER_S + LONGEST_UNREAD_NS)
    assert sender.ports[0].unread == 0
    assert not (sender.sessions.reply["seq"] >= 0).any(), "what was read is not taken in at once"

    def taken() -> bool:
        sender.read(NS_PER_S + LONGEST_UNDIGESTED_NS)
        sender._read_mono_ns = sender._digested_mono_ns = NS_PER_S  # replies may have come after the reading
        return bool((sender.sessions.reply["seq"] >= 0).any())

    until(taken)


def test_while_somebody_reads_the_table_nothing_is_written_into_it(make: Make, far: FarEnd) -> None:
    sender = make(stamp_plan(far.port))
    sender.send_due(Instant(sender.next_due_ns(), 0), SystemClock())
    far.answer(sent(sender))
    waited: list[bool] = []
    sender.held = lambda: waited.append(True)
    for _ in range(20):
        sender.read(0, force=True)
    assert waited == []
    assert not (sender.sessions.reply["seq"] >= 0).any()
    sender.digest()
    assert waited == [True], "when there is no room left, it is waited for"
