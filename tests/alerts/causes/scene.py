"""A network of three sites, judged windows of it, and the engine with a place cause that is fed with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alerts.causes.place_cause import PlaceCause
from alerts.delivery.book import Book
from alerts.engine import AlertEngine, Outcome
from alerts.event import Event
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.schema import NODE, STATE

WINDOW_NS = 10 * NS_PER_S
SITES = ("east", "north", "west")


def inventory(gateways: Iterable[str] = ()) -> Inventory:
    """Three sites of two nodes, one network."""
    file = {
        "version": 1,
        "sites": [{"name": site, "region": "r", "operator": "o"} for site in SITES],
        "networks": [{"name": "net", "kind": "backbone", "gateways": list(gateways)}],
        "nodes": [
            {"name": f"{site}-{n}", "site": site, "addresses": {"net": f"10.0.{at}.{n}"}}
            for at, site in enumerate(SITES)
            for n in (1, 2)
        ],
    }
    return build(InventoryFile.model_validate(file), "test")


def sweeps() -> dict[str, tuple[tuple[str, ...], ...]]:
    """A router at each site, and a port at each towards every other."""
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for link in INVENTORY.links:
        src, dst = (SITES.index(name.rpartition("-")[0]) for name in (link.src, link.dst))
        end = INVENTORY.nodes[link.dst].addresses["net"]
        router = (f"10.0.{src}.254", f"10.1.{src}.{dst}") if src != dst else ()
        hops: tuple[str, ...] = (*router, end)
        found[str(link)] = (hops,)
    return found


INVENTORY = inventory()
LINKS = [str(link) for link in INVENTORY.links]
WELL = {"unanswered_s": 0.0, "loss_forward_ratio": 0.0, "loss_forward_upper_ratio": 0.045}
WELL |= {
    "loss_forward_excess_ratio": -0.001,
    "loss_forward_spread_ratio": -0.001,
    "delay_us": 100.0,
    "delay_excess_us": -900.0,
}
WELL |= {
    "delay_step_us": np.nan,
    "flows_bad": 0,
    "flows": 1,
    "period_delay_us": 100.0,
    "pdv_excess_us": -500.0,
    "ce_forward_ratio": 0.0,
    "remarked_forward_ratio": np.nan,
    "mtu_shrunk_bytes": np.nan,
    "maintenance": 0,
    "drill": 0,
    "fit": 1,
    "measured": 1,
    "good": 1,
}
DARK = {"unanswered_s": 8.0, "loss_forward_ratio": 1.0, "loss_forward_excess_ratio": 0.9, "delay_us": np.nan}
LOSSY = {"loss_forward_ratio": 0.2, "loss_forward_upper_ratio": 0.3, "loss_forward_excess_ratio": 0.12}
LOSSY |= {"loss_forward_spread_ratio": 0.11}
SILENT = {"unanswered_s": np.nan, "loss_forward_excess_ratio": np.nan, "delay_us": np.nan, "fit": 0}
SILENT |= {"loss_forward_spread_ratio": np.nan}


class Scene:
    """The engine with all rules and a place cause, fed window by window."""

    def __init__(self, folder: Path, **more: Any) -> None:
        rules, known = load_rules(), more.pop("inventory", INVENTORY)
        silences, receivers = more.pop("silences", None), more.pop("receivers", ())
        self.cause = PlaceCause(rules, lambda: known, more.pop("sweeps", sweeps), **more)
        self.book = Book(folder / "book.sqlite")
        self.engine = AlertEngine(
            rules, Subjects(None, known), self.book, receivers, SystemClock(), self.cause, silences
        )
        self._window = 100

    @property
    def now_ns(self) -> int:
        """End of the last window."""
        return (self._window + 1) * WINDOW_NS

    def window(self, rows: Mapping[str, Mapping[str, float]], down: Iterable[str] = ()) -> Outcome:
        """The next window: what is not well, by link; nodes that are down."""
        self._window += 1
        every = [{**WELL, **rows.get(link, {})} for link in LINKS]
        when = {"start_ns": self._window * WINDOW_NS, "length_ns": WINDOW_NS}
        state: dict[str, Any] = {name: [row[name] for row in every] for name in WELL}
        unknown = ("loss_backward_excess_ratio", "loss_backward_spread_ratio")
        state |= {"link": LINKS, **{name: [np.nan] * len(LINKS) for name in unknown}}
        state |= {name: [value] * len(LINKS) for name, value in when.items()}
        names = list(INVENTORY.nodes)
        node: dict[str, Any] = {name: [value] * len(names) for name, value in when.items()}
        node |= {"node": names, "site": [INVENTORY.nodes[name].site for name in names]}
        node |= {"region": ["r"] * len(names), "operator": ["o"] * len(names)}
        node |= {"down_ratio": [float(name in down) for name in names]}
        return self.engine.observe({"state": Frame.of(STATE, state), "node": Frame.of(NODE, node)})


def into(node: str) -> list[str]:
    return [link for link in LINKS if link.partition(">")[2] == f"{node}@net"]


def out_of(node: str) -> list[str]:
    return [link for link in LINKS if link.startswith(f"{node}>")]


def between(src: str, dst: str) -> list[str]:
    """Links between two sites; "": any other."""
    ends = [(link, *(end.partition("@")[0].rpartition("-")[0] for end in link.split(">"))) for link in LINKS]
    return [link for link, one, other in ends if one != other and src in (one, "") and dst in (other, "")]


def all_of(links: Iterable[str], what: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    return dict.fromkeys(links, what)


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]


def places(outcome: Outcome) -> list[tuple[str, str, str, float]]:
    frame = outcome.frames["place"]
    keys = (frame.text(name).tolist() for name in ("kind", "place", "direction"))
    return list(zip(*keys, frame.real("sure_ratio").tolist(), strict=True))
