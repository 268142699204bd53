"""The drill of a running agent: begins when a file says so, ends by itself, and says both in the log.

A drill is announced for the rest of the window in which its file came, and plays from the next window on, so
that who judges knows of it before the first packet is touched. A file that is taken away ends it at once; one
that cannot be understood is told and plays nothing. An agent that starts anew plays on what is not over, and
says so again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import LinkgaugeError
from probes.engine.drill_order import LONGEST_S, DrillOrder, read_order
from probes.sockets.raw_name import HOST, raw_name
from probes.stamp.played_fault import PlayedFault

LOOK_NS = NS_PER_S
"""How often the file is looked at."""
_log = logging.getLogger(__name__)


class Playing:
    """The fault at work. chance(n): n numbers, uniform from 0 below 1. Used by one thread."""

    def __init__(self, path: Path, clock: Clock, chance: Callable[[int], NDArray[np.float64]]) -> None:
        self._path, self._clock, self._chance = path, clock, chance
        self._order: DrillOrder | None = None
        self._file: tuple[int, ...] | None = None
        self._look_mono_ns, self._end_mono_ns = 0, 0
        self.fault: PlayedFault | None = None
        """What is played now; None: nothing."""
        self._announced: PlayedFault | None = None
        self._played = False

    def look(self, mono_ns: int) -> None:
        """Begin or end what the file says, about once a second."""
        if self._order is not None and mono_ns >= self._end_mono_ns:
            self._end("its time is over")
        if mono_ns < self._look_mono_ns:
            return
        self._look_mono_ns = mono_ns + LOOK_NS
        file = self._version()
        if file != self._file:
            self._file = file
            self._change()

    def played(self) -> bool:
        """Called at the end of each window: whether a fault was played or announced in it."""
        played, self._played = self._played or self._order is not None, False
        if self._announced is not None:
            self.fault, self._announced = self._announced, None
        return played

    def _version(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _change(self) -> None:
        if self._order is not None:
            self._end("there is another order" if self._file else "its file was taken away")
        try:
            order = read_order(self._path)
        except LinkgaugeError as err:
            _log.warning("no drill: %s", err)
            return
        if order is not None:
            self._begin(order)

    def _begin(self, order: DrillOrder) -> None:
        now = self._clock.now()
        left_ns = order.until_ns - now.wall_ns
        if left_ns <= 0:
            self._remove()
            return
        if left_ns > LONGEST_S * NS_PER_S:
            _log.warning("no drill: it would last longer than %.0f s: %s", LONGEST_S, order.sentence())
            return
        self._order, self._end_mono_ns = order, now.mono_ns + left_ns
        peer = raw_name(order.peer, 0)[HOST].tobytes()
        self._announced = PlayedFault(order.fault, order.size, peer, self._chance)
        _log.warning("DRILL begins with the next window: this reflector plays %s", order.sentence())

    def _end(self, why: str) -> None:
        assert self._order is not None
        touched, lost = (self.fault.touched, self.fault.no_room) if self.fault is not None else (0, 0)
        _log.warning(
            "DRILL ends, %s: %s; %d packets were touched, %d lost for want of room",
            why,
            self._order.sentence(),
            touched,
            lost,
        )
        if self._version() == self._file:
            self._remove()
        self.fault, self._announced, self._order, self._played = None, None, None, True

    def _remove(self) -> None:
        """The file has done its work; one that cannot be removed plays no more all the same."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._file = self._version()
