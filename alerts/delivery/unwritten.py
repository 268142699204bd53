"""What is to be written into the book; it is kept in memory while that cannot be."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from alerts.delivery.book import Book, Stands
from alerts.delivery.room import Waiting, dropped
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import Told
from linkgauge.errors import StoreError

MOST_UNWRITTEN = 10_000
log = logging.getLogger(__name__)


class Unwritten:
    """For the receivers that want it. Not thread safe."""

    def __init__(self, book: Book, receivers: Sequence[Receiver]) -> None:
        self._book, self._policies = book, {each.name: each.policy for each in receivers}
        self._notices: list[tuple[str, bytes]] = []
        self._stands: list[Stands] = []
        self._trouble = False
        self.dropped = 0
        """Notices that were too many, since the start."""

    def __len__(self) -> int:
        return len(self._notices)

    def add(self, alert: str, body: bytes) -> None:
        """A notice of an alert, by its id."""
        self._notices.append((alert, body))

    def stand(self, stands: Sequence[Stands]) -> None:
        """What receivers are told again from now on."""
        self._stands += stands

    def write(self, memory: bytes, firing: Collection[str], now_ns: int) -> bool:
        """Write it all, with the memory; returns whether there is something new to be told. firing: ids of
        what fires and was told."""
        try:
            self._book.record(
                memory, self._notices, list(self._policies), now_ns, firing, self._stands, self._wanted_by,
                [name for name, policy in self._policies.items() if policy.resend_s is not None],
            )  # fmt: skip
        except StoreError as err:
            if not self._trouble:
                log.error("%s; until then nobody is told of alerts", err)
            self._trouble = True
            self._bound()
            return False
        if self._trouble:
            log.warning("the book of alerts is written again; %d notices waited for it", len(self._notices))
        news, self._trouble = bool(self._notices), False
        self._notices, self._stands = [], []
        return news

    def _wanted_by(self, body: bytes) -> list[str]:
        told = Told.read(body)
        return [name for name, policy in self._policies.items() if policy.wants(told)]

    def _bound(self) -> None:
        if len(self._notices) <= MOST_UNWRITTEN:
            return
        waiting = [Waiting.of(at, *notice) for at, notice in enumerate(self._notices)]
        gone = dropped(waiting, MOST_UNWRITTEN, {})
        seqs = set(gone.seqs)
        self._notices = [each for at, each in enumerate(self._notices) if at not in seqs]
        self.dropped += len(seqs)
        log.error("more than %d notices wait for the book; dropped: %s", MOST_UNWRITTEN, gone.sentence())
