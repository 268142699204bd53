"""The collector as one value: its parts built from settings, started and stopped in order."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from collector.catching_up import CatchingUp
from collector.event_line import event_line
from collector.health.agent_drops import AgentDrops
from collector.health.agent_metrics import AgentMetrics
from collector.health.firing import Firing
from collector.health.metrics import Metrics
from collector.health.own_report import OwnReport
from collector.health.receiver_metrics import watch_receivers
from collector.health.standing import Standing
from collector.health.window_rows import WindowRows
from collector.http.access import Access
from collector.http.allowance import Rate
from collector.http.api import Parts, create_app
from collector.http.server_tls import ServerTls
from collector.http.tokens import Tokens
from collector.intake import Intake
from collector.journal.journal import Journal
from collector.live.excuses import Excuses
from collector.live.judged import Judged, Stage
from collector.live.judging import Judge, JudgingLoop
from collector.live.last_paths import LastPaths
from collector.live.live import LiveState
from collector.live.member_rows import MemberRows
from collector.live.node_rows import NodeRows
from collector.live.recent import Past
from collector.live.replay import replay
from collector.peer.standby import Duty, Handover, add_duty_route, duty_of
from collector.plans.plan_book import PlanBook
from collector.possible_links import PossibleLinks
from collector.refusals import Refusals
from collector.rollup.assembly import make_maker, open_notes
from collector.rollup.maker import Maker
from collector.settings import Settings
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.pump import Pump
from collector.stores import open_journal, pumps_of, series_watch
from linkgauge.clock import Clock, SystemClock, seconds
from linkgauge.errors import StoreError
from linkgauge.model import Link
from linkgauge.schema import STATE

log = logging.getLogger(__name__)
DRAIN_S = 10.0
SENDING_S = 1.0
"""How long after the last packet's timeout a window is judged: for sending it and the journal."""


@dataclass(frozen=True, slots=True)
class Collector:
    """The built parts. `start` and `stop` once each; `stop` leaves in the journal what it cannot deliver."""

    settings: Settings
    app: FastAPI
    journal: Journal
    live: LiveState
    intake: Intake
    metrics: Metrics
    pumps: tuple[Pump, ...]
    judging: JudgingLoop
    rollups: Maker
    duty: Duty
    tls: ServerTls | None = None

    def start(self) -> None:
        for pump in self.pumps:
            pump.start()
        self.duty.start()
        self.judging.start()
        self.rollups.start()
        log.info(event_line("collector_started", journal=self.journal.identity, sinks=len(self.pumps)))

    def stop(self, drain_s: float = DRAIN_S) -> None:
        """Judge no more, deliver what is there within `drain_s`, close the stores."""
        self.judging.stop()
        self.duty.stop()
        self.rollups.stop()
        deadline_s = time.monotonic() + drain_s
        stoppers = [threading.Thread(target=pump.stop, args=(drain_s,), daemon=True) for pump in self.pumps]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join(max(0.1, deadline_s + 1 - time.monotonic()))
        if not any(pump.alive for pump in self.pumps):
            with contextlib.suppress(StoreError):
                self.journal.trim()
            self.journal.close()
        log.info(event_line("collector_stopped"))


