"""Echo sockets of both kinds and both IP versions on loopback and across a router."""

from __future__ import annotations

import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from linkgauge.plan import PlanLink
from probes.echo import Fate
from probes.icmp.echo_socket import EchoSocket, NoPermission
from probes.icmp.probe import IcmpProber
from probes.sockets.raw_name import raw_name
from tests.probes.router import ICMP, Router, inside, routed, run

MS = 1_000_000
HOMES = pytest.mark.parametrize("home", ["127.0.0.1", "::1"])


def opened(home: str, ident: int = 7) -> EchoSocket:
    try:
        return EchoSocket(home, b"a token.", ident)
    except (NoPermission, OSError) as err:
        pytest.skip(f"no ICMP from {home}: {err}")


def names(home: str, count: int) -> NDArray[np.uint8]:
    return np.tile(raw_name(home, 0), (count, 1))


@HOMES
def test_every_packet_has_both_stamps_and_its_reply(home: str) -> None:
    sock = opened(home)
    stamped = dict[int, int]()
    for attempt in range(100):  # the kernel begins to stamp a while after it was asked
        numbers = sock.send(names(home, 70), 70 * attempt + np.arange(70))
        assert numbers.tolist() == list(range(70 * attempt, 70 * attempt + 70))
        got = sock.receive()
        assert got is not None
        assert got.replies.serial.tolist() == list(range(70 * attempt, 70 * attempt + 70))
        assert got.returns.number.tolist() == numbers.tolist()
        stamped = dict(zip(got.returns.number.tolist(), got.returns.stamp_ns.tolist(), strict=True))
        if (got.replies.stamp_ns > 0).all():
            break
        time.sleep(0.05)
    assert got is not None
    delays = got.replies.stamp_ns - np.array([stamped[number] for number in numbers.tolist()])
    assert sock.receive() is None
    counted = (sock.dropped, sock.malformed, sock.foreign, sock.send_retried, sock.send_failed)
    sock.close()
    assert (delays >= 0).all()
    assert np.median(delays) < MS
    assert counted == (0, 0, 0, 0, 0)


@HOMES
def test_other_programs_pings_do_not_reach_the_queue(home: str) -> None:
    sock, other = opened(home, 7), opened(home, 8)
    other.send(names(home, 50), np.arange(50))
    sock.send(names(home, 1), np.array([1000]))
    got = sock.receive()
    counted = (sock.dropped, sock.malformed, sock.foreign)
    sock.close()
    other.close()
    assert got is not None
    assert got.replies.serial.tolist() == [1000]
    assert counted == (0, 0, 0)


def test_what_cannot_be_sent_leaves_the_others_and_their_stamps_right() -> None:
    sock = opened("127.0.0.1")
    to = names("127.0.0.1", 9)
    to[[0, 4, 8]] = raw_name("255.255.255.255", 0)  # broadcast is not allowed to this socket
    numbers = sock.send(to, np.arange(9))
    returns = []
    while (got := sock.receive()) is not None:
        returns += got.returns.number.tolist()
    failed = sock.send_failed
    sock.close()
    assert np.flatnonzero(numbers < 0).tolist() == [0, 4, 8]
    assert sorted(returns) == sorted(number for number in numbers.tolist() if number >= 0)
    assert failed == 3


def test_a_full_receive_queue_is_counted() -> None:
    sock = opened("127.0.0.1")
    sock._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.send(names("127.0.0.1", 200), np.arange(200))
    dropped = sock.dropped
    sock.close()
    assert dropped > 100


@HOMES
def test_a_thousand_echoes_on_loopback(home: str) -> None:
    opened(home).close()
    probing = IcmpProber([home])
    targets = [f"127.0.{row // 200}.{row % 200 + 1}" if home != "::1" else "::1" for row in range(1000)]
    out = probing.round([PlanLink(f"a>b{row}@n", home, peer) for row, peer in enumerate(targets)], 10**9)
    counted = [probing.count(name) for name in ("dropped", "malformed", "foreign", "send_failed")]
    probing.close()
    assert (out.fate == Fate.REPLIED).all()
    assert out.stamped.mean() > 0.9
    assert (out.rtt_ns > 0).all()
    assert np.median(out.rtt_ns) < MS
    assert np.ptp(out.sent_wall_ns) >= 14 * MS
    assert counted == [0, 0, 0, 0]


@pytest.fixture
def router() -> Iterator[Router]:
    yield from routed("lgi")


