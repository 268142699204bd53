"""From the outbox to the collector: oldest first, and out of the outbox only when the collector has it.

A collector that is away is tried again after 0.5 to 30 s, each address in turn, and the agent keeps
measuring. A wrong token keeps everything and is tried again slowly, because somebody has to act. A batch
that the collector will never take becomes a dead letter, so that it stops no other.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

import urllib3
from urllib3.exceptions import HTTPError

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError
from linkgauge.packing import pack
from linkgauge.wire import CONTENT_TYPE
from probes.collector_client import TIMEOUT_S, CollectorClient, retry_after_s, why, words_of
from probes.notice import Notice
from probes.outbox import Outbox, Row

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
HELD_S = 30.0
"""Wait after a refused token."""
_LONGEST_RETRY_AFTER_S = 300.0
_IDLE_S = 5.0
_STORE_S = 5.0
_HEADERS = {"Content-Type": CONTENT_TYPE, "Content-Encoding": "zstd"}
_PERMANENT = (400, 413)
_HELD = (401, 403, 409)
_log = logging.getLogger(__name__)


class Uploader:
    """Sends what waits in `outbox` through `client`, in a thread of its own between `start` and `stop`.

    jitter: a number in 0..1 each time, spreads the retries of many agents.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: CollectorClient,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._client, self._clock, self._jitter = outbox, client, clock, jitter
        self._collector, self._store = Notice(_log), Notice(_log)
        self._failures = 0
        self._retry_after_s = 0.0
        self._work, self._stopping = threading.Event(), threading.Event()
        self._deadline_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Something was put into the outbox. Does not cut a wait for a collector that is away."""
        self._work.set()

    def stop(self, flush_s: float) -> bool:
        """Try for up to `flush_s` to send what waits, then end; says whether nothing waits any more.

        What was not sent stays in the outbox. May be called more than once, and without `start`.
        """
        self._deadline_ns = self._clock.now().mono_ns + int(flush_s * NS_PER_S)
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._thread.join(flush_s + 1)
        if not self._thread.is_alive():
            self._client.close()
        return self._outbox.counts().waiting == 0

    def attempt(self) -> float | None:
        """Send the oldest batch. Returns the wait before the next attempt, s; None when nothing waits."""
        try:
            row = self._outbox.oldest()
            wait_s = None if row is None else self._send(row)
        except StoreError as err:
            self._store.trouble("store", str(err))
            return _STORE_S
        self._store.over(f"{self._outbox.path}: the outbox can be used again")
        return wait_s

    def _send(self, row: Row) -> float:
        body = pack(row.body)
        try:
            response = self._client.post("/v1/batches", body, _HEADERS, self._timeout_s())
        except HTTPError as err:
            return self._unreachable(why(err))
        if response.status == 200:
            return self._taken(row)
        if response.status in _HELD:
            return self._held(response)
        if response.status in _PERMANENT:
            return self._refused(row, words_of(response))
        self._retry_after_s = max(self._retry_after_s, retry_after_s(response, _LONGEST_RETRY_AFTER_S))
        return self._unreachable(f"status {response.status}: {words_of(response)}")

    def _taken(self, row: Row) -> float:
        self._outbox.done(row.boot, row.number)
        self._failures, self._retry_after_s = 0, 0.0
        self._collector.over(f"{self._client.url}: the collector takes batches again")
        return 0.0

    def _refused(self, row: Row, words: str) -> float:
        self._outbox.reject(row.boot, row.number, words)
        _log.warning(
            "%s: refused batch %s/%d for good: %s; it is kept as a dead letter in %s",
            self._client.url, row.boot, row.number, words, self._outbox.path,
        )  # fmt: skip
        self._failures, self._retry_after_s = 0, 0.0
        return 0.0

    def _held(self, response: urllib3.BaseHTTPResponse) -> float:
        self._collector.trouble(
            "held",
            f"{self._client.url}: refuses this agent ({response.status}: {words_of(response)}); mend "
            "that (a new token by `linkgauge token`, then start the agent again; a clock; a version); "
            f"batches are kept and tried again every {HELD_S:.0f} s",
        )
        return HELD_S

    def _unreachable(self, fault: str) -> float:
        url = self._client.url
        if self._client.next():
            return 0.0  # another address may be there
        self._collector.trouble(
            "unreachable",
            f"{url}: collector unreachable ({fault}), keeps measuring, "
            f"{self._outbox.counts().waiting} batches wait",
        )
        backoff_s: float = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures, 10))
        wait_s = max(self._retry_after_s, backoff_s * (0.5 + 0.5 * self._jitter()))
        self._failures, self._retry_after_s = self._failures + 1, 0.0
        return wait_s

    def _timeout_s(self) -> float:
        if self._deadline_ns is None:
            return TIMEOUT_S
        return min(TIMEOUT_S, max(0.1, (self._deadline_ns - self._clock.now().mono_ns) / NS_PER_S))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._work.clear()
            wait_s = self.attempt()
            if wait_s is None:
                self._work.wait(_IDLE_S)
            elif wait_s:
                self._stopping.wait(wait_s)
        assert self._deadline_ns is not None
        while self._clock.now().mono_ns < self._deadline_ns and self.attempt() == 0.0:
            pass
