"""What links should do, as columns: one row for each LinkSpec, in their order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.model import LinkSpec

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Objectives:
    """n specs. `rows` finds a link's row by its text form."""

    rows: dict[str, int]
    delay_us: Reals
    """(n,) the tier's one-way delay."""
    delay_quantile: Reals
    """(n,) the share of packets that must keep to it, 0..1."""
    loss_ratio: Reals
    """(n,) highest loss one way, 0..1."""
    promised_bps: Reals
    """(n,) NaN where nothing was promised."""
    pdv_us: Reals
    """(n,) highest delay variation of the round trip."""
    ce_ratio: Reals
    """(n,) highest share of packets marked Congestion Experienced, 0..1."""
    good_ratio: Reals
    """(n,) share of windows that must keep to loss and delay, 0..1."""
    reverse: NDArray[np.intp]
    """(n,) row of the reverse link, -1 where it is not expected."""
    dst: NDArray[np.intp]
    """(n,) a number of the node at the far end, from 0."""

    @classmethod
    def of(cls, specs: Sequence[LinkSpec]) -> Objectives:
        """Columns of the specs; links must differ."""
        links = {spec.link: row for row, spec in enumerate(specs)}
        nodes = {name: at for at, name in enumerate(dict.fromkeys(spec.link.dst for spec in specs))}
        promised = np.array([spec.promised_bps for spec in specs], np.float64)
        reverse = [links.get(spec.link.reverse, -1) if spec.mirrored else -1 for spec in specs]
        return cls(
            {str(link): row for link, row in links.items()},
            np.array([spec.tier.delay_us for spec in specs], np.float64),
            np.array([spec.tier.delay_quantile for spec in specs], np.float64),
            np.array([spec.tier.loss_ratio for spec in specs], np.float64),
            np.where(promised > 0, promised, np.nan),
            np.array([spec.tier.pdv_objective_us for spec in specs], np.float64),
            np.array([spec.tier.ce_ratio for spec in specs], np.float64),
            np.array([spec.tier.good_ratio for spec in specs], np.float64),
            np.array(reverse, np.intp),
            np.array([nodes[spec.link.dst] for spec in specs], np.intp),
        )

    def __len__(self) -> int:
        return len(self.reverse)

    def found(self, links: NDArray[np.object_]) -> NDArray[np.intp]:
        """Row of each link (m,), -1 for a link that is not expected."""
        find = self.rows.get
        return np.array([find(link, -1) for link in links.tolist()], np.intp)
