"""How a batch gets from the outbox to where it is journalled: HTTP today, a clustered stream tomorrow."""

from __future__ import annotations

from typing import Protocol

from linkgauge.answer import Answer, Outcome
from probes.upload.outbox import Row

__all__ = ["Answer", "Outcome", "Transport"]


class Transport(Protocol):
    """Carries one batch at a time; used by one thread.

    `send` raises nothing: whatever happens is an Answer (the table is in linkgauge.answer). TAKEN only when
    the batch is on the other side's disk; a batch sent twice is known there by its (agent, boot, number).
    """

    def send(self, row: Row, timeout_s: float) -> Answer:
        """Hand over `row`, within `timeout_s` for all addresses together."""

    def close(self) -> None:
        """Give the connections back; a later `send` opens new ones."""
