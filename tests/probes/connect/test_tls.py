"""TLS rounds against real servers: trusted, expired, not yet valid, none at all, silent."""

from __future__ import annotations

import contextlib
import math
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkgauge.clock import Instant, SystemClock
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame
from linkgauge.plan import PlanLink
from probes.connect.tls import TRUSTED_FOR_NS, TlsProber
from probes.connect.tls_handshakes import MOST
from probes.echo import EchoRound, Fate
from tests.probes.authority import Authority
from tests.probes.router import Router, routed, run
from tests.probes.tls_server import TlsServer

S = 10**9


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def links(*targets: tuple[str, str]) -> list[PlanLink]:
    return [PlanLink(f"a>b{row}@n", local, peer) for row, (local, peer) in enumerate(targets)]


HOME = links(("127.0.0.1", "127.0.0.1"))


def probe(port: int, ca_file: Path | None = None, timeout_ns: int = 30 * S) -> tuple[EchoRound, Frame]:
    prober = TlsProber(port, ca_file=ca_file)
    out = prober.round(HOME, timeout_ns)
    return out, prober.certificates()


def only_row(frame: Frame) -> dict[str, Any]:
    assert frame.rows == 1
    return {name: column[0] for name, column in frame.columns.items()}


def test_a_trusted_certificate_and_its_handshake(authority: Authority) -> None:
    issued = authority.issue("good", "/O=Centre/CN=b0")
    with TlsServer(issued) as server:
        prober = TlsProber(server.port, ca_file=authority.file)
        out = prober.round(HOME, 30 * S)
    assert out.fate.tolist() == [Fate.REPLIED]
    assert 0 < out.rtt_ns[0] < 5 * S
    row = only_row(prober.certificates())
    assert (row["link"], row["presented"], row["trusted"]) == ("a>b0@n", 1, 1)
    assert row["days_left"] == pytest.approx(10, abs=0.01)
    assert row["subject"] == "O=Centre,CN=b0"
    assert abs(row["start_ns"] - out.sent_wall_ns[0]) < 60 * S
    assert row["length_ns"] > 0
    assert server.done >= 1


@pytest.mark.parametrize(
    ("from_days", "until_days", "trusted"), [(-10, -3, 1), (2, 9, 0)], ids=["expired", "not yet valid"]
)
def test_certificates_out_of_their_time(
    authority: Authority, from_days: float, until_days: float, trusted: int
) -> None:
    with TlsServer(authority.issue("odd", "/CN=odd", from_days, until_days)) as server:
        out, frame = probe(server.port, authority.file)
    row = only_row(frame)
    assert out.fate.tolist() == [Fate.REPLIED]
    assert (row["presented"], row["trusted"]) == (1, trusted)
    assert row["days_left"] == pytest.approx(until_days, abs=0.01)


def test_a_certificate_of_an_authority_that_this_host_does_not_know(authority: Authority) -> None:
    with TlsServer(authority.issue("good", "/CN=b0")) as server:
        out, frame = probe(server.port)
    row = only_row(frame)
    assert out.fate.tolist() == [Fate.REPLIED]
    assert (row["presented"], row["trusted"], row["subject"]) == (1, 0, "CN=b0")
    assert row["days_left"] == pytest.approx(10, abs=0.01)


