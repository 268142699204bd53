"""What a sink's pump needs of the journal; another log of batches (a cluster's stream) may take its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

PEER = "peer"


@dataclass(frozen=True, slots=True)
class Entry:
    """One journalled batch. `seq` only grows; `body` is the encoded batch, packed or not (linkgauge.packing).

    via: PEER when another collector brought it, else empty.
    """

    seq: int
    agent: str
    boot: str
    number: int
    created_ns: int
    received_ns: int
    body: bytes
    via: str = ""


class BatchLog(Protocol):
    """Batches in order, and how far each sink has come. Methods raise StoreError."""

    def read(self, after_seq: int, max_batches: int, max_bytes: int) -> list[Entry]: ...

    def cursor(self, sink: str) -> int: ...

    def advance(self, sink: str, seq: int) -> None: ...

    def backlog(self, sink: str) -> tuple[int, int | None]: ...
