"""Links, states and rules for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.rule import Rule, load_rules
from linkgauge.clock import NS_PER_S, Instant
from linkgauge.frame import Frame
from linkgauge.model import DEFAULT_TIERS, DelayBasis, Link, LinkSpec
from linkgauge.schema import STATE
from linkgauge.table import Kind, Table

WINDOW_NS = 10 * NS_PER_S
FIRST_NS = 1_763_726_580 * NS_PER_S
"""2025-11-21T12:03:00Z."""
NAN = float("nan")


def spec(src: str = "jinan-1", dst: str = "guiyang-1", network: str = "backbone") -> LinkSpec:
    link = Link(src, dst, network)
    tags = {
        "link": str(link), "src": src, "dst": dst, "src_site": src[:-2], "dst_site": dst[:-2],
        "src_region": "east", "dst_region": "west", "network": network, "tier": "hub",
    }  # fmt: skip
    return LinkSpec(link, DEFAULT_TIERS["hub"], 0, True, tags)


def specs(links: int) -> list[LinkSpec]:
    return [spec(f"n{at}-1", "z-1") for at in range(links)]


def rule(name: str, **changes: Any) -> Rule:
    """One of the program's own rules, changed."""
    (found,) = [each for each in load_rules() if each.name == name]
    return found.model_copy(update=changes)


def state(rows: Sequence[Mapping[str, Any]], window: int = 0, links: Sequence[LinkSpec] = ()) -> Frame:
    """STATE rows of one window: measured by a fit agent, nothing else known unless told."""
    names = [str(each.link) for each in links or [spec()]]
    columns: dict[str, Any] = {"link": names, "start_ns": [FIRST_NS + window * WINDOW_NS] * len(names)}
    columns["length_ns"] = [WINDOW_NS] * len(names)
    for field in STATE.fields:
        unknown: float = 0 if field.kind is Kind.COUNT else NAN
        columns[field.name] = [row.get(field.name, unknown) for row in rows]
    for name in ("measured", "fit"):
        columns[name] = [row.get(name, 1) for row in rows]
    return Frame.of(STATE, columns)


def table_rows(table: Table, rows: Sequence[Mapping[str, Any]], window: int = 0) -> Frame:
    """Rows of one window of any table: keys are empty, numbers unknown unless told."""
    columns: dict[str, Any] = {key: [row.get(key, "") for row in rows] for key in table.keys}
    columns["start_ns"] = [FIRST_NS + window * WINDOW_NS] * len(rows)
    columns["length_ns"] = [WINDOW_NS] * len(rows)
    for field in table.fields:
        unknown: Any = {Kind.COUNT: 0, Kind.TEXT: ""}.get(field.kind, NAN)
        columns[field.name] = [row.get(field.name, unknown) for row in rows]
    return Frame.of(table, columns)


def lossy(excess: float) -> dict[str, Any]:
    """A link whose forward loss is above its objective by so much, NaN when it is not known."""
    return {
        "loss_forward_excess_ratio": excess,
        "loss_forward_spread_ratio": excess,
        "loss_forward_ratio": 0.204 if excess > 0 else 0.0,
        "loss_forward_lower_ratio": excess + 0.001,
        "loss_forward_upper_ratio": 0.31,
        "loss_objective_ratio": 0.001,
    }


def slow(excess_us: float, basis: DelayBasis = DelayBasis.ONE_WAY) -> dict[str, Any]:
    """A link whose delay is above its objective of 20 ms by so much."""
    return {
        "delay_excess_us": excess_us,
        "delay_us": 20_000 + excess_us,
        "delay_objective_us": 20_000.0,
        "delay_basis": int(basis),
    }


def series(excesses: Sequence[float], links: Sequence[LinkSpec] = ()) -> list[Frame]:
    """One state a window with this forward loss excess on every link."""
    return [state([lossy(each)] * max(len(links), 1), at, links) for at, each in enumerate(excesses)]


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, wall_ns: int = FIRST_NS) -> None:
        self._wall_ns = wall_ns

    def now(self) -> Instant:
        return Instant(self._wall_ns - FIRST_NS, self._wall_ns)

    def advance(self, ns: int) -> None:
        self._wall_ns += ns
