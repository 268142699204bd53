"""A number for a way through the network: the same way has the same number on every host. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def fingerprint(hops: Iterable[str]) -> int:
    """Hash of the addresses in order, 0..2**63-1, so that it fits the integers of every store.

    A silent hop ("*") counts as itself; fill it in before where its address is known.
    """
    digest = hashlib.blake2b(" ".join(hops).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
