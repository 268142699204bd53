"""TCP connect rounds and their responder, on loopback and across a router."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest

from linkgauge.errors import ConfigError
from linkgauge.plan import PlanLink
from probes.connect.tcp import TcpProber
from probes.connect.tcp_responder import TcpResponder
from probes.echo import EchoRound, Fate
from tests.probes.router import Router, inside, routed

S = 10**9


@pytest.fixture
def responder() -> Iterator[TcpResponder]:
    made = TcpResponder(["127.0.0.1"], 0, {"127.0.0.1"})
    made.start()
    yield made
    made.stop()


def probe(port: int, *targets: tuple[str, str], timeout_ns: int = 30 * S) -> EchoRound:
    links = [PlanLink(f"a>b{row}@n", local, peer) for row, (local, peer) in enumerate(targets)]
    return TcpProber(port).round(links, timeout_ns)


def until_counted(responder: TcpResponder, accepted: int, strangers: int) -> None:
    deadline = time.monotonic() + 60
    while (responder.accepted, responder.strangers) != (accepted, strangers):
        assert time.monotonic() < deadline, (responder.accepted, responder.strangers)
        time.sleep(0.01)


def test_handshakes_are_replied_and_leave_no_time_wait(responder: TcpResponder) -> None:
    (port,) = responder.ports
    began_ns = time.monotonic_ns()
    out = probe(port, *[("127.0.0.1", "127.0.0.1")] * 200)
    assert (out.fate == Fate.REPLIED).all()
    assert ((out.rtt_ns > 0) & (out.rtt_ns < time.monotonic_ns() - began_ns)).all()
    until_counted(responder, 200, 0)
    waiting = subprocess.run(
        ["ss", "-Htn", "state", "time-wait", f"( sport = :{port} or dport = :{port} )"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert waiting.stdout == ""


def test_strangers_are_closed_and_counted_apart(responder: TcpResponder) -> None:
    out = probe(responder.ports[0], ("127.0.0.2", "127.0.0.1"))
    assert out.fate.tolist() == [Fate.REPLIED]
    until_counted(responder, 0, 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_reset_is_a_refusal_with_its_delay() -> None:
    out = probe(free_port(), ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "127.0.0.2"))
    assert out.fate.tolist() == [Fate.REFUSED] * 2
    assert (out.rtt_ns > 0).all()


def test_what_cannot_leave_is_no_loss() -> None:
    out = probe(9, ("203.0.113.9", "127.0.0.1"), ("127.0.0.1", "host.example"), ("127.0.0.1", "::1"))
    assert out.fate.tolist() == [Fate.SEND_FAILED, Fate.UNRESOLVED, Fate.SEND_FAILED]
    assert np.isnan(out.rtt_ns).all()


def test_without_descriptors_nothing_is_called_lost(responder: TcpResponder) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    held = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(8):
            os.close(held.pop())
        out = probe(responder.ports[0], *[("127.0.0.1", "127.0.0.1")] * 15)
    finally:
        for handle in held:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert set(out.fate.tolist()) == {Fate.REPLIED, Fate.SEND_FAILED}


def test_silence_is_a_loss() -> None:
    with socket.socket() as full:  # a full accept queue answers no SYN
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(3)]
        for sock in held:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        out = probe(port, ("127.0.0.1", "127.0.0.1"), timeout_ns=S // 10)
        for sock in held:
            sock.close()
    assert out.fate.tolist() == [Fate.LOST]


def test_ipv6() -> None:
    try:
        responder = TcpResponder(["::1"], 0, {"::1"})
    except ConfigError as err:
        pytest.skip(f"this host has no IPv6: {err}")
    responder.start()
    assert probe(responder.ports[0], ("::1", "::1")).fate.tolist() == [Fate.REPLIED]
    until_counted(responder, 1, 0)
    responder.stop()


def test_a_port_in_use_is_told_with_the_mend(responder: TcpResponder) -> None:
    (port,) = responder.ports
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port} is in use by another program; stop it or"):
        TcpResponder(["127.0.0.2", "127.0.0.1"], port, ())
    TcpResponder(["127.0.0.2"], port, ()).stop()  # the first address was let go


def test_an_address_of_another_host_is_told() -> None:
    with pytest.raises(ConfigError, match=r"203\.0\.113\.9:8620 is no address of this host"):
        TcpResponder(["203.0.113.9"], 8620, ())


@pytest.fixture
def router() -> Iterator[Router]:
    yield from routed("lgt")


@pytest.mark.root
def test_filters_refuse_what_finds_no_way_is_lost(router: Router) -> None:
    inside(router.host, "sysctl", "-qw", "net.ipv4.neigh.lgi0.retrans_time_ms=50")
    out = router.run_round(
        "from probes.connect.tcp import TcpProber as P; make = lambda locals_: P(9)",
        ("a>b@n", "10.77.0.1", "10.77.0.2"), ("a>c@n", "10.77.0.1", "10.89.0.1"),
        ("a>d@n", "10.77.0.1", "10.77.0.7"), ("a>e@n", "fd77::1", "fd77::2"), ("a>f@n", "fd77::1", "fd89::1"),
        ("a>g@n", "10.77.0.1", "10.99.1.1"), ("a>h@n", "10.77.0.1", "10.88.0.1"),
        ("a>i@n", "fd77::1", "fd88::1"),
    )  # fmt: skip
    refused, lost = Fate.REFUSED, Fate.UNREACHABLE
    assert out.fate == [refused, refused, lost, refused, refused, Fate.SEND_FAILED, lost, lost]
    assert [rtt is None for rtt in out.rtt_ns] == [False, True, True, False, True, True, True, True]


@pytest.mark.root
def test_a_syn_that_had_to_be_sent_again_was_lost(router: Router) -> None:
    inside(router.router, "nft", "add", "table", "ip", "f")
    inside(router.router, "nft", "add chain ip f i { type filter hook input priority 0; }")
    inside(router.router, "nft", "add rule ip f i tcp flags syn quota until 60 bytes drop")
    out = router.run_round(
        "from probes.connect.tcp import TcpProber as P; make = lambda locals_: P(9)",
        ("a>b@n", "10.77.0.1", "10.77.0.2"), timeout_s=3,
    )  # fmt: skip
    assert out.fate == [Fate.LOST]
