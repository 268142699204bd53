"""Rounds of the probes that ask each target once (icmp, tcp, tls), and their summary as windows. Pure.

A round is one packet to each target; its fate is judged when the round ends, `timeout_ns` after the last
packet left. A window counts the packets that were sent inside it, whenever their round ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from probes.engine.delays import Delays, grouped, histograms


class Fate(IntEnum):
    """What became of one packet.

    NO_TLS: the far end took the connection, but no handshake came of it. UNREACHABLE: lost, and an ICMP error
    said so.
    """

    REPLIED = 0
    LOST = 1
    LATE = 2
    REFUSED = 3
    SEND_FAILED = 4
    UNRESOLVED = 5
    NO_TLS = 6
    UNREACHABLE = 7


@dataclass(frozen=True, slots=True)
class EchoRound:
    """One packet to each of n targets, as columns (n,).

    link: object array of link ids. sent_wall_ns: int64, Unix ns; for a packet that could not be sent, when
    it should have been. fate: int8, a `Fate`. rtt_ns: float64, NaN where there was no answer; a refusal by
    the target itself (TCP reset) has one, a refusal by a router (ICMP error) has none.
    duplicate: int64, further replies to the packet that came inside the round. stamped: bool, sent_wall_ns is
    the kernel's transmit stamp. unfit: int64, sum of the Unfit bits of the round. The last two may be empty:
    False and 0 then.
    """

    link: NDArray[np.object_]
    sent_wall_ns: NDArray[np.int64]
    fate: NDArray[np.int8]
    rtt_ns: NDArray[np.float64]
    duplicate: NDArray[np.int64]
    stamped: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    unfit: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

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
            np.zeros(count, np.bool_),
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

    The direction of a loss cannot be told. NO_TLS counts as refused. Delays are those of replies in time and
    of refusals that carry one. unfit: sum of the Unfit bits, to which those of the rounds are added;
    under_test, missed: put into every row as they are.
    """
    every = _joined(rounds)
    mine = np.flatnonzero((every.sent_wall_ns >= start_ns) & (every.sent_wall_ns < start_ns + length_ns))
    link, fate, rtt_ns = every.link[mine], every.fate[mine], every.rtt_ns[mine]
    names = list(dict.fromkeys(link))
    at = {name: row for row, name in enumerate(names)}
    group, rows = np.array([at[name] for name in link], np.intp), len(names)
    bits = np.full(rows, unfit, np.int64)
    np.bitwise_or.at(bits, group, every.unfit[mine])
    columns = {
        "link": names,
        "probe": [probe] * rows,
        "class": ["0"] * rows,
        "duplicate": np.bincount(group, every.duplicate[mine], rows).astype(np.int64),
        "sent_stamped": np.bincount(group, every.stamped[mine] & (fate == Fate.REPLIED), rows).astype(
            np.int64
        ),
        "unfit": bits,
        **_counts(fate, group, rows),
        **_delays(fate, rtt_ns, group, rows),
    }
    same = {"start_ns": start_ns, "length_ns": length_ns, "missed": missed, "under_test": under_test}
    return Frame.of(WINDOW, {**columns, **{name: np.full(rows, value) for name, value in same.items()}}, rows)


def _counts(fate: NDArray[np.int8], group: NDArray[np.intp], rows: int) -> dict[str, Any]:
    def count(*fates: Fate) -> NDArray[np.int64]:
        return np.bincount(group[np.isin(fate, fates)], minlength=rows)

    lost, refused = count(Fate.LOST, Fate.UNREACHABLE), count(Fate.REFUSED, Fate.NO_TLS)
    carried = count(Fate.REPLIED, Fate.LATE) + lost
    loss_ratio = np.full(rows, np.nan)
    np.divide(lost, carried, out=loss_ratio, where=carried > 0)
    return {
        "sent": carried + refused,
        "replied": count(Fate.REPLIED),
        "late": count(Fate.LATE),
        "lost_unattributed": lost,
        "refused": refused,
        "unreachable": count(Fate.UNREACHABLE),
        "send_failed": count(Fate.SEND_FAILED),
        "unresolved": count(Fate.UNRESOLVED),
        "loss_ratio": loss_ratio,
    }


def _delays(
    fate: NDArray[np.int8], rtt_ns: NDArray[np.float64], group: NDArray[np.intp], rows: int
) -> dict[str, Any]:
    in_time = np.isin(fate, (Fate.REPLIED, Fate.REFUSED)) & ~np.isnan(rtt_ns)
    delays = grouped(rtt_ns[in_time], group[in_time], rows)
    return {
        **{f"rtt_{one.name}": getattr(delays, one.name) for one in fields(Delays)},
        "pdv_us": delays.highest_us - delays.min_us,
        "rtt_ns": histograms(rtt_ns[in_time], group[in_time], rows),
    }


def _joined(rounds: Sequence[EchoRound]) -> EchoRound:
    """All rounds as one, no column of it empty."""
    whole = [EchoRound.unsent([], 0), *rounds]
    return EchoRound(
        np.concatenate([one.link for one in whole]),
        np.concatenate([one.sent_wall_ns for one in whole]),
        np.concatenate([one.fate for one in whole]),
        np.concatenate([one.rtt_ns for one in whole]),
        np.concatenate([one.duplicate for one in whole]),
        np.concatenate(
            [one.stamped if len(one.stamped) else np.zeros(len(one.link), np.bool_) for one in whole]
        ),
        np.concatenate([one.unfit if len(one.unfit) else np.zeros(len(one.link), np.int64) for one in whole]),
    )
