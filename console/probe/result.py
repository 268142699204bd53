"""What came of the packets of a shot, by size and class, by flow, and by the other probes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from linkgauge.frame import Frame
from linkgauge.histogram import merge
from linkgauge.schema import WINDOW
from probes.engine.delays import P99_SAMPLES

_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of one size and class (of one flow where so said). Reals are NaN where unknown.

    size_bytes: of the UDP payload, 0 = as small as it goes. dscp: as sent.
    """

    size_bytes: int
    dscp: int
    sent: int = 0
    replied: int = 0
    late: int = 0
    lost_forward: int = 0
    lost_backward: int = 0
    lost_unattributed: int = 0
    duplicate: int = 0
    duplicate_forward: int = 0
    duplicate_backward: int = 0
    reordered: int = 0
    refused: int = 0
    send_failed: int = 0
    missed: int = 0
    unfit: int = 0
    marks: int = 0
    remarked_forward: int = 0
    bleached_forward: int = 0
    ce_forward: int = 0
    remarked_backward: int = 0
    bleached_backward: int = 0
    ce_backward: int = 0
    one_way_negative: int = 0
    rtt_min_us: float = _NAN
    rtt_p50_us: float = _NAN
    rtt_p99_us: float = _NAN
    rtt_max_us: float = _NAN
    forward_min_us: float = _NAN
    forward_p50_us: float = _NAN
    backward_min_us: float = _NAN
    backward_p50_us: float = _NAN
    one_way_error_us: float = _NAN
    dwell_p50_us: float = _NAN
    dscp_forward: float = _NAN
    dscp_backward: float = _NAN
    hops_forward: float = _NAN
    hops_backward: float = _NAN

    @property
    def answered(self) -> int:
        """Packets with a reply, late ones included."""
        return self.replied + self.late

    @property
    def lost(self) -> int:
        """Packets that did not make the round trip."""
        return self.lost_forward + self.lost_backward + self.lost_unattributed


@dataclass(frozen=True, slots=True)
class Flow:
    """One source port."""

    size_bytes: int
    dscp: int
    port: int
    sent: int
    lost_forward: int
    lost_backward: int
    lost_unattributed: int
    rtt_min_us: float

    @property
    def lost(self) -> int:
        return self.lost_forward + self.lost_backward + self.lost_unattributed


@dataclass(frozen=True, slots=True)
class Echo:
    """Another probe to the same address. rtt: of the answered ones."""

    probe: str
    sent: int
    answered: int
    lost: int
    refused: int
    send_failed: int
    rtt_min_us: float
    rtt_p50_us: float
    rtt_max_us: float
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """The hops of one flow and class."""

    dscp: int
    flow: str
    reached: bool
    mtu_bytes: float
    path: str
    hop_rtt_us: str
    mpls: str


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was found."""

    packets: list[Packets]
    flows: list[Flow] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN."""
        whole: dict[str, Any] = _plain(asdict(self))
        return whole


def packets(sizes: Mapping[str, int], frame: Frame) -> list[Packets]:
    """One for each link and class, from WINDOW rows; sizes: octets of the packets of each link."""
    windows = latest(frame)
    links, classes = windows.text("link"), windows.text("class")
    return [
        _packets(sizes[link], int(dscp), windows.take((links == link) & (classes == dscp)))
        for link, dscp in dict.fromkeys(zip(links.tolist(), classes.tolist(), strict=True))
    ]


def latest(windows: Frame) -> Frame:
    """The last revision of each window, class and probe."""
    keys = zip(
        *(windows.text(key).tolist() for key in WINDOW.keys), windows.count("start_ns").tolist(), strict=True
    )
    best: dict[tuple[object, ...], int] = {}
    revision = windows.count("revision")
    for row, key in enumerate(keys):
        if key not in best or revision[row] >= revision[best[key]]:
            best[key] = row
    return windows.take(np.array(sorted(best.values()), np.intp))


