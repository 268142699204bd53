"""Batches over TLS to a collector that asks agents for a certificate; certificates change while both run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from linkgauge.answer import Outcome
from linkgauge.client_tls import ClientTls
from linkgauge.clock import SystemClock
from probes.upload.collector_client import CollectorClient
from probes.upload.http_transport import HttpTransport
from tests.collector.running import Running
from tests.collector.world import until
from tests.probes.transport_conformance import row


def own(folder: Path, name: str, *more: str) -> None:
    """A certificate that is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]
    argv += ["-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}", *more]
    subprocess.run(argv, cwd=folder, capture_output=True, check=True)
    (folder / f"{name}.key").chmod(0o600)


def test_an_agent_s_certificate_is_asked_for_and_may_change(tmp_path: Path) -> None:
    own(tmp_path, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    own(tmp_path, "known")
    own(tmp_path, "stranger")
    mine = tmp_path / "mine.pem", tmp_path / "mine.key"

    def show(name: str) -> None:
        shutil.copy(tmp_path / f"{name}.pem", mine[0])
        shutil.copy(tmp_path / f"{name}.key", mine[1])

    show("stranger")
    with Running(tmp_path, "tls: {certificate: server.pem, key: server.key, client_ca: known.pem}\n") as made:
        url = f"https://127.0.0.1:{made.socket.getsockname()[1]}"
        client = CollectorClient([url], made.token, ClientTls(tmp_path / "server.pem", *mine))
        transport = HttpTransport(client, SystemClock(), jitter=lambda: 0.0)
        refused = transport.send(row(1), 5)
        assert refused.outcome is Outcome.AGAIN
        assert "unreachable" in refused.sentence
        show("known")
        until(lambda: transport.send(row(1), 5).outcome is Outcome.TAKEN)
        transport.close()
        assert made.collector.metrics.total("batches_accepted") == 1