@pytest.mark.root
@pytest.mark.parametrize(("allowed", "raw"), [("1 0", True), ("0 0", False)])
def test_refusals_on_ping_and_raw_sockets(router: Router, allowed: str, raw: bool) -> None:
    inside(router.host, "sysctl", "-qw", f"net.ipv4.ping_group_range={allowed}")
    out = router.run_round(
        ICMP,
        ("a>b@n", "10.77.0.1", "10.77.0.2"), ("a>c@n", "10.77.0.1", "10.89.0.1"),
        ("a>d@n", "10.77.0.1", "10.77.0.2"), ("a>e@n", "fd77::1", "fd77::2"), ("a>f@n", "fd77::1", "fd89::1"),
        ("a>g@n", "10.77.0.1", "10.99.1.1"), ("a>h@n", "10.77.0.1", "10.88.0.1"),
        ("a>i@n", "fd77::1", "fd88::1"), ("a>j@n", "10.77.0.1", "10.77.0.2"),
    )  # fmt: skip
    replied, refused, lost = Fate.REPLIED, Fate.REFUSED, Fate.UNREACHABLE
    failed = Fate.SEND_FAILED
    assert out.fate == [replied, refused, replied, replied, refused, failed, lost, lost, replied]
    assert [rtt_ns is not None for rtt_ns in out.rtt_ns] == [fate == replied for fate in out.fate]
    assert out.raw == [raw, raw]


@pytest.mark.root
def test_a_dead_neighbour_is_a_loss_not_a_refusal(router: Router) -> None:
    inside(router.host, "sysctl", "-qw", "net.ipv4.neigh.lgi0.retrans_time_ms=50")
    assert router.run_round(ICMP, ("a>b@n", "10.77.0.1", "10.77.0.7")).fate == [Fate.UNREACHABLE]


@pytest.mark.root
def test_a_dropped_reply_is_a_loss(router: Router) -> None:
    inside(router.host, "nft", "add table inet f; add chain inet f i { type filter hook input priority 0; }")
    inside(router.host, "nft", "add rule inet f i icmp type echo-reply drop")
    links = [("a>b@n", "10.77.0.1", "10.77.0.2"), ("a>c@n", "fd77::1", "fd77::2")]
    assert router.run_round(ICMP, *links, timeout_s=1).fate == [Fate.LOST, Fate.REPLIED]


@pytest.mark.root
@pytest.mark.parametrize(
    ("home", "peer", "family"), [("10.77.0.1", "10.77.0.2", "ip"), ("fd77::1", "fd77::2", "ip6")]
)
def test_second_copies_are_duplicates(router: Router, home: str, peer: str, family: str) -> None:
    inside(router.host, "nft", f"add table {family} f")
    inside(router.host, "nft", f"add chain {family} f o {{ type filter hook output priority 0; }}")
    echo = "icmp type echo-request" if family == "ip" else "icmpv6 type echo-request"
    inside(router.host, "nft", f"add rule {family} f o {echo} dup to {peer}")
    out = router.run_round(ICMP, ("a>b@n", home, peer), ("a>c@n", home, peer))
    assert out.fate == [Fate.REPLIED] * 2
    assert out.duplicate == [1, 1]


_UNPRIVILEGED = """
import sys
from linkgauge.plan import PlanLink
from probes.icmp.probe import IcmpProber
home = sys.argv[1]
peers = [f"127.0.{row // 200}.{row % 200 + 1}" if home != "::1" else home for row in range(1000)]
prober = IcmpProber([home])
out = prober.round([PlanLink(f"a>b{row}@n", home, peer) for row, peer in enumerate(peers)], 2 * 10**9)
print((out.fate == 0).sum(), prober.count("dropped"), out.stamped.mean() > 0.9)
"""


@pytest.mark.root
@HOMES
def test_a_process_without_privilege_gets_all_replies(home: str) -> None:
    """Its receive buffer may be no larger than the host's limit."""
    if not shutil.which("setpriv"):
        pytest.skip("needs the setpriv program")
    child = shlex.join(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", _UNPRIVILEGED, home]
    )
    allow = "sysctl -qw net.ipv4.ping_group_range='0 0'"
    told = run("unshare", "-n", "sh", "-c", f"ip link set lo up && {allow} && {child}")
    assert told.split() == ["1000", "0", "True"]


_CROWDED = """
import sys, time
import numpy as np
from probes.icmp.echo_socket import EchoSocket
from probes.sockets.raw_name import raw_name
home, peer = sys.argv[1:]
sock = EchoSocket(home, b"a token.", 7)
numbers = sock.send(np.tile(raw_name(peer, 0), (800, 1)), np.arange(800))
failed = int((numbers < 0).sum())
print(sock.send_retried, sock.send_failed, failed, len(np.unique(numbers[numbers >= 0])) == 800 - failed)
"""


@pytest.mark.root
@pytest.mark.parametrize("room", ["latency 60s", "limit 2000"], ids=["full buffer", "full queue"])
@pytest.mark.parametrize(("home", "peer"), [("10.77.0.1", "10.77.0.2"), ("fd77::1", "fd77::2")])
def test_no_room_is_waited_for_and_then_counted(router: Router, room: str, home: str, peer: str) -> None:
    words = f"tc qdisc add dev lgi0 root tbf rate 200kbit burst 1540 {room}".split()
    inside(router.host, *words)
    told = inside(router.host, sys.executable, "-c", _CROWDED, home, peer).split()
    retried, failed, refused = (int(word) for word in told[:3])
    assert retried == 5
    assert failed == refused
    assert 0 < failed < 800
    assert told[3] == "True"