def _packets(size_bytes: int, dscp: int, windows: Frame) -> Packets:
    counts: dict[str, Any] = {
        one.name: int(windows.count(one.name).sum())
        for one in fields(Packets)
        if one.type == "int" and one.name not in ("size_bytes", "dscp", "unfit")
    }
    rtt = merge(list(windows.histograms("rtt_ns")))
    least_us, most_us = _least(windows, "rtt_min_us"), -_least(windows, "rtt_max_us", -1)

    def quantile_us(q: float) -> float:
        return min(max(rtt.quantile(q) / 1e3, least_us), most_us)  # a bucket's point may lie beyond both

    known: dict[str, Any] = {
        "rtt_min_us": least_us,
        "rtt_p50_us": quantile_us(0.5),
        "rtt_p99_us": quantile_us(0.99) if rtt.total >= P99_SAMPLES else _NAN,
        "rtt_max_us": most_us,
        **{f"{way}_min_us": _least(windows, f"{way}_min_us") for way in ("forward", "backward")},
        **{f"{way}_p50_us": _middle(windows, f"{way}_p50_us") for way in ("forward", "backward")},
        "one_way_error_us": -_least(windows, "one_way_error_us", -1),
        "dwell_p50_us": _middle(windows, "dwell_p50_us"),
        **{
            name: _most(windows, name)
            for name in ("dscp_forward", "dscp_backward", "hops_forward", "hops_backward")
        },
    }
    unfit = int(np.bitwise_or.reduce(windows.count("unfit"))) if windows.rows else 0
    return Packets(size_bytes, dscp, unfit=unfit, **counts, **known)


def flows(sizes: Mapping[str, int], frame: Frame) -> list[Flow]:
    """One for each link, class and source port, from FLOW rows."""
    names = ("sent", "lost_forward", "lost_backward", "lost_unattributed")
    keys = zip(*(frame.text(key).tolist() for key in ("link", "class", "flow")), strict=True)
    rows: dict[tuple[str, str, str], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    found = []
    for (link, dscp, _), mine in rows.items():
        part = frame.take(np.array(mine, np.intp))
        sums = {name: int(part.count(name).sum()) for name in names}
        port, rtt_min_us = int(part.count("port")[0]), _least(part, "rtt_min_us")
        found.append(Flow(sizes[link], int(dscp), port, **sums, rtt_min_us=rtt_min_us))
    return found


def echo(probe: str, windows: Frame, unavailable: str = "") -> Echo:
    """From the WINDOW row of all rounds; no row: nothing could be sent."""

    def count(name: str) -> int:
        return int(windows.count(name).sum())

    def real(name: str) -> float:
        return float(windows.real(name)[0]) if windows.rows else _NAN

    return Echo(
        probe,
        count("sent"),
        count("replied") + count("late"),
        count("lost_unattributed"),
        count("refused"),
        count("send_failed"),
        real("rtt_min_us"),
        real("rtt_p50_us"),
        real("rtt_max_us"),
        unavailable,
    )


def ways(frame: Frame) -> list[Way]:
    """From PATH rows."""
    return [
        Way(
            int(frame.text("class")[row]),
            str(frame.text("flow")[row]),
            bool(frame.count("reached")[row]),
            float(frame.real("mtu_bytes")[row]),
            *(str(frame.text(name)[row]) for name in ("path", "hop_rtt_us", "mpls")),
        )
        for row in range(frame.rows)
    ]


def _least(frame: Frame, name: str, sign: int = 1) -> float:
    values = sign * frame.real(name)
    return float(np.nanmin(values)) if np.isfinite(values).any() else _NAN


def _middle(frame: Frame, name: str) -> float:
    values = frame.real(name)
    return float(np.nanmedian(values)) if np.isfinite(values).any() else _NAN


def _most(frame: Frame, name: str) -> float:
    """The most frequent value."""
    values, often = np.unique(frame.real(name)[np.isfinite(frame.real(name))], return_counts=True)
    return float(values[often.argmax()]) if len(values) else _NAN


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
