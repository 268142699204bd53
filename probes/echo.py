"""Rounds of the probes that ask each target once (icmp, tcp), and their summary as windows. Pure.

A round is one packet to each target; its fate is judged when the round ends, `timeout_ns` after the last
packet left. A window counts the packets that were sent inside it, whenever their round ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from probes.delays import Delays, grouped, histograms


class Fate(IntEnum):
    """What became of one packet."""

    REPLIED = 0
    LOST = 1
    LATE = 2
    REFUSED = 3
    SEND_FAILED = 4
    UNRESOLVED = 5


@dataclass(frozen=True, slots=True)
class EchoRound:
    """One packet to each of n targets, as columns (n,).

    link: object array of link ids. sent_wall_ns: int64, Unix ns; for a packet that could not be sent, when
    it should have been. fate: int8, a `Fate`. rtt_ns: float64, NaN where there was no answer; a refusal by
    the target itself (TCP reset) has one, a refusal by a router (ICMP error) has none.
    duplicate: int64, further replies to the packet that came inside the round.
    """

    link: NDArray[np.object_]
    sent_wall_ns: NDArray[np.int64]
    fate: NDArray[np.int8]
    rtt_ns: NDArray[np.float64]
    duplicate: NDArray[np.int64]

    @classmethod
    def unsent(cls, links: Sequence[str], wall_ns: int) -> EchoRound:
        """A round in which nothing has been sent; its arrays are filled in as packets leave and come."""
        count = len(links)
        return cls(
            np.array(links, np.object_),
            np.full(count, wall_ns, np.int64),
            np.full(count, Fate.SEND_FAILED, np.int8),
            np.full(count, np.nan),
            np.zeros(count, np.int64),
        )

    def answered(self, row: int, fate: Fate, rtt_ns: float, timeout_ns: int) -> None:
        """Note the first answer to a packet; one that took longer than the timeout is late."""
        late = fate is Fate.REPLIED and rtt_ns > timeout_ns
        self.fate[row], self.rtt_ns[row] = Fate.LATE if late else fate, rtt_ns


def window_frame(
    rounds: Sequence[EchoRound],
    probe: str,
    start_ns: int,
    length_ns: int,
    unfit: int,
    *,
    under_test: int = 0,
    missed: int = 0,
) -> Frame:
    """WINDOW rows (class "0"), one per link with packets in start_ns .. start_ns + length_ns, of any rounds.

    The direction of a loss cannot be told. A packet that was not sent or whose target has no address is
    `send_failed` and not part of `sent`. Delays are those of replies in time and of refusals that carry one.
    unfit: sum of the Unfit bits; under_test, missed: put into every row as they are.
    """
    link, sent_wall_ns, fate, rtt_ns, duplicate = _joined(rounds)
    inside = (sent_wall_ns >= start_ns) & (sent_wall_ns < start_ns + length_ns)
    names = list(dict.fromkeys(link[inside]))
    at = {name: row for row, name in enumerate(names)}
    group, rows = np.array([at[name] for name in link[inside]], np.intp), len(names)
    columns = {
        "link": names,
        "probe": [probe] * rows,
        "class": ["0"] * rows,
        "duplicate": np.bincount(group, duplicate[inside], rows).astype(np.int64),
        **_counts(fate[inside], group, rows),
        **_delays(fate[inside], rtt_ns[inside], group, rows),
    }
    same = {"start_ns": start_ns, "length_ns": length_ns, "missed": missed, "unfit": unfit}
    same |= {"under_test": under_test}
    return Frame.of(WINDOW, {**columns, **{name: np.full(rows, value) for name, value in same.items()}}, rows)


def _counts(fate: NDArray[np.int8], group: NDArray[np.intp], rows: int) -> dict[str, Any]:
    def count(*fates: Fate) -> NDArray[np.int64]:
        return np.bincount(group[np.isin(fate, fates)], minlength=rows)

    sent, lost = count(Fate.REPLIED, Fate.LOST, Fate.LATE, Fate.REFUSED), count(Fate.LOST)
    loss_ratio = np.full(rows, np.nan)
    np.divide(lost, sent, out=loss_ratio, where=sent > 0)
    return {
        "sent": sent,
        "replied": count(Fate.REPLIED),
        "late": count(Fate.LATE),
        "lost_unattributed": lost,
        "refused": count(Fate.REFUSED),
        "send_failed": count(Fate.SEND_FAILED, Fate.UNRESOLVED),
        "loss_ratio": loss_ratio,
    }


def _delays(
    fate: NDArray[np.int8], rtt_ns: NDArray[np.float64], group: NDArray[np.intp], rows: int
) -> dict[str, Any]:
    in_time = np.isin(fate, (Fate.REPLIED, Fate.REFUSED)) & ~np.isnan(rtt_ns)
    delays = grouped(rtt_ns[in_time], group[in_time], rows)
    return {
        **{f"rtt_{field.name}": getattr(delays, field.name) for field in fields(Delays)},
        "pdv_us": _highest(delays) - delays.min_us,
        "rtt_ns": histograms(rtt_ns[in_time], group[in_time], rows),
    }


def _joined(
    rounds: Sequence[EchoRound],
) -> tuple[NDArray[np.object_], NDArray[np.int64], NDArray[np.int8], NDArray[np.float64], NDArray[np.int64]]:
    all_rounds = [EchoRound.unsent([], 0), *rounds]
    return (
        np.concatenate([one.link for one in all_rounds]),
        np.concatenate([one.sent_wall_ns for one in all_rounds]),
        np.concatenate([one.fate for one in all_rounds]),
        np.concatenate([one.rtt_ns for one in all_rounds]),
        np.concatenate([one.duplicate for one in all_rounds]),
    )


def _highest(delays: Delays) -> NDArray[np.float64]:
    """The highest percentile that is known, us."""
    p95 = np.where(np.isnan(delays.p95_us), delays.p50_us, delays.p95_us)
    return np.where(np.isnan(delays.p99_us), p95, delays.p99_us)
