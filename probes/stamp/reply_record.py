"""What is kept of a reply: one record, so that taking it is one stroke. Pure."""

from __future__ import annotations

import numpy as np

REPLY = np.dtype(
    {
        "names": ["seq", "t4_ns", "t2", "t3", "number", "place", "error", "ttl_out", "ttl_back", "tos_out",
                  "tos_back", "flags"],
        "formats": ["i8", "i8", "u8", "u8", "u4", "u4", "u2", "u1", "u1", "u1", "u1", "u1"],
        "offsets": [0, 8, 16, 24, 32, 36, 40, 42, 43, 44, 45, 46],
        "itemsize": 48,
    }
)  # fmt: skip
"""t2, t3: stamps in the format that `error` names; number: the reflector's own; tos_out: as the packet came
to the reflector; ttl_out, ttl_back: 255 = unknown; place: in the batch, for telling copies apart."""
MARKED, OTHER_CLASS, T3_KERNEL, UNTIMED = 1, 2, 4, 8
"""Flags of a reply: tos_out is known; not sent in the class asked for; T3 is the far kernel's stamp;
no receive stamp came with it, t4_ns is that of T1."""
