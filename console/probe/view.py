"""A result as tables for people: packets, delay, marks, flows, hops, other probes, and the judgement."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.probe.judgement import is_fine, sentences
from console.probe.result import Packets, Result, Way

_FLOWS_SHOWN = 16


def show(console: Console, result: Result) -> None:
    """Print everything; the judgement comes last."""
    console.print(_counts(result.packets))
    console.print(_delays(result.packets))
    if any(one.marks or not math.isnan(one.dscp_backward) for one in result.packets):
        console.print(_marks(result.packets))
    if any(one.lost for one in result.flows):
        console.print(_flows(result))
    for way in result.ways:
        mtu = "" if math.isnan(way.mtu_bytes) else f", MTU {way.mtu_bytes:.0f}"
        end = "" if way.reached else ", the far end was not reached"
        console.print(Text(f"path of flow {way.flow}, DSCP {way.dscp}{mtu}{end}", style="italic"))
        if way.path:
            console.print(_hops(way))
    if result.echoes:
        console.print(_echoes(result))
    style = "green" if is_fine(result) else "bold red"
    for sentence in sentences(result):
        console.print(Text(sentence, style=style))


def _table(title: str | None, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _counts(packets: Sequence[Packets]) -> Table:
    names = ("size", "DSCP", "sent", "replied", "late", "lost out", "lost back", "lost ?", "dup", "reordered")
    table = _table("packets", (), (*names, "refused", "not sent"))
    for one in packets:
        counts = (one.sent, one.replied, one.late)
        losses = (one.lost_forward, one.lost_backward, one.lost_unattributed)
        rest = (one.duplicate, one.reordered, one.refused, one.send_failed)
        table.add_row(
            str(one.size_bytes),
            str(one.dscp),
            *map(str, counts),
            *(Text(str(count), style="bold red" if count else "") for count in losses),
            *map(str, rest),
        )
    return table


def _delays(packets: Sequence[Packets]) -> Table:
    names = ("size", "DSCP", "min", "p50", "p99", "max", "out p50", "back p50", "error", "dwell p50")
    table = _table("delay, ms: round trip less dwell; one way where the clocks allow it", (), names)
    for one in packets:
        times = (one.rtt_min_us, one.rtt_p50_us, one.rtt_p99_us, one.rtt_max_us)
        ways = (one.forward_p50_us, one.backward_p50_us, one.one_way_error_us, one.dwell_p50_us)
        table.add_row(str(one.size_bytes), str(one.dscp), *map(_ms, (*times, *ways)))
    return table


def _marks(packets: Sequence[Packets]) -> Table:
    names = ("size", "DSCP", "at far end", "back here", "ECT lost out", "back", "CE out", "back")
    table = _table("marks and hops", (), (*names, "hops out", "hops back"))
    for one in packets:
        told = one.marks > 0
        shares = (
            (one.bleached_forward, told),
            (one.bleached_backward, True),
            (one.ce_forward, told),
            (one.ce_backward, True),
        )
        table.add_row(
            str(one.size_bytes),
            str(one.dscp),
            *(_whole(value, one.dscp) for value in (one.dscp_forward, one.dscp_backward)),
            *(str(count) if known else "-" for count, known in shares),
            *(_whole(value) for value in (one.hops_forward, one.hops_backward)),
        )
    return table


def _flows(result: Result) -> Table:
    names = ("size", "DSCP", "source port", "sent", "lost out", "lost back", "lost ?", "min ms")
    worst = sorted(result.flows, key=lambda one: -one.lost / max(1, one.sent))
    title = "flows" if len(worst) <= _FLOWS_SHOWN else f"flows: the worst {_FLOWS_SHOWN} of {len(worst)}"
    table = _table(title, (), names)
    for one in worst[:_FLOWS_SHOWN]:
        losses = (one.lost_forward, one.lost_backward, one.lost_unattributed)
        table.add_row(
            *map(str, (one.size_bytes, one.dscp, one.port, one.sent)),
            *(Text(str(count), style="bold red" if count else "") for count in losses),
            _ms(one.rtt_min_us),
        )
    return table


def _hops(way: Way) -> Table:
    table = _table(None, ("hop", "address"), ("us",))
    table.add_column("MPLS")
    hops, times, labels = way.path.split(), way.hop_rtt_us.split(), way.mpls.split()
    for at, hop in enumerate(hops):
        time_us = times[at] if at < len(times) else "*"
        table.add_row(str(at + 1), hop, time_us, labels[at] if at < len(labels) else "-")
    return table


def _echoes(result: Result) -> Table:
    names = ("sent", "answered", "lost", "refused", "not sent", "min ms", "p50 ms", "max ms")
    table = _table("other probes", ("probe",), names)
    for one in result.echoes:
        counts = (one.sent, one.answered, one.lost, one.refused, one.send_failed)
        times = (one.rtt_min_us, one.rtt_p50_us, one.rtt_max_us)
        table.add_row(one.probe, *map(str, counts), *map(_ms, times))
    return table


def _ms(value_us: float) -> str:
    return "-" if math.isnan(value_us) else f"{value_us / 1e3:.3f}"


def _whole(value: float, expected: int | None = None) -> Text:
    if math.isnan(value):
        return Text("-")
    return Text(f"{value:.0f}", style="bold red" if expected is not None and int(value) != expected else "")
