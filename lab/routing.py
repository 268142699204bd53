"""Ways between the routers of a plane: those with the fewest trunks, all of them. Pure.

Where several ways are as short, a router has several next trunks to the same target and chooses by a hash of
addresses and ports, as networks with equal-cost paths do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol


class Joint(Protocol):
    """A trunk, as far as ways are concerned: it joins two hubs."""

    @property
    def left(self) -> str: ...
    @property
    def right(self) -> str: ...


def distances(trunks: Sequence[Joint], target: str) -> dict[str, int]:
    """Trunks between each hub that can reach `target` and it."""
    far = {target: 0}
    waiting = deque([target])
    while waiting:
        here = waiting.popleft()
        for trunk in trunks:
            if here in (trunk.left, trunk.right):
                beyond = trunk.right if here == trunk.left else trunk.left
                if beyond not in far:
                    far[beyond] = far[here] + 1
                    waiting.append(beyond)
    return far


def next_trunks(trunks: Sequence[Joint], here: str, target: str) -> list[tuple[int, str]]:
    """(number of the trunk, hub beyond it) of each next step of a shortest way; empty when there is none."""
    far = distances(trunks, target)
    steps = []
    for number, trunk in enumerate(trunks):
        if here in (trunk.left, trunk.right) and here in far:
            beyond = trunk.right if here == trunk.left else trunk.left
            if far[beyond] == far[here] - 1:
                steps.append((number, beyond))
    return steps


def ways(trunks: Sequence[Joint], here: str, target: str) -> list[tuple[int, ...]]:
    """All shortest ways, each as the numbers of its trunks in order."""
    if here == target:
        return [()]
    return [
        (number, *rest)
        for number, beyond in next_trunks(trunks, here, target)
        for rest in ways(trunks, beyond, target)
    ]
