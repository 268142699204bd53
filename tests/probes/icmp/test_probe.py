"""Echo rounds: the bookkeeping against a scripted door."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.clock import Instant
from linkgauge.code import Unfit
from linkgauge.plan import PlanLink
from probes.echo import Fate
from probes.icmp.arrivals import Arrivals, Replies, Returns
from probes.icmp.echo_socket import NoPermission
from probes.icmp.probe import IcmpProber
from probes.icmp.round import PART, PART_NS
from probes.sockets.raw_name import address_of, raw_name

US, MS = 1_000, 1_000_000


class TickingClock:
    """Each look at it takes 1 ms, so that no test has to wait; the wall clock may be stepped."""

    def __init__(self) -> None:
        self.mono_ns, self.offset_ns = 0, 10**18

    def now(self) -> Instant:
        self.mono_ns += MS
        return Instant(self.mono_ns, self.mono_ns + self.offset_ns)

    def sleep(self, seconds: float) -> None:
        self.mono_ns += round(seconds * 1e9)


class Door:
    """Answers each packet by `plan`: what comes for the packet to that peer; always readable."""

    def __init__(self, clock: TickingClock) -> None:
        self.clock, self.plan = clock, dict[str, list[str]]()
        self.sent: list[tuple[str, int]] = []
        self.at_ns: list[int] = []
        self.refusing = self.dropped = self.malformed = self.foreign = 0
        self.waiting: list[Arrivals] = []
        self._read, self._write = os.pipe()
        os.write(self._write, b"x")

    def send(self, names: NDArray[np.uint8], serial: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = np.full(len(serial), -1, np.int64)
        self.at_ns.append(self.clock.mono_ns)
        for row, (name, number) in enumerate(zip(names, serial.tolist(), strict=True)):
            if self.refusing:
                self.refusing -= 1
                continue
            numbers[row] = 1000 + len(self.sent)
            self.sent.append((address_of(name), number))
            wall_ns = self.clock.mono_ns + self.clock.offset_ns
            whats = self.plan.get(address_of(name), [])
            self.waiting += [made(what, name, number, int(numbers[row]), wall_ns) for what in whats]
        return numbers

    def receive(self) -> Arrivals | None:
        return self.waiting.pop(0) if self.waiting else None

    def fileno(self) -> int:
        return self._read

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


def made(what: str, name: NDArray[np.uint8], serial: int, number: int, wall_ns: int) -> Arrivals:
    """What comes for the packet `serial` that left at wall_ns: a look of the socket."""
    come = {
        "reply": (name, serial, wall_ns + 250 * US),
        "slow": (name, serial, wall_ns + 80 * MS),
        "no stamp": (name, serial, 0),
        "stepped": (name, serial, wall_ns + 3600 * 1000 * MS),
        "other peer": (raw_name("10.9.9.9", 0), serial, wall_ns),
        "old": (name, serial - 100, wall_ns),
    }
    left = {
        "left": (number, wall_ns + 100 * US),
        "left before": (number, wall_ns - 3600 * 1000 * MS),
        "left of another": (number + 500, wall_ns),
    }
    names, serials, stamps = zip(*[come[what]], strict=True) if what in come else ((), (), ())
    numbers, stamped = zip(*[left[what]], strict=True) if what in left else ((), ())
    error = what in ("refusal", "no route")
    return Arrivals(
        Replies(np.array(names, np.uint8).reshape(-1, 32), ints(serials), ints(stamps)),
        Returns(
            ints(numbers), ints(stamped), np.array([name] * error, np.uint8).reshape(-1, 32),
            ints([serial & 0xFFFF] * error), np.array([what == "refusal"] * error, np.bool_),
        ),
    )  # fmt: skip


def ints(values: object) -> NDArray[np.int64]:
    return np.array(values, np.int64)


LINKS = [PlanLink("a>b@n", "10.0.0.1", "10.0.0.2"), PlanLink("a>c@n", "10.0.0.1", "10.0.0.3")]


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(TickingClock())
    yield door
    door.close()


def prober(door: Door, plan: dict[str, list[str]]) -> IcmpProber:
    door.plan = plan
    made = IcmpProber(["10.0.0.1"], door.clock, lambda local, token, ident: door, door.clock.sleep)
    door.clock.mono_ns += 10**9  # past the warm-up
    return made


@pytest.mark.parametrize(
    ("what", "fate", "duplicates", "unmatched"),
    [
        (["reply"], Fate.REPLIED, 0, 0),
        ([], Fate.LOST, 0, 0),
        (["refusal"], Fate.REFUSED, 0, 0),
        (["no route"], Fate.UNREACHABLE, 0, 0),
        (["no route", "reply"], Fate.REPLIED, 0, 0),
        (["reply", "refusal"], Fate.REPLIED, 0, 0),
        (["refusal", "reply"], Fate.REFUSED, 0, 0),
        (["other peer"], Fate.LOST, 0, 1),
        (["old", "reply"], Fate.REPLIED, 0, 1),
        (["reply", "reply", "reply"], Fate.REPLIED, 2, 0),
        (["left of another", "reply"], Fate.REPLIED, 0, 0),
    ],
)
def test_fates(door: Door, what: list[str], fate: Fate, duplicates: int, unmatched: int) -> None:
    probing = prober(door, {"10.0.0.2": what})
    out = probing.round(LINKS, 50 * MS)
    assert out.link.tolist() == ["a>b@n", "a>c@n"]
    assert out.fate.tolist() == [fate, Fate.LOST]
    assert out.duplicate.tolist() == [duplicates, 0]
    assert probing.unmatched == unmatched
    assert probing.discarded == unmatched
    assert np.isnan(out.rtt_ns[0]) == (fate is not Fate.REPLIED)
    assert not out.unfit.any()


@pytest.mark.parametrize(("what", "fate"), [("no route", Fate.UNREACHABLE), ("refusal", Fate.REFUSED)])
def test_an_error_that_comes_after_the_round_corrects_it_until_the_next_has_ended(
    door: Door, what: str, fate: Fate
) -> None:
    probing = prober(door, {"10.0.0.3": ["reply"]})
    first = probing.round(LINKS, 50 * MS)
    assert first.fate.tolist() == [Fate.LOST, Fate.REPLIED]
    for name, serial in (("10.0.0.2", 0), ("10.0.0.3", 1), ("10.0.0.9", 0)):
        door.waiting.append(made(what, raw_name(name, 0), serial, 0, 0))
    second = probing.round(LINKS, 50 * MS)
    assert first.fate.tolist() == [fate, Fate.REPLIED]
    assert second.fate.tolist() == [Fate.LOST, Fate.REPLIED]
    assert probing.unmatched == 1
    probing.round(LINKS, 50 * MS)
    door.waiting.append(made(what, raw_name("10.0.0.2", 0), 2, 0, 0))
    probing.round(LINKS, 50 * MS)
    assert second.fate.tolist() == [Fate.LOST, Fate.REPLIED]
    assert probing.unmatched == 2


WHAT = st.sampled_from(
    [
        "reply",
        "slow",
        "no stamp",
        "stepped",
        "other peer",
        "old",
        "left",
        "left before",
        "refusal",
        "no route",
    ]
)


def twin(whats: list[str]) -> tuple[Fate, int]:
    """Fate and duplicates by the rules, one answer after another."""
    fate, duplicates = Fate.LOST, 0
    for what in whats:
        if what in ("reply", "slow", "no stamp", "stepped"):
            duplicates += fate is Fate.REPLIED
            fate = fate if fate is Fate.REFUSED else Fate.REPLIED
        elif what == "refusal" and fate is Fate.LOST:
            fate = Fate.REFUSED
        elif what == "no route" and fate is Fate.LOST:
            fate = Fate.UNREACHABLE
    return fate, duplicates


@given(st.lists(st.lists(WHAT, max_size=6), min_size=1, max_size=5))
def test_fates_equal_the_scalar_twin(plans: list[list[str]]) -> None:
    door = Door(TickingClock())
    probing = prober(door, {f"10.0.1.{row}": whats for row, whats in enumerate(plans)})
    links = [PlanLink(f"a>b{row}@n", "10.0.0.1", f"10.0.1.{row}") for row in range(len(plans))]
    out = probing.round(links, 10_000 * MS)
    door.close()
    expected = [twin(whats) for whats in plans]
    assert list(zip(out.fate.tolist(), out.duplicate.tolist(), strict=True)) == expected
    assert (np.isnan(out.rtt_ns) == (out.fate != Fate.REPLIED)).all()
    assert probing.unmatched == sum(what in ("other peer", "old") for whats in plans for what in whats)


def test_the_delay_is_the_kernels(door: Door) -> None:
    out = prober(door, {"10.0.0.2": ["reply", "left"]}).round(LINKS, 50 * MS)
    assert out.rtt_ns[0] == 150 * US
    assert out.stamped.tolist() == [True, False]
    assert out.sent_wall_ns[0] - out.sent_wall_ns[1] == -400 * US  # half of the call, less 100 us


@pytest.mark.parametrize("what", [["reply"], ["reply", "left before"]])
def test_without_a_transmit_stamp_the_call_is_the_departure(door: Door, what: list[str]) -> None:
    out = prober(door, {"10.0.0.2": what}).round(LINKS, 50 * MS)
    assert out.rtt_ns[0] == 250 * US
    assert not out.stamped.any()


@pytest.mark.parametrize("what", ["no stamp", "stepped"])
def test_without_a_usable_stamp_the_monotonic_clock_bounds_the_delay(door: Door, what: str) -> None:
    out = prober(door, {"10.0.0.2": [what, "left"]}).round(LINKS, 50 * MS)
    assert out.fate[0] == Fate.REPLIED
    assert MS <= out.rtt_ns[0] <= 5 * MS


def test_a_reply_beyond_the_timeout_is_late(door: Door) -> None:
    out = prober(door, {"10.0.0.2": ["no stamp"]}).round(LINKS[:1], MS // 2)
    assert out.fate.tolist() == [Fate.LATE]


def test_what_the_kernel_will_not_send_is_no_loss(door: Door) -> None:
    probing = prober(door, {"10.0.0.3": ["reply"]})
    door.refusing = 1
    assert probing.round(LINKS, 50 * MS).fate.tolist() == [Fate.SEND_FAILED, Fate.REPLIED]


def test_a_full_receive_queue_makes_the_round_unfit(door: Door) -> None:
    class Overflowing(Door):
        def receive(self) -> Arrivals | None:
            self.dropped = 3 * bool(self.sent)
            return super().receive()

    overflowing = Overflowing(door.clock)
    out = prober(overflowing, {}).round(LINKS, MS)
    overflowing.close()
    assert out.unfit.tolist() == [Unfit.RECEIVE_DROPPED.value] * 2


def test_a_target_without_address_a_local_that_is_not_here_another_version(door: Door) -> None:
    links = [
        PlanLink("a>d@n", "10.0.0.1", "d.example"), PlanLink("a>e@n", "10.5.5.5", "10.0.0.2"),
        PlanLink("a>f@n", "10.0.0.1", "fd00::1"),
    ]  # fmt: skip
    out = prober(door, {}).round(links, MS)
    assert out.fate.tolist() == [Fate.UNRESOLVED, Fate.SEND_FAILED, Fate.SEND_FAILED]
    assert door.sent == []


def test_serials_go_on_so_that_rounds_are_told_apart(door: Door) -> None:
    probing = prober(door, {})
    probing.round(LINKS, MS)
    probing.round(LINKS[1:], MS)
    assert door.sent == [("10.0.0.2", 0), ("10.0.0.3", 1), ("10.0.0.3", 2)]


def test_many_leave_in_parts(door: Door) -> None:
    links = [PlanLink(f"a>b{row}@n", "10.0.0.1", f"10.0.1.{row + 1}") for row in range(2 * PART + 1)]
    prober(door, {}).round(links, MS)
    assert [serial for _, serial in door.sent] == list(range(2 * PART + 1))
    assert len(door.at_ns) == 3
    assert min(np.diff(door.at_ns)) >= PART_NS


def test_after_close_nothing_is_sent() -> None:
    door = Door(TickingClock())
    probing = prober(door, {})
    probing.close()
    assert probing.round(LINKS, MS).fate.tolist() == [Fate.SEND_FAILED] * 2
    assert door.sent == []


def test_without_permission_one_sentence_says_so() -> None:
    def refuse(local: str, token: bytes, ident: int) -> Door:
        raise NoPermission("ICMP echo needs CAP_NET_RAW; grant it")

    probing = IcmpProber(["10.0.0.1"], TickingClock(), refuse)
    assert probing.unavailable == "ICMP echo needs CAP_NET_RAW; grant it"
    assert probing.round(LINKS, MS).fate.tolist() == [Fate.SEND_FAILED] * 2
