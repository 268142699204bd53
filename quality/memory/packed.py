"""Arrays of whole numbers, compressed: what is looked at once a window need not lie open. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.packing import pack, unpack

Whole = NDArray[Any]
_MOST = 2**40
_WIDTHS = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, slots=True)
class Packed:
    """Some arrays, each of its own type and shape."""

    kinds: tuple[tuple[str, tuple[int, ...]], ...]
    body: bytes

    @classmethod
    def of(cls, *arrays: Whole) -> Packed:
        """Compress them; what belongs together lies together: first all lowest octets, then the next."""
        planes = [each.ravel().view(np.uint8).reshape(each.size, each.itemsize).T for each in arrays]
        body = pack(b"".join(plane.tobytes() for plane in planes))
        return cls(tuple((each.dtype.str, each.shape) for each in arrays), body)

    def arrays(self) -> list[Whole]:
        """Them again; read-only where their type has one octet."""
        body, found, begin = unpack(self.body, _MOST), list[Whole](), 0
        for kind, shape in self.kinds:
            dtype = np.dtype(kind)
            octets = int(np.prod(shape)) * dtype.itemsize
            plane = np.frombuffer(body, np.uint8, octets, begin).reshape(dtype.itemsize, -1)
            found.append(np.ascontiguousarray(plane.T).reshape(-1).view(dtype).reshape(shape))
            begin += octets
        return found


def smallest(values: Whole) -> Whole:
    """The values, 0 to 2**32 - 1 (held to that), in the smallest type that holds them."""
    top = int(values.max(initial=0))
    for dtype in _WIDTHS:
        if top <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    return np.minimum(values, np.iinfo(np.uint32).max).astype(np.uint32)


def split(link: NDArray[np.intp], size: int) -> Sequence[slice]:
    """Slices of the ascending links (m,), one for each range of `size` that has some."""
    if not len(link):
        return ()
    bounds = np.flatnonzero(np.diff(link // size)) + 1
    edges = [0, *bounds.tolist(), len(link)]
    return [slice(begin, end) for begin, end in pairwise(edges)]
