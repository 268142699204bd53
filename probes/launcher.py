"""Sends flights of a path prober by the engine, which is made after the prober because it needs it, too."""

from __future__ import annotations

from typing import Protocol

from probes.engine.flight import Flight


class Sweeping(Protocol):
    """What can send the packets of a sweep: the engine."""

    def sweep(self, flight: Flight) -> None: ...


class Launcher:
    """Set `engine` before the first flight."""

    engine: Sweeping

    def sweep(self, flight: Flight) -> None:
        """Have the flight sent; thread safe."""
        self.engine.sweep(flight)
