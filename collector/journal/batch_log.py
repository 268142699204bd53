"""The log of batches: everything acknowledged, in order, until each sink has it.

The journal is one (SQLite, on this host); a cluster's stream may take its place. What one must do is said in
full by tests/collector/log_conformance.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

PEER, _AGAIN = "peer", "again:"


def again_for(sink: str) -> str:
    """The `via` of a dead letter that comes again for `sink`, which had refused it."""
    return _AGAIN + sink


def is_for(sink: str, via: str) -> bool:
    """False for a dead letter of another sink: this one has the batch since long, perhaps corrected since."""
    return not via.startswith(_AGAIN) or via == again_for(sink)


@dataclass(frozen=True, slots=True)
class Entry:
    """One logged batch. `seq` only grows; `body` is the encoded batch, packed or not (linkgauge.packing).

    via: PEER when another collector brought it, again_for(sink) when it is a dead letter of that sink that
    comes again, else empty.
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
    """Batches in order, and how far each sink has come. For many threads. Methods raise StoreError."""

    @property
    def identity(self) -> str:
        """A word of [0-9a-f]; (identity, seq) names a batch once and for all."""

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool:
        """Keep a batch; True after it is on disk, False when (agent, boot, number) was there before."""

    def requeue(self, agent: str, boot: str, number: int, body: bytes, sink: str) -> None:
        """A dead letter of `sink` comes again: keep it under a new seq, whether its key was there or not."""

    def read(self, after_seq: int, max_batches: int, max_octets: int) -> list[Entry]:
        """Batches after `after_seq` in order; at least one when there is one, else within both bounds."""

    def register(self, sinks: Sequence[str]) -> None:
        """Name all sinks whose cursors hold bodies back: a new one begins with the oldest, others end."""

    def cursor(self, sink: str) -> int:
        """The seq of the last batch that the sink has taken, 0 when none."""

    def advance(self, sink: str, seq: int) -> None:
        """The sink has taken everything up to `seq`; never goes back."""

    def backlog(self, sink: str) -> tuple[int, int | None]:
        """Batches that the sink has not taken, and when the oldest of them came, Unix ns."""

    def trim(self) -> None:
        """Forget the bodies that all registered sinks have; keys stay known for a time."""
