"""What a store must offer to be fed from the journal, and what it may answer."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.journal.batch_log import is_for
from linkgauge.errors import SinkRejected
from linkgauge.frame import Frame


@dataclass(frozen=True, slots=True)
class Delivery:
    """One journalled batch, decoded. `frames` by table name, of the tables that the sink wants.

    body: the batch as it stands in the journal; via: who brought it, as in the journal.
    """

    seq: int
    agent: str
    boot: str
    number: int
    frames: Mapping[str, Frame]
    body: bytes = b""
    via: str = ""

    def is_for(self, sink: str) -> bool:
        """False for a dead letter that another sink refused."""
        return is_for(sink, self.via)

    @property
    def rows(self) -> int:
        return sum(frame.rows for frame in self.frames.values())


class RowsRejected(SinkRejected):
    """The store has everything but `refused`, which it will never take; each with the store's own words."""

    def __init__(self, refused: Sequence[tuple[str, str]]) -> None:
        words = refused[0][1] if refused else "no reason"
        super().__init__(f"{len(refused)} rows were refused, the first with: {words}", len(refused))
        self.refused = tuple(refused)


class BatchesRejected(SinkRejected):
    """The store has every batch but `refused`, which it will never take; each with the store's own words."""

    def __init__(self, refused: Sequence[tuple[Delivery, str]]) -> None:
        words = refused[0][1] if refused else "no reason"
        rows = sum(delivery.rows for delivery, _ in refused)
        super().__init__(f"{len(refused)} batches were refused, the first with: {words}", rows)
        self.refused = tuple(refused)


class Sink(Protocol):
    """A store. `write` returns when it holds every row, and may get the same deliveries again later.

    Raises SinkBusy (again later), SinkHeld (somebody must act), RowsRejected or BatchesRejected (all
    others are stored).
    """

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> Container[str] | None:
        """Names of the tables that it wants, None = all."""

    def write(self, entries: Sequence[Delivery]) -> None: ...

    def close(self) -> None: ...
