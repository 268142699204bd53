"""`linkgauge collector`: receive, keep, judge, alert. Here the rooms are wired together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alerts.book import Book
from alerts.engine import AlertEngine
from alerts.rule import load_rules
from alerts.receivers.webhook import Webhook
from collector.assembly import Collector, build
from collector.live.excuses import Excuses
from collector.live.recent import Past
from collector.plans.plan_book import PlanBook
from collector.service import as_listened, serve, sockets_from_environment
from collector.settings import Settings
from collector.stores import JOURNAL
from console.on_duty import DutyObserver
from console.running import look_less_for_garbage, set_up_logs, share_heaps
from console.single import only_one
from linkgauge.clock import Clock, SystemClock, seconds
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from quality.ledger import Ledger

LARGE_BYTES = 256 << 10
"""Arrays of so many octets go back to the system when they are done with: judging needs many for a moment."""


def run(
    config: Annotated[Path, typer.Option(help="The collector's settings.")] = Path(
        "/etc/linkgauge/collector.yaml"
    ),
) -> None:
    """Run the collector until SIGTERM or Ctrl-C."""
    share_heaps(LARGE_BYTES)
    settings = Settings.load(config)
    set_up_logs()
    sockets = sockets_from_environment()
    settings = as_listened(settings, sockets)
    with only_one(settings.data_dir, "collector", f"set data_dir in {config}"):
        collector, engine, told = wire(settings)
        engine.start()
        look_less_for_garbage()
        try:
            serve(collector, sockets)
        finally:
            engine.stop()
            told.close()


def wire(settings: Settings, clock: Clock | None = None) -> tuple[Collector, AlertEngine, Book]:
    """The collector with quality's judge, and the alert engine that watches its verdicts."""
    clock = clock or SystemClock()
    fresh = not (settings.data_dir / JOURNAL).exists()
    plans = PlanBook(settings.inventory, settings.plan_take_over_s, clock, fresh=fresh)
    window_ns = seconds(plans.inventory().window_s)
    told = Book(settings.data_dir / "alerts.sqlite")
    receivers = [Webhook(hook.name, hook.url, hook.token) for hook in settings.webhooks]
    engine = AlertEngine(load_rules(), plans.specs(), told, receivers, clock)
    period_ns = seconds(plans.inventory().period_s)
    ledger, excuses = Ledger(window_ns, period_ns), Excuses(plans.inventory, window_ns, period_ns)

    def remember(past: Past) -> None:
        ledger.absorb(past.windows, past.flows, plans.specs(), plans.inventory().judged_class)

    def judge(past: Past, specs: Sequence[LinkSpec], start_ns: int) -> Frame:
        if past.anew:
            ledger.begin_anew()
        ledger.absorb(past.windows, past.flows, specs, plans.inventory().judged_class)
        return excuses.links(specs, start_ns).marked(ledger.judge(past.throughput, start_ns))

    observers = [DutyObserver(engine, plans.specs, lambda: collector.duty.on())]
    collector = build(settings, plans, judge, observers, engine.active, clock, remember, excuses)
    return collector, engine, told
