"""What a result means, in plain sentences; whether all is well. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from console.probe.result import Packets, Result
from console.unfit import unfit_words

CONFIDENCE = 0.95


def is_fine(result: Result) -> bool:
    """Every packet that was to be sent was, and was answered."""
    return bool(result.packets) and all(
        one.answered and not (one.lost or one.refused or one.send_failed) for one in result.packets
    )


def sentences(result: Result) -> list[str]:
    """The judgement: one sentence for each thing worth saying."""
    told = _fates(result.packets)
    told += _sizes(result.packets)
    told += [word for one in result.packets for word in _marks(one)]
    told += _flows(result)
    told += _others(result)
    told += _ways(result)
    told += _fitness(result.packets)
    return told


def _fates(packets: list[Packets]) -> list[str]:
    """What became of each size and class; said once where it is the same for all."""
    said = [_fate(one) for one in packets]
    if len(said) == 1:
        return said
    if len(set(said)) == 1:
        return [f"each of {len(said)} sizes and classes: {said[0]}"]
    return [f"{_name(one)}: {words}" for one, words in zip(packets, said, strict=True)]


def _fate(one: Packets) -> str:
    if not one.sent:
        return f"nothing could be sent: this host's kernel refused {one.send_failed} packets"
    if one.refused and not one.answered:
        return f"nobody answers there: {one.refused} of {one.sent} packets were refused by ICMP"
    if not one.answered:
        return (
            f"no reply to {one.sent} packets: nobody listens there, this host is not among its peers, "
            "its key is another (or it wants none), or something on the way drops them; "
            "its counters refused_* tell"
        )
    failed = f"; {one.send_failed} could not be sent" if one.send_failed else ""
    refused = f"; {one.refused} were refused by ICMP" if one.refused else ""
    if not one.lost:
        bound = 1 - (1 - CONFIDENCE) ** (1 / one.sent)
        return f"no loss in {one.sent} packets: below {_percent(bound)} with 95 % confidence{refused}{failed}"
    low, high = (_percent(bound) for bound in _bounds(one.lost, one.sent))
    return (
        f"{one.lost} of {one.sent} packets lost ({_directions(one)}): "
        f"{_percent(one.lost / one.sent)}, between {low} and {high} with 95 % confidence{refused}{failed}"
    )


def _bounds(lost: int, sent: int) -> tuple[float, float]:
    from quality.statistics import confidence  # imports scipy, which a run without loss need not

    tail = 1 - (1 - CONFIDENCE) / 2
    counts = np.array([lost]), np.array([sent])
    return float(confidence.lower(*counts, tail)[0]), float(confidence.upper(*counts, tail)[0])


def _directions(one: Packets) -> str:
    parts = [(one.lost_forward, "out"), (one.lost_backward, "back"), (one.lost_unattributed, "somewhere")]
    told = ", ".join(f"{count} {where}" for count, where in parts if count)
    if one.lost_backward and not one.lost_forward:  # a far end that repeats our numbers looks the same
        told += "; if the far end does not count its replies: --stateless"
    return told


def _sizes(packets: list[Packets]) -> Iterator[str]:
    """A size that never passes while a smaller one does."""
    for dscp in dict.fromkeys(one.dscp for one in packets):
        mine = sorted((one for one in packets if one.dscp == dscp), key=lambda one: one.size_bytes)
        passed = [one.size_bytes for one in mine if one.answered]
        stuck = [one.size_bytes for one in mine if not one.answered]
        if passed and stuck and min(stuck) > max(passed):
            size = f"{max(passed)} octets" if max(passed) else "the smallest size"
            yield (
                f"packets of {min(stuck)} octets and more do not pass while {size} do: "
                "a smaller MTU on the way, or fragments are dropped"
            )


def _marks(one: Packets) -> Iterator[str]:
    """What became of the class and of ECT, on each way."""
    out = ("out", one.dscp_forward, one.remarked_forward, one.bleached_forward, one.ce_forward, one.marks)
    back = ("back", one.dscp_backward, one.remarked_backward, one.bleached_backward, one.ce_backward)
    for way, came, remarked, bleached, congested, told in (out, (*back, one.answered)):
        of, name = f"of {told} packets", f"DSCP {one.dscp}"
        if remarked and not math.isnan(came) and int(came) != one.dscp:
            yield f"{name} arrives as {came:.0f} on the way {way} ({remarked} {of}): the class is remarked"
        elif remarked:
            yield f"{name} is remarked on the way {way} in {remarked} {of}"
        if bleached:
            yield f"{name}: ECT is removed on the way {way} from {bleached} {of}"
        if congested:
            yield f"{name}: {congested} {of} were marked congested on the way {way}"


def _flows(result: Result) -> Iterator[str]:
    """Flows that lose significantly more than the others."""
    for key in dict.fromkeys((one.size_bytes, one.dscp) for one in result.flows):
        mine = [one for one in result.flows if (one.size_bytes, one.dscp) == key and one.sent]
        if len(mine) < 2 or not any(one.lost for one in mine):
            continue
        from quality.verdicts.flows import FlowCounts, unequal

        counts = FlowCounts(
            np.zeros(len(mine), np.intp),
            np.array([one.sent for one in mine]),
            np.array([min(one.lost, one.sent) for one in mine]),
            1,
        )
        found = unequal(counts)
        if found.bad[0]:
            ports = [one.port for one, bad in zip(mine, found.is_bad.tolist(), strict=True) if bad]
            yield (
                f"{found.bad[0]} of {len(mine)} flows lose {_percent(float(found.bad_loss_ratio[0]))}, the "
                f"others do not: one of several equal paths is bad, or the far end caps what it answers "
                f"(source ports {_some(ports)})"
            )


def _others(result: Result) -> Iterator[str]:
    silent = not any(one.answered for one in result.packets)
    for one in result.echoes:
        name = one.probe.upper()
        if one.unavailable:
            yield f"no {name} was sent: {one.unavailable}"
        elif one.answered and silent:
            yield f"{name} to the same address is answered: the host is there, its STAMP is not reached"
        elif one.refused and not one.answered:
            yield f"{name} to the same address is refused: the host is there, nobody listens"
        elif not one.answered and not silent:
            yield f"{name} to the same address is not answered though STAMP is: a filter treats them apart"


def _ways(result: Result) -> Iterator[str]:
    paths = {way.path for way in result.ways if way.reached}
    if len(paths) > 1:
        yield f"flows take {len(paths)} different paths"
    short = {way.path or "no hop answered": way for way in result.ways if not way.reached}
    for last, way in short.items():
        flows = sum(not other.reached and other.path == way.path for other in result.ways)
        yield f"{flows} of {len(result.ways)} sweeps did not reach the far end: {last}"


def _fitness(packets: list[Packets]) -> Iterator[str]:
    bits = int(np.bitwise_or.reduce([one.unfit for one in packets])) if packets else 0
    if bits:
        yield f"this host was not fit to measure ({unfit_words(bits)}): do not trust these numbers"
    missed = sum(one.missed for one in packets)
    if missed:
        yield f"this host came too late to send {missed} packets; they are not part of the counts"


def _name(one: Packets) -> str:
    size = f"{one.size_bytes} octets" if one.size_bytes else "smallest size"
    return f"{size}, DSCP {one.dscp}"


def _percent(ratio: float) -> str:
    """Two significant digits."""
    return f"{float(f'{100 * ratio:.2g}'):g} %"


def _some(numbers: list[int], most: int = 5) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(map(str, numbers[:most])) + more
