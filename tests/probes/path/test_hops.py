"""Packets of sweeps and what comes of them: fates, first answers, ends, stamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from probes.engine.flight import Answers, Caught, Departures, Errors
from probes.path.extension import Extensions
from probes.path.hops import Fate, Packets, fates_of
from probes.path.way import Way
from probes.sockets.raw_name import NAME_SIZE, raw_name

FAR, FAR_V6 = "10.9.1.1", "fd00::9"
EXCEEDED, EXCEEDED_V6 = 11 << 8, 3 << 8
FIRST_SEQ = 2**32 - 2
MS = 1_000_000
LABELS = bytes.fromhex("2000000000080101000c8101")


def table(peers: Sequence[str], *hops: tuple[int, int]) -> Packets:
    """Packets as (sweep, hop limit), numbered over the end of the range."""
    packets = Packets(peers, FIRST_SEQ, Extensions())
    packets.add(np.array([s for s, _ in hops]), np.array([h for _, h in hops]), np.full(len(hops), 44))
    return packets


def came(
    sent: Sequence[tuple[int, int]] = (),
    replies: Sequence[tuple[int, int]] = (),
    errors: Sequence[tuple[int, int, str, int]] = (),
    data: bytes = b"",
    extension_at: int = -1,
    failed: bool = False,
    dwell_ms: float = 0,
) -> Caught:
    """sent, replies: (row, ms); errors: (row, ms, address, reason)."""

    def seq(rows: Sequence[tuple[object, ...]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([(FIRST_SEQ + int(str(row[0]))) % 2**32 for row in rows], np.int64)

    def ns(rows: Sequence[tuple[object, ...]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([int(str(row[1])) * MS for row in rows], np.int64)

    count = len(errors)
    names = np.array([raw_name(row[2], 0) for row in errors], np.uint8).reshape(-1, NAME_SIZE)
    block = np.tile(np.frombuffer(data, np.uint8), (count, 1))
    return Caught(
        Departures(seq(sent), ns(sent), np.full(len(sent), failed)),
        Answers(
            seq(replies), ns(replies), np.full(len(replies), 64, np.uint8),
            np.full(len(replies), int(dwell_ms * MS), np.int64),
        ),
        Errors(
            seq(errors), ns(errors), names, np.array([row[3] for row in errors], np.int64),
            np.zeros(count, np.int64), block, np.full(count, len(data)), np.full(count, extension_at),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code", "v6", "fate"),
    [
        (11, 0, False, Fate.HOP), (11, 1, False, Fate.SILENT), (3, 3, False, Fate.REACHED),
        (3, 4, False, Fate.TOO_BIG), (3, 1, False, Fate.BARRED), (3, 13, False, Fate.BARRED),
        (12, 0, False, Fate.SILENT), (4, 0, False, Fate.SILENT),
        (3, 0, True, Fate.HOP), (3, 1, True, Fate.SILENT), (1, 4, True, Fate.REACHED),
        (2, 0, True, Fate.TOO_BIG), (1, 0, True, Fate.BARRED), (11, 0, True, Fate.SILENT),
        (4, 1, True, Fate.SILENT),
    ],
)  # fmt: skip
def test_icmp_errors_tell_a_fate(kind: int, code: int, v6: bool, fate: Fate) -> None:
    assert fates_of(np.array([kind << 8 | code]), np.array([v6])).tolist() == [fate]


@pytest.mark.parametrize(("dwell_ms", "rtt_us"), [(2, 3000), (0.5, 4500), (5, 0), (7, 0), (-3, 5000)])
def test_the_round_trip_is_without_the_dwell_of_the_far_end(dwell_ms: float, rtt_us: float) -> None:
    packets = table([FAR], (0, 1), (0, 2))
    packets.take([came(sent=[(0, 10), (1, 10)], errors=[(0, 12, "10.0.0.1", EXCEEDED)])])
    packets.take([came(replies=[(1, 15)], dwell_ms=dwell_ms)])
    (hops,) = packets.hops(packets.first_answers(2))
    assert hops.rtt_us == (2000, rtt_us)


def test_hops_and_round_trips_of_several_sweeps() -> None:
    packets = table([FAR, FAR_V6], (0, 1), (0, 2), (1, 1), (1, 2), (1, 3))
    packets.take([came(sent=[(row, 10) for row in range(5)])])
    packets.take([
        came(errors=[(0, 12, "10.0.0.1", EXCEEDED), (2, 13, "fd00::1", EXCEEDED_V6)]),
        came(replies=[(1, 15), (4, 17)]),
    ])  # fmt: skip
    four, six = packets.hops(packets.first_answers(4))
    assert four.way == Way(("10.0.0.1", FAR), True)
    assert four.rtt_us == (2000.0, 5000.0)
    assert six.way == Way(("fd00::1", "*", FAR_V6), True)
    assert six.rtt_us[0] == 3000.0
    assert np.isnan(six.rtt_us[1])
    assert not packets.complete()


def test_of_several_answers_the_first_counts_and_the_way_ends_at_the_far_end() -> None:
    packets = table([FAR], (0, 1), (0, 1), (0, 2), (0, 3))
    packets.take([came(errors=[(1, 0, "10.0.0.2", EXCEEDED), (0, 0, "10.0.0.1", EXCEEDED)])])
    packets.take([came(errors=[(0, 0, "10.0.0.3", EXCEEDED)], replies=[(2, 0), (2, 0), (3, 0)])])
    assert packets.hops(packets.first_answers(3))[0].way == Way(("10.0.0.1", FAR), True)
    assert packets.foreign == 0


def test_a_way_ends_where_a_router_bars_it() -> None:
    packets = table([FAR], (0, 1), (0, 2), (0, 3))
    barred = 3 << 8 | 13
    packets.take(
        [came(errors=[(0, 0, "10.0.0.1", EXCEEDED), (1, 0, "10.0.0.2", barred), (2, 0, "10.0.0.2", barred)])]
    )
    assert packets.hops(packets.first_answers(3))[0].way == Way(("10.0.0.1", "10.0.0.2"), False)


def test_a_stamp_that_is_missing_or_wrong_gives_no_round_trip() -> None:
    packets = table([FAR], (0, 1), (0, 2))
    packets.take([came(sent=[(0, 10), (1, 10)])])
    packets.take([came(errors=[(0, 0, "10.0.0.1", EXCEEDED), (1, 9, "10.0.0.2", EXCEEDED)])])
    (hops,) = packets.hops(packets.first_answers(2))
    assert hops.way.hops == ("10.0.0.1", "10.0.0.2")
    assert np.isnan(hops.rtt_us).all()


def test_what_the_kernel_did_not_send_is_no_silence() -> None:
    packets = table([FAR], (0, 1))
    packets.take([came(sent=[(0, 0)], failed=True)])
    assert packets.fate.tolist() == [Fate.UNSENT]
    assert packets.complete()
    assert packets.hops(packets.first_answers(1))[0].way == Way((), False)


def test_answers_to_no_packet_of_ours_are_counted() -> None:
    packets = table([FAR], (0, 1))
    packets.take([came(sent=[(5, 0)], replies=[(-1, 0)], errors=[(9, 0, "10.0.0.1", EXCEEDED)])])
    assert packets.foreign == 3
    assert packets.fate.tolist() == [Fate.SILENT]


def test_labels_are_kept_beside_the_hop() -> None:
    packets = table([FAR], (0, 1), (0, 2))
    packets.take([
        came(errors=[(0, 0, "10.0.0.1", EXCEEDED)], data=bytes(100) + LABELS, extension_at=100),
        came(errors=[(1, 0, "10.0.0.2", EXCEEDED)], data=bytes(44)),
    ])  # fmt: skip
    assert packets.hops(packets.first_answers(2))[0].labels == ("200", "-")


def test_a_sweep_without_answers_is_empty() -> None:
    assert table([FAR], (0, 1)).hops(np.full((1, 3), -1))[0].way == Way((), False)
