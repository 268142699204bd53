"""A log of batches in memory, for tests of what feeds on one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from collector.journal.batch_log import Entry, again_for


class MemoryLog:
    """See BatchLog."""

    identity = "abc"

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._keys: set[tuple[str, str, int]] = set()
        self._cursors: dict[str, int] = {}
        self._sinks: tuple[str, ...] = ()
        self._last = 0
        self._lock = threading.Lock()

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
        with self._lock:
            if (agent, boot, number) in self._keys:
                return False
            self._keep(Entry(self._last + 1, agent, boot, number, created_ns, received_ns, body, via))
            return True

    def requeue(self, agent: str, boot: str, number: int, body: bytes, sink: str) -> None:
        with self._lock:
            self._keep(Entry(self._last + 1, agent, boot, number, 0, 0, body, again_for(sink)))

    def read(self, after_seq: int, max_batches: int, max_octets: int) -> list[Entry]:
        chosen: list[Entry] = []
        for entry in self.entries:
            if entry.seq > after_seq and len(chosen) < max_batches:
                max_octets -= len(entry.body)
                if chosen and max_octets < 0:
                    break
                chosen.append(entry)
        return chosen

    def register(self, sinks: Sequence[str]) -> None:
        self._sinks = tuple(sinks)
        self._cursors = {sink: self.cursor(sink) for sink in sinks}

    def cursor(self, sink: str) -> int:
        return self._cursors.get(sink, 0)

    def advance(self, sink: str, seq: int) -> None:
        self._cursors[sink] = max(seq, self.cursor(sink))

    def backlog(self, sink: str) -> tuple[int, int | None]:
        left = [entry for entry in self.entries if entry.seq > self.cursor(sink)]
        return len(left), left[0].received_ns if left else None

    def trim(self) -> None:
        upto = min((self.cursor(sink) for sink in self._sinks), default=0)
        self.entries = [entry for entry in self.entries if entry.seq > upto]

    def _keep(self, entry: Entry) -> None:
        self._keys.add((entry.agent, entry.boot, entry.number))
        self.entries.append(entry)
        self._last = entry.seq
