"""An outbox in memory, for tests of what is sent when; and a transport that answers as told."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from linkgauge.answer import Answer, Outcome
from probes.upload.outbox import Counts, Row


class MemoryOutbox:
    """path: for sentences. `settled` has the seqs of each call of `done`."""

    def __init__(self) -> None:
        self.path = Path("outbox.sqlite")
        self.rows: dict[int, Row] = {}
        self.settled: list[list[int]] = []
        self.letters: list[tuple[int, str]] = []
        self._order: deque[tuple[int, int]] = deque()
        self._seq = 0

    def put(self, created_ns: int) -> int:
        self._seq += 1
        self.rows[self._seq] = Row(self._seq, "b1", self._seq, created_ns, b"body", 1)
        self._order.append((created_ns, self._seq))  # put in the order of time
        return self._seq

    def waiting(
        self,
        limit: int,
        from_ns: int | None = None,
        before_ns: int | None = None,
        skip: Collection[int] = frozenset(),
    ) -> list[Row]:
        while self._order and self._order[0][1] not in self.rows:
            self._order.popleft()
        found: list[Row] = []
        for created_ns, seq in islice(self._order, bisect_left(self._order, (from_ns or 0, 0)), None):
            if created_ns >= (before_ns or 1 << 62) or len(found) == limit:
                break
            if seq in self.rows and seq not in skip:
                found.append(self.rows[seq])
        return found

    def done(self, seqs: Iterable[int]) -> None:
        self.settled.append(list(seqs))
        for seq in self.settled[-1]:
            self.rows.pop(seq, None)

    def reject(self, seq: int, sentence: str) -> None:
        self.letters.append((seq, sentence))
        self.rows.pop(seq, None)

    def counts(self) -> Counts:
        oldest_ns = min((row.created_ns for row in self.rows.values()), default=None)
        return Counts(len(self.rows), oldest_ns=oldest_ns)


@dataclass(slots=True)
class Sent:
    """A batch that was handed over, and the time that it was given."""

    seq: int
    timeout_s: float


class ToldTransport:
    """Answers with what `answer` gives for a row, TAKEN when None; notes what was sent."""

    def __init__(self, answer: Callable[[Row], Answer | None] = lambda _: None) -> None:
        self.answer, self.sent, self.closed = answer, list[Sent](), False

    def send(self, row: Row, timeout_s: float) -> Answer:
        self.sent.append(Sent(row.seq, timeout_s))
        return self.answer(row) or Answer(Outcome.TAKEN)

    def close(self) -> None:
        self.closed = True

    @property
    def seqs(self) -> list[int]:
        return [each.seq for each in self.sent]


def script(*answers: Answer | Outcome | None) -> Callable[[Row], Answer | None]:
    """These in turn, then TAKEN."""
    steps = list(answers)

    def answer(_row: Row) -> Answer | None:
        step = steps.pop(0) if steps else None
        told = Answer(step, "http://a: no good") if isinstance(step, Outcome) else step
        return None if told is None else replace(told)

    return answer
