"""The palette: colours of states stay apart for people with each kind of colour blindness."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboards import colours

VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What is left of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1."""
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                 [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
_WHITE = _XYZ.sum(axis=1)


def lab(colour: str, vision: str) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of "#rrggbb" as somebody with that vision sees it."""
    srgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    ratio = _XYZ @ seen / _WHITE
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _apart(one: str, other: str, vision: str) -> float:
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


@pytest.mark.parametrize("vision", VISION)
def test_states_and_directions_stay_apart(vision: str) -> None:
    for group in (colours.STATES, (colours.FORWARD, colours.BACKWARD, colours.OBJECTIVE)):
        for one, other in combinations(group, 2):
            assert _apart(one, other, vision) > 14, (one, other)


@pytest.mark.parametrize("vision", VISION)
def test_bands_run_from_strong_to_pale(vision: str) -> None:
    bands = (colours.LOWEST, colours.P50, colours.P95, colours.P99, colours.P999, colours.HIGHEST)
    lightness = [float(lab(colour, vision)[0]) for colour in bands]
    assert all(one + 5 < other for one, other in pairwise(lightness))


def test_no_colour_has_two_meanings() -> None:
    values = [value for name, value in vars(colours).items() if name.isupper() and isinstance(value, str)]
    assert len(set(values)) == len(values)
