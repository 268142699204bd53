"""Outboxes for tests, short to write."""

from __future__ import annotations

from pathlib import Path

from linkgauge.packing import unpack
from probes.upload.outbox import Outbox, Row, State
from tests.probes.fake_clock import T0_NS, FakeClock

DAY_NS = 86_400 * 10**9


def outbox(path: Path, max_bytes: int = 10**6, clock: FakeClock | None = None) -> Outbox:
    return Outbox(path / "outbox.db", max_bytes, DAY_NS, keep_free_bytes=0, clock=clock or FakeClock())


def put(box: Outbox, boot: str = "b1", size: int = 10, created_ns: int = T0_NS) -> int:
    return box.put(boot, lambda number: bytes([number % 256]) * size, 7, created_ns)


def oldest(box: Outbox) -> Row:
    return box.waiting(1)[0]


def unpacked(row: Row) -> bytes:
    return unpack(row.body, 1 << 24)


def states(box: Outbox) -> list[tuple[int, State]]:
    return [(number, state) for _, number, _, state in box.ledger()]
