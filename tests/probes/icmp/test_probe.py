"""Echo rounds: the bookkeeping against a scripted door, and real echoes on loopback and in a namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from linkgauge.clock import Instant
from linkgauge.wire import PlanLink
from probes.echo import Fate
from probes.icmp.echo_socket import Arrival, NoPermission
from probes.icmp.probe import IcmpProber
from tests.probes.router import ICMP, Router, inside, routed

MS = 1_000_000


class TickingClock:
    """Each look at it takes 1 ms, so that no test has to wait; the wall clock may be stepped."""

    def __init__(self) -> None:
        self.mono_ns, self.offset_ns = 0, 10**18

    def now(self) -> Instant:
        self.mono_ns += MS
        return Instant(self.mono_ns, self.mono_ns + self.offset_ns)


class Door:
    """Answers what the test puts into `arrivals`; always readable."""

    def __init__(self, clock: TickingClock) -> None:
        self.clock, self.arrivals, self.sent = clock, list[Arrival](), list[tuple[str, int]]()
        self.failing = 0
        self._read, self._write = os.pipe()
        os.write(self._write, b"x")

    def send(self, peer: str, serial: int) -> None:
        if self.failing:
            self.failing -= 1
            raise OSError(113, "No route to host")
        self.sent.append((peer, serial))

    def receive(self) -> list[Arrival]:
        taken, self.arrivals = self.arrivals, []
        return taken

    def fileno(self) -> int:
        return self._read

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


LINKS = [PlanLink("a>b@n", "10.0.0.1", "10.0.0.2"), PlanLink("a>c@n", "10.0.0.1", "10.0.0.3")]


class Scripted(Door):
    """Answers each packet by `plan`: what comes for the packet to that peer."""

    plan: dict[str, list[str]]

    def send(self, peer: str, serial: int) -> None:
        super().send(peer, serial)
        sent_ns = self.clock.mono_ns + self.clock.offset_ns
        for what in self.plan.get(peer, []):
            made = {
                "reply": Arrival(peer, serial & 0xFFFF, serial, sent_ns + MS // 4),
                "slow": Arrival(peer, serial & 0xFFFF, serial, sent_ns),
                "no stamp": Arrival(peer, serial & 0xFFFF, serial, 0),
                "stepped": Arrival(peer, serial & 0xFFFF, serial, sent_ns + 3600 * 1000 * MS),
                "error": Arrival(peer, serial & 0xFFFF, None, 0),
                "other peer": Arrival("10.9.9.9", serial & 0xFFFF, serial, sent_ns),
                "old": Arrival(peer, serial & 0xFFFF, serial - 100, sent_ns),
            }[what]
            self.arrivals.append(made)


@pytest.fixture
def door() -> Iterator[Scripted]:
    door = Scripted(TickingClock())
    yield door
    door.close()


def prober(door: Scripted, plan: dict[str, list[str]]) -> IcmpProber:
    door.plan = plan
    made = IcmpProber(["10.0.0.1"], door.clock, lambda local, token, ident: door)
    door.clock.mono_ns += 10**9  # past the warm-up
    return made


@pytest.mark.parametrize(
    ("what", "fate", "duplicates", "unmatched"),
    [
        (["reply"], Fate.REPLIED, 0, 0),
        ([], Fate.LOST, 0, 0),
        (["error"], Fate.REFUSED, 0, 0),
        (["reply", "error"], Fate.REPLIED, 0, 0),
        (["error", "reply"], Fate.REFUSED, 0, 0),
        (["other peer"], Fate.LOST, 0, 1),
        (["old", "reply"], Fate.REPLIED, 0, 1),
        (["reply", "reply", "reply"], Fate.REPLIED, 2, 0),
    ],
)
def test_fates(door: Scripted, what: list[str], fate: Fate, duplicates: int, unmatched: int) -> None:
    probing = prober(door, {"10.0.0.2": what})
    out = probing.round(LINKS, 50 * MS)
    assert out.link.tolist() == ["a>b@n", "a>c@n"]
    assert out.fate.tolist() == [fate, Fate.LOST]
    assert out.duplicate.tolist() == [duplicates, 0]
    assert probing.unmatched == unmatched
    assert np.isnan(out.rtt_ns[0]) == (fate is not Fate.REPLIED)


def test_the_delay_is_the_kernels(door: Scripted) -> None:
    out = prober(door, {"10.0.0.2": ["reply"]}).round(LINKS, 50 * MS)
    assert out.rtt_ns[0] == MS / 4


@pytest.mark.parametrize("what", ["no stamp", "stepped"])
def test_without_a_usable_stamp_the_monotonic_clock_bounds_the_delay(door: Scripted, what: str) -> None:
    out = prober(door, {"10.0.0.2": [what]}).round(LINKS, 50 * MS)
    assert out.fate[0] == Fate.REPLIED
    assert MS <= out.rtt_ns[0] <= 5 * MS


def test_a_reply_beyond_the_timeout_is_late(door: Scripted) -> None:
    out = prober(door, {"10.0.0.2": ["no stamp"]}).round(LINKS[:1], MS // 2)
    assert out.fate.tolist() == [Fate.LATE]


def test_the_pending_error_of_another_packet_does_not_fail_this_one(door: Scripted) -> None:
    probing = prober(door, {"10.0.0.2": ["reply"], "10.0.0.3": ["reply"]})
    door.failing = 1
    assert probing.round(LINKS, 50 * MS).fate.tolist() == [Fate.REPLIED] * 2


def test_what_the_kernel_will_not_send_is_no_loss(door: Scripted) -> None:
    probing = prober(door, {})
    door.failing = 4
    assert probing.round(LINKS, 50 * MS).fate.tolist() == [Fate.SEND_FAILED] * 2


def test_a_target_without_address_and_a_local_that_is_not_here(door: Scripted) -> None:
    links = [PlanLink("a>d@n", "10.0.0.1", "d.example"), PlanLink("a>e@n", "10.5.5.5", "10.0.0.2")]
    out = prober(door, {}).round(links, MS)
    assert out.fate.tolist() == [Fate.UNRESOLVED, Fate.SEND_FAILED]
    assert door.sent == []


def test_serials_go_on_so_that_rounds_are_told_apart(door: Scripted) -> None:
    probing = prober(door, {})
    probing.round(LINKS, MS)
    probing.round(LINKS, MS)
    assert [serial for _, serial in door.sent] == [0, 1, 2, 3]


def test_after_close_nothing_is_sent() -> None:
    door = Scripted(TickingClock())
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


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_real_echoes_on_loopback(address: str) -> None:
    probing = IcmpProber([address])
    if probing.unavailable:
        pytest.skip(probing.unavailable)
    targets = [f"127.0.0.{row % 99 + 1}" for row in range(300)] if address != "::1" else ["::1"] * 5
    out = probing.round([PlanLink(f"a>b{row}@n", address, peer) for row, peer in enumerate(targets)], 10**9)
    probing.close()
    if (out.fate == Fate.SEND_FAILED).all():
        pytest.skip(f"this host has no {address}")
    assert (out.fate == Fate.REPLIED).all()
    assert (out.rtt_ns > 0).all()
    assert np.median(out.rtt_ns) < 20 * MS
    assert (np.abs(out.sent_wall_ns - out.sent_wall_ns[0]) < 10**10).all()


@pytest.fixture
def router() -> Iterator[Router]:
    yield from routed("lgi")


@pytest.mark.root
@pytest.mark.parametrize(("allowed", "raw"), [("1 0", True), ("0 0", False)])
def test_refusals_on_ping_and_raw_sockets(router: Router, allowed: str, raw: bool) -> None:
    inside(router.host, "sysctl", "-qw", f"net.ipv4.ping_group_range={allowed}")
    out = router.run_round(
        ICMP,
        ("a>b@n", "10.77.0.1", "10.77.0.2"), ("a>c@n", "10.77.0.1", "10.88.0.1"),
        ("a>d@n", "10.77.0.1", "10.77.0.2"), ("a>e@n", "fd77::1", "fd77::2"), ("a>f@n", "fd77::1", "fd88::1"),
        ("a>g@n", "10.77.0.1", "10.99.1.1"),
    )  # fmt: skip
    replied, refused = Fate.REPLIED, Fate.REFUSED
    assert out.fate == [replied, refused, replied, replied, refused, Fate.SEND_FAILED]
    assert out.raw == [raw, raw]


@pytest.mark.root
def test_a_dead_neighbour_is_a_loss_not_a_refusal(router: Router) -> None:
    inside(router.host, "sysctl", "-qw", "net.ipv4.neigh.lgi0.retrans_time_ms=50")
    assert router.run_round(ICMP, ("a>b@n", "10.77.0.1", "10.77.0.7")).fate == [Fate.LOST]
