"""Errors of departures: what is even has none, what comes late has its lateness."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.timing import AT_LEAST, INTERVAL_NS, RECORD, errors_us

PHASE_NS = 1_700_000_000_123_456_789


def test_even_departures_have_no_error_and_a_late_one_its_lateness() -> None:
    packets = np.zeros(20, RECORD)
    packets["ssid"] = np.repeat([7, 9], 10)
    packets["seq"] = np.tile(np.arange(10), 2)
    ssid, seq = packets["ssid"].astype(np.uint64), packets["seq"].astype(np.uint64)
    packets["stamp_ns"] = PHASE_NS + ssid * 1000 + seq * INTERVAL_NS
    packets["stamp_ns"][3] += 250_000
    found = errors_us(np.random.default_rng(1).permutation(packets))
    assert sorted(found) == [0.0] * 19 + [250.0]


def test_a_session_of_few_packets_is_not_judged() -> None:
    packets = np.zeros(AT_LEAST - 1, RECORD)
    packets["seq"] = np.arange(len(packets))
    with pytest.raises(RuntimeError, match="no session"):
        errors_us(packets)
