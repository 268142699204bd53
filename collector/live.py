"""The present, in memory: what each link and agent last reported, and the rows that a verdict looks at.

Fed with each journalled batch; at start, with what the archive and the journal still have of the last
period. A row replaces an older copy with the same key. Bounded: windows older than a period go, and nothing
is held for a link or agent that is not in the inventory. Of STAMP the class that is judged is shown.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from collector.recent import JUDGED_FLOW, JUDGED_WINDOW, Past, Recent
from linkgauge.clock import NS_PER_S, seconds
from linkgauge.code import Outcome
from linkgauge.frame import Frame, concat
from linkgauge.inventory import Inventory
from linkgauge.model import DelayBasis, Link, Probe, Verdict
from linkgauge.schema import FLOW, HEALTH, STATE, THROUGHPUT, WINDOW
from linkgauge.table import Table
from linkgauge.wire import Batch

_SHOWN = (
    "start_ns", "length_ns", "sent", "loss_forward_ratio", "loss_backward_ratio", "loss_ratio",
    "rtt_min_us", "rtt_p50_us", "rtt_p99_us", "forward_p50_us", "unfit", "replied", "refused",
    "revision",
)  # fmt: skip
"""Columns of WINDOW that the API tells for each probe."""
_DIVERGENT = {Probe.STAMP: 1, Probe.ICMP: 2, Probe.TCP: 4}
"""Bits of the field `divergent`."""
Row = Mapping[str, Any]


class LiveState:
    """See above; thread safe. inventory: the one in force when called.

    cycle_ns: how long it takes from a link's throughput test to its next; 0 = not known.
    """

    def __init__(self, inventory: Callable[[], Inventory], cycle_ns: Callable[[], int] = lambda: 0) -> None:
        self._inventory, self._cycle_ns = inventory, cycle_ns
        self._lock = threading.Lock()
        self._recent = Recent(inventory)
        self._shown: dict[tuple[str, str], Row] = {}
        self._tests: dict[str, Row] = {}  # the last of each link, however it ended
        self._measured: dict[str, Row] = {}  # the last of each link that measured
        self._health: dict[str, Row] = {}
        self._seen: dict[str, tuple[int, str]] = {}
        self._state: dict[str, Row] = {}

    def take(self, batch: Batch, received_ns: int) -> None:
        """Observe a journalled batch."""
        with self._lock:
            if batch.agent in self._inventory().nodes:
                self._seen[batch.agent] = max(self._seen.get(batch.agent, (0, "")), (received_ns, batch.boot))
            for frame in batch.frames.values():
                self._take_frame(frame, batch.agent)

    def replay(self, frame: Frame) -> None:
        """Take up rows of many agents, as they stand in the archive."""
        with self._lock:
            if "link" not in frame.table.keys or not frame.rows or frame.table is STATE:
                self._take_frame(frame, "")
                return
            links = frame.text("link").tolist()
            agents = np.array([link.partition(">")[0] for link in links], np.object_)
            for agent in dict.fromkeys(agents.tolist()):
                self._take_frame(frame.take(agents == agent), agent)

    def observe_state(self, frame: Frame) -> None:
        """Keep the last STATE row of each link."""
        with self._lock:
            self._take_state(frame)

    def period(self, start_ns: int) -> Past:
        """Rows of all links of the period that ends with the window at start_ns.

        They are asked for to judge that window: rows of it that come from now on are late.
        """
        with self._lock:
            self._recent.settle(start_ns)
            windows, flows = self._recent.windows(start_ns), self._recent.flows(start_ns)
        return Past(concat(JUDGED_WINDOW, windows), concat(JUDGED_FLOW, flows), self.throughput(start_ns))

    @property
    def tests_valid_ns(self) -> int:
        """How old a throughput test may be and still count: two cycles, at least two periods."""
        return 2 * max(self._cycle_ns(), seconds(self._inventory().period_s))

    def throughput(self, start_ns: int) -> Frame:
        """The last THROUGHPUT row that measured of each expected link, as it counts at `start_ns`."""
        links, oldest_ns = self._inventory().links, start_ns - self.tests_valid_ns
        with self._lock:
            measured = [row for row in self._measured.values() if row["start_ns"] >= oldest_ns]
        rows = [row for row in measured if Link.parse(row["link"]) in links]
        return Frame.of(
            THROUGHPUT, {f.name: [row[f.name] for row in rows] for f in THROUGHPUT.columns}, len(rows)
        )

    def late(self) -> list[int]:
        """Starts of the windows that got rows after they were judged, oldest first."""
        with self._lock:
            return self._recent.late()

    def last_judged_ns(self) -> int | None:
        """Start of the newest window with a STATE row; None when there is none."""
        with self._lock:
            return max((row["start_ns"] for row in self._state.values()), default=None)

    def links(self, now_ns: int) -> list[dict[str, Any]]:
        """Every expected link: tags, verdicts in words, last numbers of each probe; None = unknown."""
        with self._lock:
            return [
                self._link(str(spec.link), spec.tags, now_ns) for spec in self._inventory().links.values()
            ]

    def agents(self, now_ns: int) -> list[dict[str, Any]]:
        """Every node: when its agent last reported, in which boot, and its last health row."""
        with self._lock:
            return [self._agent(node.name, node.site, now_ns) for node in self._inventory().nodes.values()]

    def _take_frame(self, frame: Frame, agent: str) -> None:
        if frame.table is WINDOW:
            self._show(frame)
            self._recent.take_windows(frame, agent)
            self._forget()
        elif frame.table is FLOW:
            self._recent.take_flows(frame, agent)
        elif frame.table is THROUGHPUT:
            _keep_last(self._tests, frame, frame.text("link").tolist())
            measured = frame.take(frame.count("outcome") == Outcome.MEASURED.value)
            _keep_last(self._measured, measured, measured.text("link").tolist())
        elif frame.table is HEALTH:
            _keep_last(self._health, frame, frame.text("agent").tolist())
        elif frame.table is STATE:
            self._take_state(frame)

    def _take_state(self, frame: Frame) -> None:
        _keep_last(self._state, frame, frame.text("link").tolist())
        self._recent.settle_up_to(max(frame.count("start_ns").tolist(), default=0))

    def _show(self, frame: Frame) -> None:
        """Keep each link's last row of each probe; of STAMP that of the class that is judged."""
        stamp = frame.text("probe") == Probe.STAMP.value
        other_class = stamp & (frame.text("class") != self._inventory().judged_class)
        shown = frame.take(~other_class) if other_class.any() else frame
        keys = list(zip(shown.text("link").tolist(), shown.text("probe").tolist(), strict=True))
        _keep_last(self._shown, shown, keys, _SHOWN)

    def _forget(self) -> None:
        nodes = self._inventory().nodes
        for known in (self._health, self._seen):
            for name in [name for name in known if name not in nodes]:
                del known[name]

    def _link(self, link: str, tags: Mapping[str, str], now_ns: int) -> dict[str, Any]:
        state, test = self._state.get(link), self._tests.get(link)
        probes = {probe.value: self._shown.get((link, probe.value)) for probe in Probe}
        stamp = probes[Probe.STAMP.value] or {}
        seen_ns = max((row["start_ns"] + row["length_ns"] for row in probes.values() if row), default=None)
        return {
            "link": link,
            "tags": dict(tags),
            "verdict": _word(state, "verdict"),
            "verdict_delay": _word(state, "verdict_delay"),
            "verdict_loss": _word(state, "verdict_loss"),
            "verdict_throughput": _word(state, "verdict_throughput"),
            "delay_basis": DelayBasis(state["delay_basis"]).word if state else DelayBasis.NONE.word,
            "delay_us": _known((state or {}).get("delay_us")),
            "rtt_p50_us": _known(stamp.get("rtt_p50_us")),
            "loss_forward_ratio": _told("loss_forward_ratio", stamp, state),
            "loss_backward_ratio": _told("loss_backward_ratio", stamp, state),
            "received_bps": _known((test or {}).get("received_bps")),
            "flows_bad": state["flows_bad"] if state else None,
            "divergent": [p.value for p, bit in _DIVERGENT.items() if state and state["divergent"] & bit],
            "age_s": None if seen_ns is None else (now_ns - seen_ns) / NS_PER_S,
            "probes": {name: _plain(row) for name, row in probes.items() if row},
            "state": _plain(state) if state else None,
            "throughput": _plain(test) if test else None,
        }

    def _agent(self, name: str, site: str, now_ns: int) -> dict[str, Any]:
        seen_ns, boot = self._seen.get(name, (None, None))
        health = self._health.get(name)
        return {
            "agent": name,
            "site": site,
            "last_seen_s": None if seen_ns is None else (now_ns - seen_ns) / NS_PER_S,
            "boot": boot,
            "health": _plain(health) if health else None,
        }


