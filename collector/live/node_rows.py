"""NODE rows: how each node of the inventory stands in a window, silent ones too.

Whether a node is heard tells this collector alone, since it listens: what comes to the other of a pair comes
here as well. Of a node that was not heard since then nothing is known until that lasted for SILENT_S: so a
restart neither ends a silence nor begins one. What the agent says of itself is known while its health is of
this window or the two before. From the links that others measure follows whether the node answers at all, and
until when its certificates are valid. Not thread safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.live.excuses import Excuses
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.judged_tables import DOWN_S, SILENT_S
from linkgauge.schema import NODE

LEAST_NODES = 2
"""So many others must have no answer before it is the node: of one alone its own line may be the cause."""
HEARD_WINDOWS = 2
"""A node counts as heard while its last batch is no older: agents report once a window."""
FRESH_WINDOWS = 2
LEAST_GAP_NS = 30 * NS_PER_S
Agents = Callable[[int], Iterable[Mapping[str, Any]]]
"""From the time now to every node: agent, last_seen_s, health (as LiveState.agents)."""
_UNKNOWN = np.nan


@dataclass(frozen=True, slots=True)
class _Ends:
    """The links of a STATE frame: from and to which node, (links,), -1 for a node that has gone."""

    links: NDArray[np.object_]
    src: NDArray[np.intp]
    dst: NDArray[np.intp]


class NodeRows:
    """See above. deaf: whether batches cannot be taken just now. due_ns: how long after its end a window is
    judged."""

    def __init__(
        self,
        inventory: Callable[[], Inventory],
        agents: Agents,
        excuses: Excuses,
        clock: Clock,
        due_ns: int,
        deaf: Callable[[], bool] = lambda: False,
    ) -> None:
        self._inventory, self._agents, self._excuses = inventory, agents, excuses
        self._clock, self._due_ns, self._deaf = clock, due_ns, deaf
        self._listens_ns = self._called_ns = clock.now().wall_ns
        self._since_ns: dict[str, int] = {}  # node -> since when it is expected to be heard
        self._known: Inventory | None = None
        self._asked: Inventory | None = None
        self._sources: frozenset[str] = frozenset()
        self._ends = _Ends(np.empty(0, np.object_), np.empty(0, np.intp), np.empty(0, np.intp))

    def rows(self, state: Frame) -> Frame:
        """A row for every node, in the inventory's order, of the window of these STATE rows."""
        inventory = self._inventory()
        names = list(inventory.nodes)
        sites = [inventory.sites[node.site] for node in inventory.nodes.values()]
        start_ns, length_ns = int(state.count("start_ns")[0]), int(state.count("length_ns")[0])
        columns = {
            "node": names,
            "site": [site.name for site in sites],
            "region": [site.region for site in sites],
            "operator": [site.operator for site in sites],
            "latitude_deg": [site.latitude_deg for site in sites],
            "longitude_deg": [site.longitude_deg for site in sites],
            "start_ns": [start_ns] * len(names),
            "length_ns": [length_ns] * len(names),
            **self._told(inventory, start_ns, length_ns),
            **self._links(inventory, state),
        }
        return self._excuses.nodes(start_ns).marked(Frame.of(NODE, columns))

    def _told(self, inventory: Inventory, start_ns: int, length_ns: int) -> dict[str, Any]:
        """What the agents said, and since when they say nothing. A far end that measures nothing and was
        never heard is no agent: a router that answers."""
        names, measuring = list(inventory.nodes), self._measuring(inventory)
        now_ns = self._clock.now().wall_ns
        due_ns = start_ns + length_ns + self._due_ns
        self._listen(now_ns, length_ns)
        came_ns = now_ns if self._since_ns else self._listens_ns
        self._since_ns = {name: self._since_ns.get(name, came_ns) for name in names}
        agents = {each["agent"]: each for each in self._agents(now_ns)}
        told = [agents.get(name, {}) for name in names]
        silent_s = [
            self._silent_s(self._since_ns[name], each.get("last_seen_s"), now_ns, due_ns, length_ns)
            if name in measuring or each.get("last_seen_s") is not None
            else _UNKNOWN
            for name, each in zip(names, told, strict=True)
        ]
        healths = [_fresh(each.get("health"), start_ns - FRESH_WINDOWS * length_ns) for each in told]
        return {
            "silent_s": silent_s,
            "unfit_ratio": [1.0 - _number(health, "fit") for health in healths],
            "clock_unsynchronised_ratio": [1.0 - _number(each, "clock_synchronised") for each in healths],
            "clock_error_us": [_number(each, "clock_error_us") for each in healths],
            "plan_age_s": [_number(each, "plan_age_s") for each in healths],
            "outbox_oldest_s": [_number(each, "outbox_oldest_s") for each in healths],
            "outbox_dropped": [int(each.get("outbox_dropped") or 0) for each in healths],
        }

    def _measuring(self, inventory: Inventory) -> frozenset[str]:
        """Nodes from which a link begins."""
        if self._asked is not inventory:
            self._asked, self._sources = inventory, frozenset(link.src for link in inventory.links)
        return self._sources

    def _listen(self, now_ns: int, length_ns: int) -> None:
        """Begin to listen anew after a time in which nobody could be heard: we slept, or had no journal. A
        clock that is set back leaves nothing ahead of it."""
        if now_ns < self._called_ns:
            self._listens_ns = min(self._listens_ns, now_ns)
            self._since_ns = {name: min(since_ns, now_ns) for name, since_ns in self._since_ns.items()}
        if self._deaf() or abs(now_ns - self._called_ns) > max(3 * length_ns, LEAST_GAP_NS):
            self._listens_ns = now_ns
        self._called_ns = now_ns

    def _silent_s(
        self, since_ns: int, seen_s: float | None, now_ns: int, due_ns: int, length_ns: int
    ) -> float:
        """As it was when the window was due; unknown of a time in which nobody listened here."""
        since_ns = max(since_ns, self._listens_ns)
        if due_ns < since_ns:
            return _UNKNOWN
        seen_ns = 0 if seen_s is None else now_ns - round(seen_s * NS_PER_S)
        silent_ns = due_ns - max(seen_ns, since_ns)
        if seen_ns < since_ns and silent_ns <= max(SILENT_S * NS_PER_S, HEARD_WINDOWS * length_ns):
            return _UNKNOWN
        return silent_ns / NS_PER_S if silent_ns > HEARD_WINDOWS * length_ns else 0.0

    def _links(self, inventory: Inventory, state: Frame) -> dict[str, NDArray[Any]]:
        """Links to and from each node that a fit agent measured and nobody works on, how many of them are not
        answered, and what they tell of the node."""
        ends, nodes = self._of(inventory, state), len(inventory.nodes)
        measured = (
            (state.count("measured") == 1) & (state.count("fit") == 1) & (state.count("maintenance") == 0)
        )
        down = measured & (state.real("unanswered_s") > DOWN_S)

        def counted(end: NDArray[np.intp], which: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.bincount(end[which & (end >= 0)], minlength=nodes).astype(np.int64)

        into, into_down = counted(ends.dst, measured), counted(ends.dst, down)
        all_down = np.where(_sources(ends, down, nodes) >= LEAST_NODES, 1.0, _UNKNOWN)
        return {
            "links_in": into,
            "links_in_down": into_down,
            "links_out": counted(ends.src, measured),
            "links_out_down": counted(ends.src, down),
            "down_ratio": np.where(into == 0, _UNKNOWN, np.where(into_down < into, 0.0, all_down)),
            "certificate_left_s": _least(ends.dst, state.real("certificate_left_s"), nodes),
        }

    def _of(self, inventory: Inventory, state: Frame) -> _Ends:
        links = state.text("link")
        if inventory is not self._known or not np.array_equal(links, self._ends.links):
            number = {name: at for at, name in enumerate(inventory.nodes)}
            pairs = [link.partition("@")[0].partition(">") for link in links.tolist()]
            src, dst = (np.array([number.get(pair[at], -1) for pair in pairs], np.intp) for at in (0, 2))
            self._known, self._ends = inventory, _Ends(links, src, dst)
        return self._ends


def _sources(ends: _Ends, down: NDArray[np.bool_], nodes: int) -> NDArray[np.int64]:
    """From how many others links to each node are not answered, (nodes,)."""
    which = down & (ends.src >= 0) & (ends.dst >= 0)
    pairs = np.unique(ends.dst[which] * nodes + ends.src[which])
    return np.bincount(pairs // max(nodes, 1), minlength=nodes).astype(np.int64)


def _least(end: NDArray[np.intp], values: NDArray[np.float64], nodes: int) -> NDArray[np.float64]:
    """The least of the values of the links that end at each node, (nodes,); NaN where none is known."""
    made = np.full(nodes, np.inf)
    known = np.isfinite(values) & (end >= 0)
    np.minimum.at(made, end[known], values[known])
    return np.where(np.isfinite(made), made, _UNKNOWN)


def _fresh(health: Mapping[str, Any] | None, oldest_ns: int) -> Mapping[str, Any]:
    """The health row, nothing when it is older."""
    return health if health is not None and health["start_ns"] >= oldest_ns else {}


def _number(health: Mapping[str, Any], name: str) -> float:
    value = health.get(name)
    return _UNKNOWN if value is None else float(value)
