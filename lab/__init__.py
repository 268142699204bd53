"""A real small network with a known truth: for the demo, the tests and the drills.

`lab.world.NamespaceWorld` builds a topology from network namespaces (root), `lab.loopback.LoopbackWorld` is
its twin on loopback addresses. `sweep` clears away what crashed worlds left.
"""

from __future__ import annotations

from lab.record import sweep

__all__ = ["sweep"]