def _keep_last(kept: dict[Any, Row], frame: Frame, keys: list[Any], names: tuple[str, ...] = ()) -> None:
    """Keep each key's newest row, of its copies that of the highest revision, as a mapping of the columns
    named (all without histograms)."""
    names = names or _plain_columns(frame.table)
    columns = [np.asarray(frame.columns[name]).tolist() for name in names]
    starts = frame.count("start_ns").tolist()
    revisions = frame.count("revision").tolist() if "revision" in names else [0] * frame.rows
    for key, start_ns, revision, values in zip(
        keys, starts, revisions, zip(*columns, strict=True), strict=True
    ):
        known = kept.get(key)
        if known is None or (known["start_ns"], known.get("revision", 0)) <= (start_ns, revision):
            kept[key] = dict(zip(names, values, strict=True))


def _plain_columns(table: Table) -> tuple[str, ...]:
    return tuple(field.name for field in table.columns if field.kind.value != "histogram")


def _word(state: Row | None, name: str) -> str:
    return Verdict(state[name]).word if state else Verdict.UNKNOWN.word


def _told(name: str, *rows: Row | None) -> Any:
    """The value of the first row that knows it: a window alone may not tell the direction of its losses."""
    known = (_known(row.get(name)) for row in rows if row)
    return next((value for value in known if value is not None), None)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain(row: Row) -> dict[str, Any]:
    """A row for JSON, which has no NaN."""
    return {name: _known(value) for name, value in row.items()}