def build(
    settings: Settings,
    book: PlanBook,
    judge: Judge,
    observers: Sequence[Stage] = (),
    alerts: Callable[[], list[dict[str, Any]]] = list,
    clock: Clock | None = None,
    remember: Callable[[Past], None] | None = None,
    excuses: Excuses | None = None,
    paths: LastPaths | None = None,
    receivers: Callable[[], list[dict[str, Any]]] = list,
) -> Collector:
    """Make every part; nothing runs yet. Raises ConfigError and StoreError.

    judge: from new rows, and those that it was given before, to verdicts. remember: gives it rows while none
    is asked for, at start. observers: called with each window's frames, before they are journalled together
    with what the observers add; not when a window is judged again. alerts: what /v1/alerts tells. excuses,
    paths: what the judge asks which links do not count, and where ways are looked up; shown every batch.
    receivers: how each receiver of alerts stands, for /v1/status and /metrics.
    """
    clock = clock or SystemClock()
    tokens, metrics = Tokens.load(settings.tokens), Metrics()
    watch_receivers(metrics, receivers)
    tls = ServerTls(settings.tls, settings.file) if settings.tls else None
    inventory, journal = book.inventory(), open_journal(settings)
    live = LiveState(book.inventory, book.cycle_ns)
    notes = open_notes(settings, clock)
    pumps = pumps_of(settings, book, journal, notes, clock, metrics)
    names = tuple(pump.name for pump in pumps)
    journal.register(names)
    period_ns, window_ns = seconds(inventory.period_s), seconds(inventory.window_s)
    excuses = excuses or Excuses(book.inventory, window_ns, period_ns)
    replay(
        live, ArchiveReader(settings.archive_path), journal, clock.now().wall_ns, period_ns, window_ns,
        len(book.specs()), remember, excuses.take,
    )  # fmt: skip
    paths = paths or LastPaths(book.inventory)
    with contextlib.closing(ArchiveReader(settings.archive_path)) as reader:
        paths.replay(reader, clock.now().wall_ns)
    wake, drops, catching_up = _waker(pumps), AgentDrops(), CatchingUp(clock)
    intake = Intake(
        journal, lambda: PossibleLinks(book.links(), book.inventory().nodes), clock, metrics,
        [
            live.take, excuses.observe, paths.observe, drops.observe, catching_up.observe,
            lambda *_: wake(),
        ],
        settings.max_body_bytes,
        lambda: book.inventory().nodes,
    )  # fmt: skip
    duty = duty_of(settings, clock, window_ns)
    own = OwnReport(intake, clock, metrics, duty.on)
    delay_ns = seconds(inventory.probing.stamp.timeout_s + SENDING_S)
    nodes = NodeRows(
        book.inventory, live.agents, excuses, clock, delay_ns, lambda: intake.fault is not None
    )  # fmt: skip
    members = MemberRows(book.inventory)
    rows = WindowRows(
        settings.name, nodes.rows, members.rows, lambda: state.sinks(), lambda: state.health()
    )  # fmt: skip
    shown, woken, firing = _shown(live), _woken(wake), Firing()
    firing.watch(metrics)
    publish: list[Stage] = [
        shown, rows, *observers, firing, Handover(duty.on, own.publish, duty.peer_told_ns), own.publish, woken
    ]  # fmt: skip
    again: list[Stage] = [own.publish, shown, woken]
    judging = JudgingLoop(
        clock, live, judge, publish, again, book.specs, metrics, window_ns, delay_ns, period_ns,
        excuses.changed,
    )  # fmt: skip
    rollups = make_maker(
        settings, inventory, notes, intake.keep_own, lambda: journal.cursor("archive"), clock, metrics,
        catching_up, lambda link: book.inventory().links.get(Link.parse(link)),
    )  # fmt: skip
    refusals = Refusals(clock)
    many = series_watch(settings, book)
    state = Standing(
        settings, book, tokens, journal, intake, metrics, pumps, judging, rollups, clock, drops, tls,
        next(pump.sink for pump in pumps if isinstance(pump.sink, Archive)),
        many.raw, duty.on, journal.dropped, many.warnings, clock.now().mono_ns, refusals.lately,
        receivers,
    )  # fmt: skip
    state.watch()
    rate = Rate(settings.limits.requests_per_s, settings.limits.burst, clock)
    access = Access(tokens, settings.reads_are_open, lambda: book.inventory().nodes, rate)
    parts = Parts(
        access, book, intake, live, clock, metrics, alerts, state.status, state.fault,
        AgentMetrics(lambda: live.agents(clock.now().wall_ns)), refusals, rows.nodes,
        settings.limits.body_timeout_s,
    )  # fmt: skip
    app = create_app(parts)
    add_duty_route(app, access, settings.standby, duty, state.fault)
    return Collector(settings, app, journal, live, intake, metrics, pumps, judging, rollups, duty, tls)


def _waker(pumps: Sequence[Pump]) -> Callable[[], None]:
    def wake() -> None:
        for pump in pumps:
            pump.wake()

    return wake


def _shown(live: LiveState) -> Stage:
    def show(judged: Judged) -> None:
        live.observe_state(judged[STATE.name])

    return show


def _woken(wake: Callable[[], None]) -> Stage:
    def stage(_judged: Judged) -> None:
        wake()

    return stage
