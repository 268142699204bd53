"""The thread that drains the book to one receiver, for ever, in order within each alert.

After a failure it waits, longer each time up to LONGEST_WAIT_S and never quite as long as before, so that
many senders do not come back at once. Notices that were tried less often go first: an alert whose notice the
receiver cannot digest holds nothing else up.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol

from alerts.book import Book, Notice
from linkgauge.clock import Clock
from linkgauge.errors import SinkBusy, SinkRejected, StoreError

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
AT_ONCE = 500


class Receiver(Protocol):
    """Somebody to be told; raises SinkBusy (later) or SinkRejected (never)."""

    @property
    def name(self) -> str: ...

    def deliver(self, body: bytes) -> None: ...

    def close(self) -> None: ...


class Delivery:
    """Delivers the notices of `receiver` from `start()` to `stop()`. chance: 0..1, for the waits."""

    def __init__(
        self,
        book: Book,
        receiver: Receiver,
        clock: Clock,
        first_wait_s: float = FIRST_WAIT_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._book, self._receiver, self._clock = book, receiver, clock
        self._first_wait_s, self._chance = first_wait_s, chance
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts-{receiver.name}", daemon=True)
        self._tries: dict[str, int] = {}
        self._failures = 0
        self._trouble: str | None = None

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something new in the book."""
        self._something.set()

    def stop(self) -> None:
        """Come to an end; what is not delivered stays in the book. Waits for a request under way."""
        self._stopping.set()
        self._something.set()
        if self._thread.is_alive():
            self._thread.join()
        self._receiver.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._something.clear()
            try:
                wait_s = self._pass()
            except Exception:  # a page must not end with a bug
                self._failures += 1
                log.exception("webhook %s: a delivery failed and is tried again", self._receiver.name)
                wait_s = self._wait_s()
            if wait_s is not None:
                self._stopping.wait(wait_s)
            else:
                self._something.wait()

    def _pass(self) -> float | None:
        """Deliver until nothing waits (None) or something failed (seconds to wait)."""
        try:
            while not self._stopping.is_set():
                heads = self._book.heads(self._receiver.name, AT_ONCE)
                if not heads:
                    return None
                for notice in sorted(heads, key=lambda head: self._tries.get(head.alert, 0)):
                    if self._stopping.is_set():
                        return None
                    self._deliver(notice)
            return None
        except SinkBusy as err:
            self._failures += 1
            self._say(str(err))
            return self._wait_s() if err.retry_after_s is None else err.retry_after_s
        except StoreError as err:
            self._failures += 1
            self._say(str(err))
            return self._wait_s()

    def _deliver(self, notice: Notice) -> None:
        try:
            self._receiver.deliver(notice.body)
        except SinkRejected as err:
            log.error("%s; alert %s was given up", err, notice.alert)
            self._book.given_up(notice.seq, self._clock.now().wall_ns)
        except SinkBusy:
            self._tries[notice.alert] = self._tries.get(notice.alert, 0) + 1
            raise
        else:
            self._book.delivered(notice.seq, self._clock.now().wall_ns)
            self._say(None)
        self._failures = 0
        self._tries.pop(notice.alert, None)

    def _wait_s(self) -> float:
        longest = min(LONGEST_WAIT_S, self._first_wait_s * 2.0 ** min(self._failures - 1, 30))
        return longest * (0.5 + 0.5 * self._chance())

    def _say(self, trouble: str | None) -> None:
        """Each trouble once, and once that it is over."""
        if trouble is not None and trouble != self._trouble:
            log.warning("%s; alerts wait in the book and are tried again", trouble)
        elif trouble is None and self._trouble is not None:
            log.info("webhook %s: alerts are delivered again", self._receiver.name)
        self._trouble = trouble
