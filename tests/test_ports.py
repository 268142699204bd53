"""A port that a test has is had by no other, and by no connection of anybody."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import own_ports

_ROOT = Path(__file__).resolve().parent.parent
_OTHER = "import sys; from tests import ports; print(ports._claimed(int(sys.argv[1])))"


def test_each_has_its_own_and_a_server_can_be_started_there_again_and_again() -> None:
    ports = own_ports(20)
    assert len(set(ports)) == 20
    for _ in range(3):
        with (
            socket.create_server(("127.0.0.1", ports[0])) as server,
            socket.create_connection(("127.0.0.1", ports[0])) as client,
        ):
            server.accept()[0].close()
            assert client.recv(1) == b""


def test_another_process_does_not_get_it() -> None:
    (port,) = own_ports(1)
    told = subprocess.run(
        [sys.executable, "-c", _OTHER, str(port)], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    assert told.stdout == "False\n"


def test_the_kernel_gives_it_to_nobody() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(not first <= port <= last for port in own_ports(5)) or (first <= 20_000 and last >= 65_535)
