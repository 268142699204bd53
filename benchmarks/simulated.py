"""A network that exists as numbers only: rows of WINDOW and FLOW, window by window, healthy or with faults.

Full mesh of NODES nodes, three to a site, on one network: 1 056 links. Each link sends 10 packets a second,
spread over two flows. What is drawn by chance, for each window anew:

- delay: a base within the tier, queueing that follows the hour of the day and the pair of sites, with a tail
  (Pareto, shape 1.5, up to 50 ms) for one packet in a thousand each way; short times of crowding on a pair of
  sites (minutes, up to a quarter of the tier);
- loss: bursts of one to three packets, at 1e-6 to 1e-5 of the packets of a link;
- clocks: the error of each node's wanders between 50 us and 2 ms, its offset within that;
- hosts: a node is unfit for a window once in ten thousand.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.causes.place_cause import PlaceCause
from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from linkgauge import inventory
from linkgauge.clock import NS_PER_S, NS_PER_US, SystemClock
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import bucket_of
from linkgauge.schema import COLLECTOR, FLOW, NODE, SINK, THROUGHPUT, WINDOW
from quality.ledger import Ledger

NODES, SITES_OF = 33, 3
RATE_PPS, WINDOW_S = 10, 10
PACKETS = RATE_PPS * WINDOW_S
WINDOW_NS = WINDOW_S * NS_PER_S
FLOWS = 2
FLOW_WINDOWS = 6
_DAY_S = 86_400
_POOL = 4_096
_RANKS = np.array([0, 5, 10, 20, 30, 40, 49, 50, 60, 70, 80, 90, 94, 95, 97, 98, 99])
_COUNTS = np.diff(np.append(_RANKS, PACKETS))
Reals = NDArray[np.float64]
Counts = NDArray[np.int64]


class Network:
    """See above. chance: seeded."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self.inventory = inventory.load(_write_inventory())
        self.specs = list(self.inventory.links.values())
        self.names = np.array([str(spec.link) for spec in self.specs], np.object_)
        nodes = {name: at for at, name in enumerate(self.inventory.nodes)}
        self.src = np.array([nodes[spec.link.src] for spec in self.specs])
        self.dst = np.array([nodes[spec.link.dst] for spec in self.specs])
        places = {str(spec.link): at for at, spec in enumerate(self.specs)}
        self.back = np.array(
            [places[f"{s.link.dst}>{s.link.src}@{s.link.network}"] for s in self.specs], np.intp
        )
        self.tier_us = np.array([spec.tier.delay_us for spec in self.specs], np.float64)
        self._pair = np.minimum(self.src // SITES_OF, self.dst // SITES_OF) * NODES + np.maximum(
            self.src // SITES_OF, self.dst // SITES_OF
        )
        share = chance.uniform(0.2, 0.7, NODES * NODES)[self._pair]
        self.base_us = share * self.tier_us  # the same both ways, as the pair is
        self._loss = 10 ** chance.uniform(-6, -5, len(self.specs))
        self._error_us = np.exp(chance.uniform(np.log(50), np.log(2_000), NODES))
        self._offset_us = chance.uniform(-0.5, 0.5, NODES) * self._error_us
        self._crowded_until: dict[int, tuple[int, float]] = {}
        self._unit = self._noise()

    def _noise(self) -> Reals:
        """(_POOL, PACKETS) sorted delays in units of the mean queueing, tails in us added as negatives."""
        queue = self._chance.exponential(1.0, (_POOL, PACKETS))
        return np.sort(queue, axis=1)

    def window(self, start_ns: int, lost: Counts | None = None) -> dict[str, Any]:
        """Columns of WINDOW of a healthy window; lost (n,): packets that a fault loses forward, besides."""
        n, chance = len(self.specs), self._chance
        burst = (chance.random(n) < self._loss * PACKETS / 2) * chance.integers(1, 4, n)
        gone = np.minimum(burst + (0 if lost is None else lost), PACKETS).astype(np.int64)
        self._wander()
        forward, backward = self._way(start_ns), self._way(start_ns)
        shift = (self._offset_us[self.dst] - self._offset_us[self.src])[:, None]
        rtt = np.sort(forward + backward[:, chance.permutation(PACKETS)], axis=1)
        unfit = chance.random(NODES) < 1e-4
        error_us = self._error_us[self.src] + self._error_us[self.dst]
        replied = PACKETS - gone
        return {
            "link": self.names,
            "probe": np.full(n, "stamp", np.object_),
            "class": np.full(n, "0", np.object_),
            "start_ns": np.full(n, start_ns),
            "length_ns": np.full(n, WINDOW_NS),
            "sent": np.full(n, PACKETS),
            "replied": replied,
            "lost_forward": gone,
            "lost_runs": (gone > 0).astype(np.float64),  # a burst is one; a fault adds its own
            "unfit": unfit[self.src].astype(np.int64) * 2,
            "unanswered": np.zeros(n, np.int64),
            "unanswered_s": np.zeros(n),
            "heard": replied[self.back].astype(np.float64),
            "marks": replied,
            "loss_forward_ratio": gone / PACKETS,
            "loss_backward_ratio": np.zeros(n),
            "loss_ratio": gone / PACKETS,
            "rtt_min_us": rtt[:, 0],
            "rtt_p50_us": rtt[:, PACKETS // 2],
            "pdv_us": rtt[:, 94] - rtt[:, 0],
            "forward_min_us": forward[:, 0] + shift[:, 0],
            "backward_min_us": backward[:, 0] - shift[:, 0],
            "one_way_error_us": error_us,
            "rtt_ns": _histograms(rtt),
            "forward_ns": _histograms(forward + shift),
            "backward_ns": _histograms(backward - shift),
        }

    def flows(self, start_ns: int, lost: Counts) -> Frame:
        """FLOW rows of FLOW_WINDOWS windows that end with this one; lost (n,): of them all, out."""
        n = len(self.specs)
        first = self._chance.binomial(lost, 1 / FLOWS)
        gone = np.concatenate([first, lost - first])
        sent = np.full(n * FLOWS, PACKETS * FLOW_WINDOWS // FLOWS)
        columns = {
            "link": np.tile(self.names, FLOWS),
            "probe": ["stamp"] * (n * FLOWS),
            "class": ["0"] * (n * FLOWS),
            "flow": np.repeat(np.array(["0", "1"], np.object_), n),
            "start_ns": np.full(n * FLOWS, start_ns - (FLOW_WINDOWS - 1) * WINDOW_NS),
            "length_ns": np.full(n * FLOWS, FLOW_WINDOWS * WINDOW_NS),
            "sent": sent,
            "replied": sent - gone,
            "lost_forward": gone,
        }
        return Frame.of(FLOW, columns)

    def _way(self, start_ns: int) -> Reals:
        """(n, PACKETS) delays one way, us, ascending but for the order of tails."""
        n, chance = len(self.specs), self._chance
        hour = 2 * np.pi * (start_ns / NS_PER_S % _DAY_S) / _DAY_S
        use = 0.45 + 0.3 * np.sin(hour + self._pair % 24 * (2 * np.pi / 24)) * (self._pair % 3 / 2)
        queue_us = 0.004 * self.tier_us * use / (1 - use) + self._crowding(start_ns)
        delay = self.base_us[:, None] + queue_us[:, None] * self._unit[chance.integers(0, _POOL, n)]
        tails = np.flatnonzero(chance.random(n * PACKETS) < 1e-3)
        slow_us = np.minimum(200.0 * chance.pareto(1.5, len(tails)) + 200.0, 50_000.0)
        delay.ravel()[tails] += slow_us
        return np.sort(delay, axis=1)

    def _crowding(self, start_ns: int) -> Reals:
        """Extra mean queueing of each link, us: a pair of sites in a thousand is crowded for minutes."""
        chance = self._chance
        for pair in np.unique(self._pair)[chance.random(len(np.unique(self._pair))) < 1e-4]:
            until_ns = start_ns + int(chance.exponential(300.0) * NS_PER_S)
            self._crowded_until[int(pair)] = (until_ns, float(chance.uniform(0.02, 0.08)))
        self._crowded_until = {p: held for p, held in self._crowded_until.items() if held[0] > start_ns}
        extra = np.zeros(NODES * NODES)
        for pair, (_, share) in self._crowded_until.items():
            extra[pair] = share
        return np.asarray(extra[self._pair] * self.tier_us, np.float64)

    def _wander(self) -> None:
        chance = self._chance
        self._error_us = np.clip(self._error_us * np.exp(chance.normal(0, 0.02, NODES)), 50, 2_000)
        step = chance.normal(0, 5.0, NODES)
        limit = 0.5 * self._error_us
        self._offset_us = np.clip(self._offset_us + step, -limit, limit)


def windows(columns: Mapping[str, Any]) -> Frame:
    """The frame of such columns."""
    return Frame.of(WINDOW, dict(columns))


def alert_engine(network: Network, ledger: Ledger, book: Book) -> AlertEngine:
    """The alert engine with all rules and causes, as a collector's; there are no hops here."""
    rules = load_rules()
    cause = PlaceCause(rules, lambda: network.inventory, flow_losses=ledger.flow_losses)
    subjects = Subjects(network.specs, network.inventory)
    return AlertEngine(rules, subjects, book, [], SystemClock(), cause)


def no_throughput() -> Frame:
    """THROUGHPUT without a row: nothing was tested."""
    empty: dict[str, list[str]] = {key: [] for key in THROUGHPUT.keys}
    return Frame.of(THROUGHPUT, {**empty, "start_ns": []})


def own_rows(network: Network, start_ns: int, chance: np.random.Generator) -> dict[str, Frame]:
    """Healthy rows of NODE, SINK and COLLECTOR, with what happens in health: an unfit or slow agent now and
    then, a clock that loses its source for a window, a sink that lags by seconds."""
    names = list(network.inventory.nodes)
    n = len(names)
    times = {"start_ns": np.full(n, start_ns), "length_ns": np.full(n, WINDOW_NS)}
    sites = [network.inventory.sites[network.inventory.nodes[name].site] for name in names]
    node = {
        "node": names,
        "site": [site.name for site in sites],
        "region": [site.region for site in sites],
        "operator": [site.operator for site in sites],
        **times,
        "silent_s": np.where(chance.random(n) < 1e-4, chance.uniform(0, 30, n), 0.0),
        "unfit_ratio": (chance.random(n) < 1e-4).astype(float),
        "clock_unsynchronised_ratio": (chance.random(n) < 1e-5).astype(float),
        "plan_age_s": chance.uniform(0, 70, n),
        "outbox_oldest_s": np.where(chance.random(n) < 1e-3, chance.exponential(10, n), 0.0),
        "down_ratio": np.zeros(n),
        "links_in": np.full(n, NODES - 1),
        "links_out": np.full(n, NODES - 1),
    }
    sinks = ["archive", "influxdb"]
    two = {"start_ns": [start_ns] * 2, "length_ns": [WINDOW_NS] * 2}
    lag_s = np.where(chance.random(2) < 1e-2, chance.exponential(15, 2), 0.0)
    sink = {"collector": ["c"] * 2, "sink": sinks, **two, "lag_s": lag_s, "held_ratio": [0.0, 0.0]}
    sink |= {"behind_s": lag_s, "stuck_ratio": [0.0, 0.0]}
    one = {"collector": ["c"], "start_ns": [start_ns], "length_ns": [WINDOW_NS]}
    frames = (Frame.of(NODE, node), Frame.of(SINK, sink), Frame.of(COLLECTOR, one))
    return {frame.table.name: frame for frame in frames}


def _histograms(delay_us: Reals) -> Histograms:
    """Of rows (n, PACKETS), ascending: some order statistics stand for those up to the next."""
    buckets = bucket_of(delay_us[:, _RANKS] * NS_PER_US)
    n, held = buckets.shape
    offsets = np.arange(n + 1, dtype=np.int64) * held
    return Histograms(offsets, buckets.ravel().astype(np.int16), np.tile(_COUNTS, n).astype(np.int64))


def _write_inventory() -> Path:
    sites = NODES // SITES_OF
    lines = ["version: 1", f"window_s: {WINDOW_S}", "networks:", "  - {name: net, kind: backbone}", "sites:"]
    lines += [f"  - {{name: s{at}, region: r{at // 3}, operator: o{at % 2}}}" for at in range(sites)]
    lines += ["nodes:"]
    lines += [
        f"  - {{name: n{at}, site: s{at // SITES_OF}, addresses: {{net: 10.0.0.{at + 1}}}}}"
        for at in range(NODES)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        file.write("\n".join(lines) + "\n")
    return Path(file.name)
