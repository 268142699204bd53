"""Delay columns of a window's packets: round trip, one way out and back, their spread and their error. Pure.

Round trip = (T4 - T1) - (T3 - T2): the reflector's dwell is taken off and the clocks' offset cancels. One way
out is T2 - T1, back T4 - T3, told only between synchronised clocks; values may be negative (RFC 7679 section
3.7.1 speaks of such errors), are kept, and counted. Where kernels stamp what leaves, only packets with such
stamps count: those without would be up to 100 us off.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from probes.engine import delays
from probes.stamp.fate import Fates
from probes.stamp.packet import error_ns, is_ptp, unix_ns
from probes.stamp.reply_record import T3_KERNEL, UNTIMED
from probes.stamp.sessions import Sessions

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


def columns(
    sessions: Sessions, fates: Fates, group_of: Ints, own_error_ns: float, tai_offset_s: int, groups: int
) -> dict[str, Any]:
    """Columns of WINDOW, one value for each group, from the packets of the window with a reply in time."""
    use = np.flatnonzero(fates.inside & fates.seen & ~fates.late)
    session, reply, t1 = fates.session[use], fates.reply[use], fates.t1_ns[use]
    group = group_of[session]
    error = np.ascontiguousarray(reply["error"])
    t2, t3 = _reflector_times(reply, tai_offset_s)
    forward, backward = (t2 - t1).astype(np.float64), (reply["t4_ns"] - t3).astype(np.float64)
    exact_t1 = _as_good_as_it_gets(session, fates.kernel_t1[use])
    exact_t3 = _as_good_as_it_gets(session, (reply["flags"] & T3_KERNEL) != 0)
    untimed = (reply["flags"] & UNTIMED) != 0
    backward[untimed] = np.nan
    impossible = (t3 < t2) | (forward + backward < 0)  # the far clock was set meanwhile, or its stamps lie
    forward[impossible | ~exact_t1] = np.nan
    backward[impossible | ~exact_t3] = np.nan
    rtt = forward + backward
    round_trip = delays.ordered(rtt, group, groups)
    told = delays.statistics(round_trip)
    made = {f"rtt_{field.name}": getattr(told, field.name) for field in fields(told)}
    bound_us = _bound_us(error, own_error_ns, tai_offset_s, group, groups)
    for name, values in (("forward", forward), ("backward", backward)):
        samples = delays.ordered(values, group, groups)
        one_way = delays.statistics(samples)
        made[f"{name}_min_us"] = np.where(np.isfinite(bound_us), one_way.min_us, np.nan)
        made[f"{name}_p50_us"] = np.where(np.isfinite(bound_us), one_way.p50_us, np.nan)
        made[f"{name}_ns"] = delays.counted(samples)
    return {
        **made,
        "rtt_ns": delays.counted(round_trip),
        "pdv_us": told.highest_us - told.min_us,
        "jitter_us": _jitter_us(rtt, np.ascontiguousarray(reply["t4_ns"]), session, group_of, groups),
        "one_way_error_us": bound_us,
        "dwell_p50_us": delays.medians_us(np.where(exact_t3, t3 - t2, np.nan), group, groups),
        "one_way_negative": _each((forward < 0) | (backward < 0), group, groups),
        "sent_stamped": _each(fates.kernel_t1[use], group, groups),
        "reply_stamped": _each((reply["flags"] & T3_KERNEL) != 0, group, groups),
    }


def round_trips(fates: Fates, tai_offset_s: int) -> tuple[Ints, Reals]:
    """Session and round trip, ns, of each packet of the window with a reply in time."""
    use = np.flatnonzero(fates.inside & fates.seen & ~fates.late)
    reply = fates.reply[use]
    t2, t3 = _reflector_times(reply, tai_offset_s)
    session = fates.session[use]
    sane = (t3 >= t2) & ((reply["flags"] & UNTIMED) == 0)
    sane &= _as_good_as_it_gets(session, fates.kernel_t1[use])
    sane &= _as_good_as_it_gets(session, (reply["flags"] & T3_KERNEL) != 0)
    rtt = (reply["t4_ns"] - fates.t1_ns[use] - (t3 - t2)).astype(np.float64)
    sane &= rtt >= 0
    return session[sane], rtt[sane]


def _as_good_as_it_gets(session: Ints, by_kernel: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Packets (n,) whose stamp is the kernel's, or all of a session where none has one.

    Where some are the kernel's, the others are early by the time between writing a batch and its leaving.
    """
    if by_kernel.all():
        return by_kernel
    tells = np.zeros(int(session.max(initial=-1)) + 1, np.bool_)
    tells[session[by_kernel]] = True
    good: NDArray[np.bool_] = by_kernel | ~tells[session]
    return good


def _reflector_times(reply: NDArray[Any], tai_offset_s: int) -> tuple[Ints, Ints]:
    error = np.ascontiguousarray(reply["error"])
    t2, t3 = (unix_ns(np.ascontiguousarray(reply[name]), error, tai_offset_s) for name in ("t2", "t3"))
    return t2, t3


def _bound_us(
    error: NDArray[np.uint16], own_error_ns: float, tai_offset_s: int, group: Ints, groups: int
) -> Reals:
    """Largest error of the one-way values of each group; NaN unless both clocks are synchronised, and where
    the far end counts TAI and this kernel was not told by how much that differs."""
    bound = np.full(groups, np.nan)
    if len(error) and np.isfinite(own_error_ns):
        worst = np.full(groups, -np.inf)
        with np.errstate(invalid="ignore"):
            far_ns = np.where(is_ptp(error) & (tai_offset_s == 0), np.nan, error_ns(error))
            np.maximum.at(worst, group, far_ns + own_error_ns)  # NaN stays NaN
        known = np.isfinite(worst)
        bound[known] = worst[known] / NS_PER_US
    return bound


def _jitter_us(rtt: Reals, t4: Ints, session: Ints, group_of: Ints, groups: int) -> Reals:
    """RFC 3550 jitter of each session; of a group the mean over its flows."""
    each = delays.jitter_us(rtt, t4, session, len(group_of))
    some = np.isfinite(each)
    count = np.bincount(group_of[some], minlength=groups)
    mean = np.full(groups, np.nan)
    np.divide(np.bincount(group_of[some], each[some], groups), count, out=mean, where=count > 0)
    return mean


def _each(mask: NDArray[np.bool_], group: Ints, groups: int) -> Ints:
    return np.bincount(group[mask], minlength=groups).astype(np.int64)
