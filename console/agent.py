"""`linkgauge agent`: measure the links of this node."""

from __future__ import annotations

import logging
import secrets
import threading
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from console.running import set_up_logs, share_heaps, stop_event
from console.single import only_one
from linkgauge.client_tls import ClientTls
from linkgauge.clock import Clock, SystemClock, read_clock_quality, seconds
from linkgauge.model import Probe
from linkgauge.plan import Plan
from probes.agent import Agent, Kit
from probes.connect.tcp import TcpProber
from probes.connect.tcp_responder import TcpResponder
from probes.connect.tls import TlsProber
from probes.engine import drill_order
from probes.engine.playing import Playing
from probes.execution import Probers, Station
from probes.fitness import HostFitness, SystemHost
from probes.icmp.probe import IcmpProber
from probes.path.probe import PathProber
from probes.plan_cache import PlanCache, PlanFetcher
from probes.reporter import Reporter
from probes.settings import AgentSettings, keys, load, read_token
from probes.throughput.probe import ProcessRunner, ThroughputProbe
from probes.upload.collector_client import CollectorClient, readable_on_the_way
from probes.upload.http_transport import HttpTransport
from probes.upload.outbox import Outbox
from probes.upload.token import Token
from probes.upload.upload import Uploader

FLUSH_S = 10.0
"""How long an ending agent tries to hand over what waits; the rest stays in its outbox."""
_log = logging.getLogger(__name__)


def run(
    config: Annotated[Path, typer.Option(help="The agent's settings.")] = Path("/etc/linkgauge/agent.yaml"),
) -> None:
    """Run the agent of this node until SIGTERM or Ctrl-C."""
    share_heaps()
    settings = load(config)
    set_up_logs()
    stop = stop_event()
    with only_one(settings.data_dir, "agent", f"set data_dir in {config}"):
        _measure(settings, stop)


def _measure(settings: AgentSettings, stop: threading.Event) -> None:
    boot = secrets.token_hex(8)
    agent, uploader, outbox = build(settings, boot)
    _log.info("agent %s starts, boot %s, data in %s", settings.node, boot, settings.data_dir)
    agent.start()
    uploader.start()
    stop.wait()
    agent.stop()
    handed_over = uploader.stop(FLUSH_S)
    waiting = outbox.counts().waiting
    outbox.close()
    _log.info(
        "agent %s ends; %s", settings.node, "all is handed over" if handed_over else f"{waiting} batches wait"
    )


def build(settings: AgentSettings, boot: str) -> tuple[Agent, Uploader, Outbox]:
    """Everything real, wired. Raises ConfigError."""
    clock = SystemClock()
    outbox, uploader = sending(settings, clock)
    host = HostFitness(SystemHost(), clock)
    playing = Playing(settings.data_dir / drill_order.NAME, clock, np.random.default_rng().random)
    station = Station(clock, read_clock_quality, host, settings.bind_ports, keys(settings), playing)
    reporter = Reporter(
        settings.node,
        boot,
        outbox,
        clock,
        read_clock_quality,
        host.over,
        uploader.wake,
        lambda: agent.plan_age_s(),
        lambda start_ns, end_ns: agent.under_test(start_ns, end_ns),
        lambda: uploader.uploads,
    )
    runner = ProcessRunner()
    agent = Agent(
        Kit(_probers(clock), ThroughputProbe(runner, clock), runner.stop),
        station,
        reporter,
        PlanCache(settings.data_dir / "plan.json", settings.node, clock),
        PlanFetcher(_client(settings), settings.node, clock),
        settings.plan_refresh_s,
    )
    _warn_of_readers(settings)
    return agent, uploader, outbox


def sending(settings: AgentSettings, clock: Clock) -> tuple[Outbox, Uploader]:
    """What keeps batches and brings them to a collector. Raises ConfigError."""
    keep_ns, free_bytes = seconds(settings.outbox.keep_days * 86_400), settings.outbox.keep_free_mb << 20
    path = settings.data_dir / "outbox.sqlite"
    outbox = Outbox(path, settings.outbox.max_mb << 20, keep_ns, free_bytes, clock)
    transport = HttpTransport(_client(settings), clock)
    return outbox, Uploader(outbox, transport, clock, settings.outbox.catch_up_per_s)


def _client(settings: AgentSettings) -> CollectorClient:
    """One for each thread that asks; token and certificates are read again when their files change."""
    files = (settings.ca_file, settings.certificate, settings.key)
    tls = ClientTls(*files) if any(files) else None
    token = Token(lambda: read_token(settings), settings.token_file)
    return CollectorClient(settings.collectors, token, tls)


def _warn_of_readers(settings: AgentSettings) -> None:
    if readable := [url for url in settings.collectors if readable_on_the_way(url)]:
        _log.warning(
            "%s: token, plans and measurements travel readable for everybody on the way; let the collector "
            "have a certificate (`tls` in its settings) and name it with https://",
            ", ".join(readable),
        )


def _probers(clock: Clock) -> Probers:
    return Probers(
        echo={
            Probe.ICMP.value: lambda plan: _icmp(plan, clock),
            Probe.TCP.value: lambda plan: TcpProber(plan.tcp_port, clock),
        },
        tls=lambda plan: TlsProber(plan.tls_port, clock),
        path=lambda plan, launcher: PathProber(plan, launcher, clock),
        responder=lambda plan: TcpResponder(plan.locals, plan.tcp_port, plan.peers),
    )


def _icmp(plan: Plan, clock: Clock) -> IcmpProber:
    prober = IcmpProber(plan.locals, clock)
    if prober.unavailable:
        _log.warning("no ICMP is measured: %s", prober.unavailable)
    return prober
