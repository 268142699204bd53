"""`linkgauge collector`: receive, keep, judge, alert. Here the rooms are wired together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from alerts.causes.place_cause import PlaceCause
from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.roll.silences import Listed
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from collector.assembly import SENDING_S, Collector, build
from collector.live.excuses import Excuses
from collector.live.kept_budget import FILE_NAME as BUDGET
from collector.live.last_paths import LastPaths
from collector.plans.plan_book import PlanBook
from collector.service import as_listened, serve, sockets_from_environment
from collector.settings import Settings
from collector.stores import JOURNAL
from console.ledger_judge import LedgerJudge
from console.on_duty import DutyObserver
from console.receivers import receivers_of
from console.running import look_less_for_garbage, set_up_logs, share_heaps
from console.single import only_one
from linkgauge.clock import Clock, SystemClock, seconds
from linkgauge.schema import COLLECTOR, SINK
from quality.ledger import LEAST_EVENTS_NS, Ledger

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
        wired = wire(settings)
        wired.engine.start()
        look_less_for_garbage()
        try:
            serve(wired.collector, sockets)
        finally:
            wired.engine.stop()
            wired.told.close()
            wired.judge.budget.write()


@dataclass(frozen=True, slots=True)
class Wired:
    """The parts of a collector that are begun and ended one by one."""

    collector: Collector
    engine: AlertEngine
    told: Book
    judge: LedgerJudge


def wire(settings: Settings, clock: Clock | None = None) -> Wired:
    """The collector with quality's judge, and the alert engine that watches its verdicts."""
    clock = clock or SystemClock()
    fresh = not (settings.data_dir / JOURNAL).exists()
    plans = PlanBook(settings.inventory, settings.plan_take_over_s, clock, fresh=fresh)
    window_ns = seconds(plans.inventory().window_s)
    told = Book(settings.data_dir / "alerts.sqlite")
    receivers = receivers_of(settings, clock)
    told.only([receiver.name for receiver in receivers], clock.now().wall_ns)
    subjects, silences = Subjects(plans.specs(), plans.inventory()), Listed(plans.inventory)
    rules = load_rules()
    period_ns = seconds(plans.inventory().period_s)
    ledger, paths = Ledger(window_ns, period_ns), LastPaths(plans.inventory)
    cause = PlaceCause(
        rules, plans.inventory, paths.paths, ledger.flow_losses,
        lambda link: paths.of_flows(link, plans.inventory().judged_class),
        paths.sizes.known,
    )  # fmt: skip
    events_ns = max(period_ns, LEAST_EVENTS_NS)
    due_ns = seconds(plans.inventory().probing.stamp.timeout_s + SENDING_S)
    engine = AlertEngine(rules, subjects, told, receivers, clock, cause, silences, events_ns, due_ns)
    excuses = Excuses(plans.inventory, window_ns, period_ns)
    judge = LedgerJudge(
        ledger, plans.inventory, excuses, settings.data_dir / BUDGET, clock,
        lambda: collector.metrics.fault("budget"),
    )  # fmt: skip
    judge.restore(plans.specs())
    own = [rule.name for rule in rules if rule.table in (SINK.name, COLLECTOR.name)]
    observer = DutyObserver(
        engine, plans.specs, lambda: collector.duty.on(), plans.inventory, own,
        lambda: collector.duty.peer_told_ns(),
    )  # fmt: skip
    collector = build(
        settings, plans, judge.judge, [observer, judge.keep], engine.active, clock,
        lambda past: judge.remember(past, plans.specs()), excuses, paths, engine.receivers,
    )  # fmt: skip
    return Wired(collector, engine, told, judge)
