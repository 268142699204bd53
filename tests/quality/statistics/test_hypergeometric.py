"""Fisher's test against SciPy's slow sum, and what it must say at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from quality.statistics.hypergeometric import more_than_share


def _one(part_lost: int, part_sent: int, lost: int, sent: int) -> float:
    return float(more_than_share(*(np.array([each]) for each in (part_lost, part_sent, lost, sent)))[0])


def test_against_the_slow_sum() -> None:
    chance = np.random.default_rng(7)
    sent = chance.integers(1, 3_000, 3_000)
    part, lost = chance.integers(0, sent + 1), chance.integers(0, sent + 1)
    part_lost = np.minimum(
        chance.hypergeometric(lost, sent - lost, part) + chance.integers(0, 6, 3_000), np.minimum(part, lost)
    )
    told = more_than_share(part_lost, part, lost, sent)
    slow = np.asarray(hypergeom.sf(part_lost - 1, sent, lost, part))
    more = part_lost * sent > part * lost
    assert more.sum() > 1_000
    assert told[more] == pytest.approx(slow[more], rel=1e-9)
    assert (told[~more] == 1).all()


def test_by_hand() -> None:
    assert _one(1, 10, 1, 100) == pytest.approx(0.1)  # the one loss falls on the part
    assert _one(2, 2, 2, 4) == pytest.approx(1 / 6)  # one of the six pairs
    assert _one(5, 5, 5, 100) == pytest.approx(1 / 75_287_520)  # one of 100 over 5


def test_no_packets_no_losses_and_everything_lost_tell_nothing() -> None:
    assert [_one(0, 0, 0, 0), _one(0, 10, 0, 100), _one(10, 10, 100, 100), _one(0, 0, 5, 9)] == [1, 1, 1, 1]


def test_counts_that_cannot_be_end_and_stay_a_probability() -> None:
    huge = 2**61
    told = more_than_share(
        np.array([huge // 2 + 1, huge, 3]), np.array([huge, huge, huge]),
        np.array([huge, huge, 4]), np.array([2 * huge, 2 * huge, 2 * huge]),
    )  # fmt: skip
    assert ((told >= 0) & (told <= 1)).all()