class LeapingClock(SystemClock):
    """This host's time; the monotonic clock can be put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def now(self) -> Instant:
        now = super().now()
        return Instant(now.mono_ns + self.ahead_ns, now.wall_ns)


def test_a_verdict_is_kept_for_an_hour(authority: Authority) -> None:
    clock = LeapingClock()
    with TlsServer(authority.issue("good", "/CN=b0")) as server:
        prober = TlsProber(server.port, clock, authority.file)
        for _ in range(3):
            prober.round(HOME, 30 * S)
        clock.ahead_ns = TRUSTED_FOR_NS
        prober.round(HOME, 30 * S)
    assert server.done == 4 + 2  # the first and the last round verified as well
    assert only_row(prober.certificates())["trusted"] == 1


def test_a_new_certificate_is_judged_anew(authority: Authority, tmp_path: Path) -> None:
    strange = Authority(tmp_path).issue("strange", "/CN=b0")
    with TlsServer(authority.issue("good", "/CN=b0")) as server:
        prober = TlsProber(server.port, ca_file=authority.file)
        prober.round(HOME, 30 * S)
        server.show(strange)
        prober.round(HOME, 30 * S)
    assert only_row(prober.certificates())["trusted"] == 0


def test_ipv6(authority: Authority) -> None:
    try:
        server = TlsServer(authority.issue("six", "/CN=six"), "::1")
    except OSError as err:
        pytest.skip(f"this host has no IPv6: {err}")
    with server:
        prober = TlsProber(server.port, ca_file=authority.file)
        assert prober.round(links(("::1", "::1")), 30 * S).fate.tolist() == [Fate.REPLIED]
    assert only_row(prober.certificates())["trusted"] == 1


def test_many_at_once_more_than_may_shake_hands(authority: Authority) -> None:
    count = 3 * MOST
    with TlsServer(authority.issue("many", "/CN=many")) as server:
        prober = TlsProber(server.port, ca_file=authority.file)
        out = prober.round(links(*[("127.0.0.1", f"127.0.0.{row + 1}") for row in range(count)]), 60 * S)
        reached = out.fate == Fate.REPLIED
    frame = prober.certificates()
    assert reached.sum() == 1  # the server listens on one address
    assert (out.fate == Fate.REFUSED).sum() == count - 1
    assert frame.count("presented").sum() == frame.count("trusted").sum() == 1
    assert frame.rows == count


def test_every_one_of_many_is_served(authority: Authority) -> None:
    with TlsServer(authority.issue("many", "/CN=many")) as server:
        prober = TlsProber(server.port, ca_file=authority.file)
        out = prober.round(links(*[("127.0.0.1", "127.0.0.1")] * 3 * MOST), 60 * S)
    assert (out.fate == Fate.REPLIED).all()
    assert prober.certificates().count("trusted").tolist() == [1] * 3 * MOST


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A port that takes one connection: says `answer` and closes, or (None) says nothing until the end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as sock:
                if answer is None:
                    over.wait(60)
                else:
                    sock.recv(2048)
                    sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join()


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_a_port_without_tls_is_no_loss(answer: bytes) -> None:
    with answering(answer) as port:
        out, frame = probe(port)
    assert out.fate.tolist() == [Fate.NO_TLS]
    assert math.isnan(out.rtt_ns[0])
    row = only_row(frame)
    assert (row["presented"], row["trusted"], row["subject"]) == (0, 0, "")
    assert math.isnan(row["days_left"])


def test_silence_is_a_loss_and_says_nothing_of_certificates() -> None:
    with answering(None) as port:
        out, frame = probe(port, timeout_ns=S // 5)
    assert out.fate.tolist() == [Fate.LOST]
    assert frame.rows == 0


def test_silent_targets_do_not_take_the_turns_of_others_for_good(authority: Authority) -> None:
    with socket.create_server(("127.0.0.9", 0), backlog=64) as silent:
        port = silent.getsockname()[1]
        prober = TlsProber(port)
        out = prober.round(
            links(*[("127.0.0.1", "127.0.0.9")] * (MOST + 1), ("127.0.0.1", "127.0.0.8")), 2 * S
        )
    assert out.fate.tolist() == [Fate.LOST] * (MOST + 1) + [Fate.REFUSED]


def test_a_closed_port_is_a_refusal_and_what_cannot_leave_is_no_loss() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    prober = TlsProber(port)
    out = prober.round(
        links(("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "host.example"), ("203.0.113.9", "127.0.0.1")), 30 * S
    )
    assert out.fate.tolist() == [Fate.REFUSED, Fate.UNRESOLVED, Fate.SEND_FAILED]
    assert np.isnan(out.rtt_ns).all()
    assert only_row(prober.certificates())["presented"] == 0


def test_without_a_round_there_are_no_certificates() -> None:
    assert TlsProber(443).certificates().rows == 0
    prober = TlsProber(443)
    assert prober.round([], S).link.tolist() == []
    assert prober.certificates().rows == 0


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_used_are_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"ca\.pem: its certificates cannot be used \(.*\); name a PEM file"
    ):
        TlsProber(443, ca_file=path)


@pytest.fixture
def router() -> Iterator[Router]:
    yield from routed("lgs")


@pytest.mark.root
def test_filters_refuse_what_finds_no_way_is_lost(router: Router) -> None:
    out = router.run_round(
        "from probes.connect.tls import TlsProber as P; make = lambda locals_: P(9)",
        ("a>b@n", "10.77.0.1", "10.77.0.2"), ("a>c@n", "10.77.0.1", "10.89.0.1"),
        ("a>d@n", "fd77::1", "fd77::2"), ("a>e@n", "fd77::1", "fd89::1"), ("a>f@n", "fd77::1", "fd88::1"),
    )  # fmt: skip
    assert out.fate == [*[Fate.REFUSED] * 4, Fate.UNREACHABLE]


_LOSSY = """
import subprocess, sys
from pathlib import Path
from linkgauge.plan import PlanLink
from probes.connect.tls import TlsProber
from tests.probes.authority import Issued
from tests.probes.tls_server import TlsServer
with TlsServer(Issued(Path(sys.argv[1]), Path(sys.argv[2]))) as server:
    first = f"tcp dport {server.port} tcp flags & psh != 0 numgen inc mod 1000 == 0"
    for rule in ("add table ip f", "add chain ip f i { type filter hook input priority 0; }",
                 f"add rule ip f i {first} drop"):
        subprocess.run(["nft", rule], check=True)
    prober = TlsProber(server.port)
    fates = [prober.round([PlanLink("a>b@n", "127.0.0.1", "127.0.0.1")], 5 * 10**9).fate[0] for _ in "ab"]
print(*fates, prober.certificates().count("presented")[0])
"""


@pytest.mark.root
def test_a_segment_that_had_to_be_sent_again_was_lost(authority: Authority) -> None:
    issued = authority.issue("lossy", "/CN=lossy")
    child = shlex.join([sys.executable, "-c", _LOSSY, str(issued.certificate), str(issued.key)])
    told = run("unshare", "-n", "sh", "-c", f"ip link set lo up && {child}")
    assert told.split() == [str(Fate.LOST.value), str(Fate.REPLIED.value), "1"]
