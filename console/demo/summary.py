"""What the demo found, held against the truth of the lab: for people, and as summary.json for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collector.sinks.archive_reader import ArchiveReader
from console import render
from console.demo.chain import FAULT_RATIO, Chain
from console.demo.files import DATABASE, WINDOW_S
from console.demo.kept import Kept, count_kept
from console.demo.view import VERDICT_STYLES
from console.demo.webhook import Page
from console.grafana_choices import chosen_alerting
from dashboards.render import InfluxSource
from linkgauge import inventory
from linkgauge.clock import NS_PER_S
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.histogram import merge
from linkgauge.model import LinkSpec
from linkgauge.schema import PATH, THROUGHPUT
from quality.verdicts.scores import summarise as score

DELAY_TOLERANCE_RATIO = 0.1
DELAY_TOLERANCE_US = 200.0
DETECT_WITHIN_S = 20.0
RESOLVE_WITHIN_S = 30.0
ALERTMANAGER = "http://127.0.0.1:9093"
_FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so, and what was found."""

    name: str
    good: bool
    found: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that summary.json has; the demo worked when every check is good."""

    world: str
    links: list[dict[str, Any]]
    fault: dict[str, Any] | None
    alerts: list[dict[str, Any]]
    kept: Kept
    checks: list[Check]
    dashboards: Path
    api: str

    @property
    def worked(self) -> bool:
        return all(check.good for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "world": self.world,
            "links": self.links,
            "fault": self.fault,
            "alerts": self.alerts,
            "kept": self.kept.as_dict(),
            "checks": [{"name": c.name, "good": c.good, "found": c.found} for c in self.checks],
        }

    def show(self, console: Console, target: Path) -> None:
        """The same as tables."""
        console.print(_measured_table(self.links))
        for check in self.checks:
            mark = Text("good ", style="green") if check.good else Text("BAD  ", style="bold red")
            console.print(mark, Text(f"{check.name}: {check.found}"), sep="")
        console.print(f"collector's API, while the demo runs: {self.api}/docs")
        console.print(f"boards and rules for Grafana: {self.dashboards}")
        console.print(f"the same for machines: {target}")


def summarise(chain: Chain) -> Summary:
    """Read back what was kept and judge the run. InfluxDB must still run; agents and collector have ended."""
    kept = count_kept(chain.outboxes, chain.archive, chain.influxdb, DATABASE)
    specs = list(inventory.load(chain.inventory).links.values())
    reader = ArchiveReader(chain.archive)
    windows = reader.windows(None, 0, _FOREVER_NS)
    tests = reader.read(THROUGHPUT, 0, _FOREVER_NS)
    ways = reader.read(PATH, 0, _FOREVER_NS)
    reader.close()
    verdicts = {summary.link: summary.verdict.word for summary in score(windows, tests, specs)}
    path = dict(zip(ways.text("link").tolist(), ways.text("path").tolist(), strict=True))
    links = [
        {**_link(chain, spec, windows, tests, verdicts), "path": path.get(str(spec.link))} for spec in specs
    ]
    alerts = _alerts(chain)
    dashboards = _dashboards(chain)
    return Summary(
        "loopback" if chain.loopback else "namespaces",
        links,
        _fault(chain),
        alerts,
        kept,
        _checks(chain, links, alerts, kept),
        dashboards,
        chain.api,
    )


def _dashboards(chain: Chain) -> Path:
    """What Grafana loads, for this InfluxDB and inventory."""
    folder = chain.folder / "grafana"
    source = InfluxSource(chain.influxdb or InfluxSource().url, DATABASE, window_s=WINDOW_S)
    render.write(
        folder, source, chosen_alerting(chain.inventory, None, None, None, ALERTMANAGER, quiet=False)
    )
    return folder


def _link(
    chain: Chain, spec: LinkSpec, windows: Frame, tests: Frame, verdicts: Mapping[str, str]
) -> dict[str, Any]:
    link = spec.link
    stamp = windows.take((windows.text("link") == str(link)) & (windows.text("probe") == "stamp"))
    own = tests.take((tests.text("link") == str(link)) & (tests.count("outcome") == Outcome.MEASURED.value))
    rtt = merge(list(stamp.histograms("rtt_ns")))
    rates = own.real("received_bps")
    return {
        "link": str(link),
        "network": link.network,
        "tier": spec.tier.name,
        "true_delay_us": chain.truth_us()[str(link)],
        **{name: int(stamp.count(name).sum()) for name in ("sent", "lost_forward", "lost_backward")},
        "rtt_p50_us": _us(rtt.quantile(0.5)),
        "rtt_p99_us": _us(rtt.quantile(0.99)),
        "received_bps": float(np.median(rates)) if len(rates) else None,
        "capacity_bps": chain.topology.capacity_bps(link.network) or None,
        "verdict": verdicts[str(link)],
    }


def _us(value_ns: float) -> float | None:
    return None if np.isnan(value_ns) else round(value_ns / 1e3, 1)


def _fault(chain: Chain) -> dict[str, Any] | None:
    if chain.injected_ns is None:
        return None
    return {
        "link": str(chain.fault_link),
        "kind": "loss",
        "direction": "forward",
        "ratio": FAULT_RATIO,
        "injected_at": timestamp(chain.injected_ns),
        "cleared_at": timestamp(chain.cleared_ns) if chain.cleared_ns is not None else None,
    }


def _alerts(chain: Chain) -> list[dict[str, Any]]:
    """Alerts as the pager got them; detection_s is from the fault to the message's arrival."""
    firing = [page for page in chain.pager.pages if page.body["status"] == "firing"]
    return [_alert(chain, page) for page in firing]


