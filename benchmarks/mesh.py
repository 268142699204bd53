"""A mesh of simulated agents with LINKS links each, and what they report: a healthy network by chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Column, Frame, Histograms
from linkgauge.histogram import bucket_of
from linkgauge.schema import FLOW, HEALTH, WINDOW
from linkgauge.table import Kind
from linkgauge.wire import Batch

LINKS = 100
"""Links of an agent."""
WINDOW_NS = 10 * NS_PER_S
STAMP, ECHO = 100, 5
"""Packets of one window, of STAMP, and of ICMP and TCP each."""
LOSS = 1 / 20_000
_POOL = 65_536
_FLOWS_EVERY = 6
_LISTED = 10


class Mesh:
    """agents: how many report, LINKS links each. Up to _LISTED of them in one ring of listed links; more in
    full meshes of LINKS + 1 nodes, each on a network of its own. spread: of delays, as a ratio."""

    def __init__(self, links: int, spread: float = 0.02) -> None:
        wanted, self._spread = links // LINKS, spread
        self._meshes = 0 if wanted <= _LISTED else -(-wanted // (LINKS + 1))
        self.agents = self._meshes * (LINKS + 1) or wanted
        self._nodes = max(self.agents, LINKS + 1)
        self._chance = np.random.default_rng(links)
        self._sent = np.repeat([STAMP, ECHO], [LINKS, 2 * LINKS])
        self._drawn, self._template = self._pool(), self._made()

    def inventory(self) -> str:
        """The inventory file; ten nodes are a site."""
        kind = "full" if self._meshes else "listed"
        networks = [
            f"  - {{name: n{at}, kind: backbone, mesh: {kind}}}" for at in range(max(self._meshes, 1))
        ]
        nodes = [
            f"  - {{name: h{at}, site: s{at // 10},"
            f" addresses: {{n{self._network(at)}: 10.0.{at // 250}.{at % 250 + 1}}}}}"
            for at in range(self._nodes)
        ]
        sites = [
            f"  - {{name: s{at}, region: r{at // 10}, operator: o}}" for at in range(-(-self._nodes // 10))
        ]
        parts = ["version: 1", "networks:", *networks, "sites:", *sites, "nodes:", *nodes]
        if not self._meshes:
            parts += ["links:"]
            parts += [f"  - {{link: {link}}}" for at in range(self.agents) for link in self.links(at)]
        return "\n".join(parts) + "\n"

    def links(self, agent: int) -> list[str]:
        """Links of an agent: to every node of its mesh, or in the ring to as many ahead as behind."""
        if self._meshes:
            first = self._network(agent) * (LINKS + 1)
            others = [at for at in range(first, first + LINKS + 1) if at != agent]
        else:
            steps = [step for half in range(1, LINKS // 2 + 1) for step in (half, -half)]
            others = [(agent + step) % self._nodes for step in steps]
        return [f"h{agent}>h{other}@n{self._network(agent)}" for other in others]

    def _network(self, node: int) -> int:
        return node // (LINKS + 1) if self._meshes else 0

    def batches(self, number: int, start_ns: int) -> Iterator[Batch]:
        """What all agents report of the window from start_ns; `number` counts windows, from 1."""
        for agent in range(self.agents):
            frames = [self._windows(agent, start_ns), self._health(agent, start_ns)]
            if number % _FLOWS_EVERY == 0:
                frames.append(self._flows(agent, start_ns - (_FLOWS_EVERY - 1) * WINDOW_NS))
            named = {frame.table.name: frame for frame in frames}
            yield Batch(f"h{agent}", "boot", number, start_ns + WINDOW_NS, named)

    def _pool(self) -> Histograms:
        """Histograms of delays that spread by that and a tail, to be drawn from: _POOL of STAMP, _POOL of
        an echo, an empty one."""
        parts = [self._delays(packets) for packets in (STAMP, ECHO)]
        offsets = [parts[0].offsets, parts[1].offsets[1:] + parts[0].offsets[-1]]
        end = offsets[1][-1:]
        return Histograms(
            np.concatenate([*offsets, end]),
            np.concatenate([part.bucket for part in parts]),
            np.concatenate([part.count for part in parts]),
        )

    def _delays(self, packets: int) -> Histograms:
        base_ns = 7e5 * np.exp(self._chance.normal(0, 0.05, (_POOL, 1)))
        spread = self._chance.normal(0, self._spread, (_POOL, packets))
        spread += self._chance.exponential(self._spread, (_POOL, packets))
        key = np.arange(_POOL)[:, None] * 4_096 + bucket_of(base_ns * (1 + np.abs(spread)))
        found, count = np.unique(key, return_counts=True)
        owner, bucket = np.divmod(found, 4_096)
        offsets = np.searchsorted(owner, np.arange(_POOL + 1)).astype(np.int64)
        return Histograms(offsets, bucket.astype(np.int16), count.astype(np.int64))

    def _windows(self, agent: int, start_ns: int) -> Frame:
        """STAMP, ICMP and TCP of each link; reals that nobody judges by are the same in every window."""
        lost = self._chance.binomial(self._sent, LOSS)
        columns: dict[str, Column] = {**self._template.columns}
        columns["link"] = np.array(self.links(agent) * 3, np.object_)
        columns["start_ns"] = np.full(len(lost), start_ns)
        columns |= {
            "replied": self._sent - lost,
            "lost_forward": lost,
            "loss_forward_ratio": lost / self._sent,
            "marks": self._sent - lost,
        }
        for name, least_us in (("forward_min_us", 700.0), ("backward_min_us", 750.0), ("pdv_us", 60.0)):
            columns[name] = least_us + self._chance.exponential(least_us * self._spread, len(lost))
        stamp, echo = self._chance.integers(0, _POOL, LINKS), self._chance.integers(0, _POOL, 2 * LINKS)
        columns["rtt_ns"] = self._drawn.take(np.concatenate([stamp, _POOL + echo]))
        for name in ("forward_ns", "backward_ns"):
            stamp, none = self._chance.integers(0, _POOL, LINKS), np.full(2 * LINKS, 2 * _POOL)
            columns[name] = self._drawn.take(np.concatenate([stamp, none]))
        return Frame(WINDOW, columns, len(lost))

    def _made(self) -> Frame:
        rows = 3 * LINKS
        reals = {
            field.name: np.round(self._chance.random(rows) * 1_000, 1)
            for field in WINDOW.fields
            if field.kind is Kind.REAL
        }
        keys = {"link": [""] * rows, "class": ["0"] * rows}
        keys["probe"] = [probe for probe in ("stamp", "icmp", "tcp") for _ in range(LINKS)]
        times = {"start_ns": [0] * rows, "length_ns": [WINDOW_NS] * rows}
        known = {"loss_backward_ratio": np.zeros(rows), "one_way_error_us": np.full(rows, 50.0)}
        known |= {"unanswered_s": np.zeros(rows), "heard": np.full(rows, float(STAMP))}
        return Frame.of(WINDOW, {**keys, **times, **reals, **known, "sent": self._sent})

    def _flows(self, agent: int, start_ns: int) -> Frame:
        lost = self._chance.binomial(_FLOWS_EVERY * STAMP, LOSS, LINKS)
        sent = np.full(LINKS, _FLOWS_EVERY * STAMP)
        keys = {"link": self.links(agent), "probe": ["stamp"] * LINKS, "class": ["0"] * LINKS}
        times = {"start_ns": [start_ns] * LINKS, "length_ns": [_FLOWS_EVERY * WINDOW_NS] * LINKS}
        counts = {"sent": sent, "replied": sent - lost, "lost_forward": lost}
        return Frame.of(FLOW, {**keys, "flow": ["0"] * LINKS, **times, **counts})

    def _health(self, agent: int, start_ns: int) -> Frame:
        times = {"start_ns": [start_ns], "length_ns": [WINDOW_NS]}
        return Frame.of(HEALTH, {"agent": [f"h{agent}"], **times, "fit": [1]})
