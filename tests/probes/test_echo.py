"""Windows of echo rounds against a scalar twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.histogram import Histogram
from probes.echo import EchoRound, Fate, window_frame

LINKS = ["a>b@n", "a>c@n", "a>d@n"]
START, LENGTH = 1000, 500
Sample = tuple[str, int, Fate, float, int]
SAMPLE = st.tuples(
    st.sampled_from(LINKS),
    st.integers(START - 2, START + LENGTH + 2),
    st.sampled_from(Fate),
    st.floats(1, 1e9),
    st.integers(0, 2),
)


def echo_round(samples: list[Sample]) -> EchoRound:
    out = EchoRound.unsent([sample[0] for sample in samples], 0)
    for row, (_, sent_ns, fate, rtt_ns, duplicate) in enumerate(samples):
        out.sent_wall_ns[row], out.fate[row], out.duplicate[row] = sent_ns, fate, duplicate
        out.rtt_ns[row] = rtt_ns if fate in (Fate.REPLIED, Fate.LATE) else math.nan
    return out


@given(st.lists(st.lists(SAMPLE, max_size=30), max_size=3))
def test_a_window_equals_the_scalar_twin(rounds: list[list[Sample]]) -> None:
    frame = window_frame([echo_round(samples) for samples in rounds], "icmp", START, LENGTH, 3)
    inside = [s for samples in rounds for s in samples if START <= s[1] < START + LENGTH]
    assert frame.text("link").tolist() == list(dict.fromkeys(sample[0] for sample in inside))
    for row, link in enumerate(frame.text("link")):
        mine = [sample for sample in inside if sample[0] == link]
        tally = {fate: sum(sample[2] == fate for sample in mine) for fate in Fate}
        sent = len(mine) - tally[Fate.SEND_FAILED] - tally[Fate.UNRESOLVED]
        refused = tally[Fate.REFUSED] + tally[Fate.NO_TLS]
        got = {name: int(frame.count(name)[row]) for name in ("sent", "replied", "late", "refused", "unfit")}
        assert got == {
            "sent": sent, "replied": tally[Fate.REPLIED], "late": tally[Fate.LATE],
            "refused": refused, "unfit": 3,
        }  # fmt: skip
        lost = tally[Fate.LOST] + tally[Fate.UNREACHABLE]
        assert frame.count("lost_unattributed")[row] == lost
        assert frame.count("unreachable")[row] == tally[Fate.UNREACHABLE]
        assert frame.count("send_failed")[row] == tally[Fate.SEND_FAILED]
        assert frame.count("unresolved")[row] == tally[Fate.UNRESOLVED]
        assert frame.count("duplicate")[row] == sum(sample[4] for sample in mine)
        loss = lost / (sent - refused) if sent > refused else math.nan
        assert frame.real("loss_ratio")[row] == pytest.approx(loss, nan_ok=True)
        delays = [sample[3] for sample in mine if sample[2] is Fate.REPLIED]
        assert frame.real("rtt_max_us")[row] == pytest.approx(
            max(delays, default=math.nan) / 1e3, nan_ok=True
        )
        assert frame.histograms("rtt_ns")[row].total == len(delays)
        expected = Histogram.of(np.array(delays))
        assert frame.histograms("rtt_ns")[row].bucket.tolist() == expected.bucket.tolist()


def test_the_rows_are_those_of_one_probe_and_no_class() -> None:
    samples: list[Sample] = [("a>b@n", START, Fate.REPLIED, 2000.0, 0), ("a>b@n", START, Fate.LOST, 1.0, 0)]
    frame = window_frame([echo_round(samples)], "tcp", START, LENGTH, 0, under_test=1, missed=2)
    assert [frame.text(name)[0] for name in ("link", "probe", "class")] == ["a>b@n", "tcp", "0"]
    assert [frame.count(name)[0] for name in ("start_ns", "length_ns", "under_test", "missed")] == [
        START, LENGTH, 1, 2,
    ]  # fmt: skip
    assert frame.real("rtt_p50_us")[0] == 2.0
    assert frame.real("pdv_us")[0] == 0.0
    unknown = ("rtt_p95_us", "loss_forward_ratio", "loss_backward_ratio", "forward_p50_us", "jitter_us")
    assert all(math.isnan(frame.real(name)[0]) for name in unknown)


def test_the_delay_of_a_reset_counts_and_that_of_a_late_reply_does_not() -> None:
    samples: list[Sample] = [("a>b@n", START, Fate.REFUSED, 0.0, 0), ("a>b@n", START, Fate.LATE, 9e9, 0)]
    out = echo_round(samples)
    out.rtt_ns[0] = 4000.0
    frame = window_frame([out], "tcp", START, LENGTH, 0)
    assert frame.real("rtt_max_us")[0] == 4.0
    assert frame.real("loss_ratio")[0] == 0.0
    assert math.isnan(window_frame([echo_round(samples[:1])], "tcp", START, LENGTH, 0).real("loss_ratio")[0])


def test_stamps_and_unfitness_of_rounds_are_told() -> None:
    replied: list[Sample] = [("a>b@n", START, Fate.REPLIED, 1.0, 0), ("a>c@n", START, Fate.REPLIED, 1.0, 0)]
    lost: list[Sample] = [("a>b@n", START, Fate.LOST, 1.0, 0)]
    first, second = echo_round(replied), echo_round(lost)
    first.stamped[0] = second.stamped[0] = True
    first.unfit[0], second.unfit[0] = 4, 1
    bare = EchoRound(second.link, second.sent_wall_ns, second.fate, second.rtt_ns, second.duplicate)
    frame = window_frame([first, second, bare], "icmp", START, LENGTH, 8)
    assert frame.text("link").tolist() == ["a>b@n", "a>c@n"]
    assert frame.count("sent_stamped").tolist() == [1, 0]
    assert frame.count("unfit").tolist() == [13, 8]


def test_no_rounds_make_no_rows() -> None:
    assert window_frame([], "icmp", START, LENGTH, 0).rows == 0


def test_percentiles_need_their_samples() -> None:
    samples: list[Sample] = [("a>b@n", START, Fate.REPLIED, 1000.0 * n, 0) for n in range(1, 300)]
    frame = window_frame([echo_round(samples)], "icmp", START, LENGTH, 0)
    assert [frame.real(name)[0] for name in ("rtt_p50_us", "rtt_p95_us", "rtt_p99_us")] == [150, 285, 297]
    assert frame.real("pdv_us")[0] == 296


def test_a_reply_beyond_the_timeout_is_late() -> None:
    out = EchoRound.unsent(["a>b@n", "a>c@n", "a>d@n"], 0)
    out.answered(0, Fate.REPLIED, 11.0, 10)
    out.answered(1, Fate.REPLIED, 10.0, 10)
    out.answered(2, Fate.REFUSED, 11.0, 10)
    assert out.fate.tolist() == [Fate.LATE, Fate.REPLIED, Fate.REFUSED]