def _alert(chain: Chain, page: Page) -> dict[str, Any]:
    over = _resolution(chain.pager.pages, page)
    injected_ns = chain.injected_ns
    return {
        "rule": page.body["rule"],
        "severity": page.body["severity"],
        "about": page.body["about"],
        "direction": page.body["direction"],
        "fired_at": timestamp(page.at_ns),
        "resolved_at": timestamp(over.at_ns) if over is not None else None,
        "detection_s": None if injected_ns is None else round((page.at_ns - injected_ns) / NS_PER_S, 2),
        "resolution_s": None
        if over is None or chain.cleared_ns is None
        else round((over.at_ns - chain.cleared_ns) / NS_PER_S, 2),
    }


def _resolution(pages: Sequence[Page], firing: Page) -> Page | None:
    """The message that says that this alert is over."""
    for page in pages:
        if (
            page.body["status"] == "resolved"
            and page.body["id"] == firing.body["id"]
            and page.at_ns >= firing.at_ns
        ):
            return page
    return None


def _checks(
    chain: Chain, links: list[dict[str, Any]], alerts: list[dict[str, Any]], kept: Kept
) -> list[Check]:
    off = [link["link"] for link in links if not within_tolerance(link["rtt_p50_us"], link["true_delay_us"])]
    where = f"{len(links) - len(off)} of {len(links)} links within 10 % or 200 us"
    stores = "archive and InfluxDB" if kept.points_in_influxdb is not None else "archive"
    checks = [
        Check("round trip against the truth", not off, where + (f"; off: {', '.join(off)}" if off else "")),
        Check(
            "everything kept once",
            kept.windows_produced > 0 and kept.missing == 0 and kept.duplicates == 0,
            f"{kept.windows_produced} windows produced, {kept.missing} missing and {kept.duplicates} double "
            f"in {stores}",
        ),
        Check("processes ended in order", not chain.faults, "; ".join(chain.faults) or "all of them"),
    ]
    if chain.cleared_ns is not None and not _too_early(chain):
        checks += _fault_checks(str(chain.fault_link), alerts)
    else:
        checks.append(
            Check("alert", not alerts or chain.injected_ns is not None, "not checked: ended too early")
        )
    return checks


def _too_early(chain: Chain) -> bool:
    """Interrupted before the alert had its time to resolve."""
    assert chain.cleared_ns is not None
    return (chain.ended_ns - chain.cleared_ns) / NS_PER_S < RESOLVE_WITHIN_S - 10


def _fault_checks(faulty: str, alerts: list[dict[str, Any]]) -> list[Check]:
    pages = [alert for alert in alerts if alert["severity"] == "page"]
    right = [a for a in pages if (a["rule"], a["about"], a["direction"]) == ("link-loss", faulty, "forward")]
    others = sorted({f"{a['rule']} {a['about']} {a['direction']}" for a in pages if a not in right})
    detection_s = right[0]["detection_s"] if right else None
    resolution_s = right[-1]["resolution_s"] if right else None
    return [
        Check(
            f"alert names {faulty} forward within {DETECT_WITHIN_S:.0f} s",
            detection_s is not None and 0 < detection_s <= DETECT_WITHIN_S,
            "no alert" if detection_s is None else f"after {detection_s:.1f} s",
        ),
        Check(
            f"alert resolved within {RESOLVE_WITHIN_S:.0f} s of the mend",
            resolution_s is not None and 0 < resolution_s <= RESOLVE_WITHIN_S,
            "not resolved" if resolution_s is None else f"after {resolution_s:.1f} s",
        ),
        Check("no other page", not others and len(right) <= 1, ", ".join(others) or f"{len(pages)} in all"),
    ]


def within_tolerance(rtt_us: float | None, true_delay_us: float) -> bool:
    """The round trip is within 10 % or 200 us of twice the true one-way delay."""
    if rtt_us is None:
        return False
    truth_us = 2 * true_delay_us
    return abs(rtt_us - truth_us) <= max(DELAY_TOLERANCE_RATIO * truth_us, DELAY_TOLERANCE_US)


def timestamp(wall_ns: int) -> str:
    """Unix ns as RFC 3339, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(wall_ns // NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns % NS_PER_S // 1_000_000:03d}Z"


def _measured_table(links: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="measured against the truth")
    table.add_column("link")
    table.add_column("tier")
    for name in ("true RTT ms", "RTT p50 ms", "p99 ms", "sent", "lost out", "lost back", "Mbit/s", "of"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for link in links:
        good = within_tolerance(link["rtt_p50_us"], link["true_delay_us"])
        table.add_row(
            link["link"],
            link["tier"],
            f"{link['true_delay_us'] / 500:.2f}",
            Text(_number(link["rtt_p50_us"], 1e3, 2), style="" if good else "bold red"),
            _number(link["rtt_p99_us"], 1e3, 2),
            str(link["sent"]),
            str(link["lost_forward"]),
            str(link["lost_backward"]),
            _number(link["received_bps"], 1e6, 1),
            _number(link["capacity_bps"], 1e6, 0),
            Text(link["verdict"], style=VERDICT_STYLES[link["verdict"]]),
        )
    return table


def _number(value: float | None, unit: float, digits: int) -> str:
    return "-" if value is None else f"{value / unit:.{digits}f}"
