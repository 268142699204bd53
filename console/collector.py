"""`linkgauge collector`: receive, keep, judge, alert. Here the rooms are wired together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from alerts.book import Book
from alerts.engine import AlertEngine
from alerts.rule import load_rules
from alerts.webhook import Webhook
from collector.assembly import Collector, build
from collector.plan_book import PlanBook
from collector.service import serve, sockets_from_environment
from collector.settings import Settings
from console.running import set_up_logs
from console.single import only_one
from linkgauge.clock import SystemClock, seconds
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from quality.judge import judge


def run(
    config: Annotated[Path, typer.Option(help="The collector's settings.")] = Path(
        "/etc/linkgauge/collector.yaml"
    ),
) -> None:
    """Run the collector until SIGTERM or Ctrl-C."""
    settings = Settings.load(config)
    set_up_logs()
    sockets = sockets_from_environment()
    with only_one(settings.data_dir, "collector", f"set data_dir in {config}"):
        collector, engine, told = wire(settings)
        engine.start()
        try:
            serve(collector, sockets)
        finally:
            engine.stop()
            told.close()


def wire(settings: Settings) -> tuple[Collector, AlertEngine, Book]:
    """The collector with quality's judge, and the alert engine that watches its verdicts."""
    clock = SystemClock()
    plans = PlanBook(settings.inventory)
    window_ns = seconds(plans.inventory().window_s)
    told = Book(settings.data_dir / "alerts.sqlite")
    receivers = [Webhook(hook.name, hook.url, hook.token()) for hook in settings.webhooks]
    engine = AlertEngine(load_rules(), plans.specs(), told, receivers, clock)
    collector = build(
        settings,
        plans,
        lambda past, specs, start_ns: judge(
            past.windows,
            past.throughput,
            past.flows,
            specs,
            start_ns,
            window_ns,
            plans.inventory().judged_class,
        ),
        [_observer(engine, plans.specs)],
        engine.active,
        clock,
    )
    return collector, engine, told


def _observer(engine: AlertEngine, specs: Callable[[], Sequence[LinkSpec]]) -> Callable[[Frame], None]:
    """Hands each window's states to the engine, and new links first when the inventory has changed."""
    watched = specs()

    def observe(state: Frame) -> None:
        nonlocal watched
        if (now := specs()) != watched:
            engine.watch(now)
            watched = now
        engine.observe(state)

    return observe
