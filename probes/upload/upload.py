"""From the outbox to the collector, and out of the outbox only when the collector has it.

The order: batches of the last LIVE_S first, oldest of them first; then the backlog, oldest first, one batch
at a time and at most `catch_up_per_s` in a second, so that what is live never waits for what is old. A batch
that only a clock or a name keeps from being taken (DEFERRED) is put off and others go on; so is
one that failed again and again while others were taken. One that will never be taken becomes a dead letter.
When nobody takes anything, everything waits 0.5 to 30 s, jittered, or what the transport says, and the agent
keeps measuring.

What was taken is settled in the outbox within SETTLE_S. An agent that dies before sends those batches again;
the collector knows them.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S, Clock, seconds
from linkgauge.errors import StoreError
from probes.notice import Notice
from probes.upload.collector_client import TIMEOUT_S
from probes.upload.outbox import Counts, Row
from probes.upload.pace import Pace
from probes.upload.put_off import PutOff
from probes.upload.route import backoff_s
from probes.upload.transport import Transport

CATCH_UP_PER_S = 50.0
LIVE_S = 30.0
"""Three windows: what is younger goes before the backlog."""
SETTLE_S, SETTLE_AT_ONCE = 0.5, 64
FAILED_ALONE = 3
"""A batch that failed so often, while others were taken each time in between, is put off."""
_FAILED_KEPT = 64
_IDLE_S = 5.0
_STORE_S = 5.0
_log = logging.getLogger(__name__)


class Store(Protocol):
    """The outbox, as far as it is needed here; methods raise StoreError."""

    @property
    def path(self) -> Path: ...

    def waiting(
        self,
        limit: int,
        from_ns: int | None = None,
        before_ns: int | None = None,
        skip: frozenset[int] = frozenset(),
    ) -> list[Row]: ...

    def done(self, seqs: Sequence[int]) -> None: ...

    def reject(self, seq: int, sentence: str) -> None: ...

    def counts(self) -> Counts: ...


@dataclass(frozen=True, slots=True)
class Uploads:
    """failed: requests that nobody took, since the start. deferred: batches put off now. address: in use."""

    failed: int = 0
    deferred: int = 0
    address: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait, s; `for_work`: a new batch ends it. Idle: nothing can be sent now."""

    s: float = 0.0
    for_work: bool = False


class Uploader:
    """Sends what waits in `outbox` by `transport`, in a thread of its own between `start` and `stop`.

    jitter: a number in 0..1 each time, spreads the retries of many agents.
    """

    def __init__(
        self,
        outbox: Store,
        transport: Transport,
        clock: Clock,
        catch_up_per_s: float = CATCH_UP_PER_S,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._transport, self._clock, self._jitter = outbox, transport, clock, jitter
        self._collector, self._store, self._batch = Notice(_log), Notice(_log), Notice(_log)
        self._pace, self._put_off = Pace(catch_up_per_s), PutOff()
        self._taken: list[int] = []
        self._taken_since_ns = 0
        self._takes = self._failures = 0
        self._alone: dict[int, tuple[int, int]] = {}
        self._failed = self._address = 0
        self._work, self._stopping, self._never = threading.Event(), threading.Event(), threading.Event()
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
        self._deadline_ns = self._clock.now().mono_ns + seconds(flush_s)
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._thread.join(flush_s + 1)
        if not self._thread.is_alive():
            self._transport.close()
        return self._outbox.counts().waiting == 0

    @property
    def uploads(self) -> Uploads:
        """How the sending goes, for the agent's health."""
        return Uploads(self._failed, len(self._put_off), self._address)

    def attempt(self) -> Pause:
        """Send the next batch that may go. Returns the wait before the next attempt."""
        now = self._clock.now()
        try:
            row = self._next(now.mono_ns, now.wall_ns)
            if row is None:
                pause = Pause(self._pace.wait_s(now.mono_ns) or _IDLE_S, for_work=True)
            else:
                pause = self._send(row)
            self._settle(at_once=pause.s > SETTLE_S)
        except StoreError as err:
            self._store.trouble("store", str(err))
            return Pause(_STORE_S)
        self._store.over(f"{self._outbox.path}: the outbox can be used again")
        return pause

    def _next(self, mono_ns: int, wall_ns: int) -> Row | None:
        skip = self._put_off.skip(mono_ns).union(self._taken)
        live_ns = wall_ns - seconds(LIVE_S)
        rows = self._outbox.waiting(1, from_ns=live_ns, skip=skip)
        if not rows and self._pace.wait_s(mono_ns) == 0:
            rows = self._outbox.waiting(1, before_ns=live_ns, skip=skip)
            if rows:
                self._pace.take(mono_ns)
        return rows[0] if rows else None

    def _send(self, row: Row) -> Pause:
        answer = self._transport.send(row, self._timeout_s())
        self._address = answer.address
        if answer.outcome is Outcome.TAKEN:
            return self._took(row)
        if answer.outcome is Outcome.REFUSED:
            return self._refused(row, answer.sentence)
        if answer.outcome is Outcome.DEFERRED:
            self._failures = 0
            return self._deferred(row, answer.sentence)
        return self._nobody_took(row, answer)

    def _took(self, row: Row) -> Pause:
        if not self._taken:
            self._taken_since_ns = self._clock.now().mono_ns
        self._taken.append(row.seq)
        self._takes += 1
        self._settled(row)
        self._collector.over("the collector takes batches again")
        return Pause()

    def _refused(self, row: Row, sentence: str) -> Pause:
        self._outbox.reject(row.seq, sentence)
        _log.warning(
            "batch %s/%d was refused for good by %s; it is kept as a dead letter in %s",
            row.boot, row.number, sentence, self._outbox.path,
        )  # fmt: skip
        self._settled(row)
        return Pause()

    def _settled(self, row: Row) -> None:
        self._failures = 0
        self._alone.pop(row.seq, None)
        self._put_off.forget(row.seq)
        if not self._put_off:
            self._batch.over("no batch is put off any more")

    def _deferred(self, row: Row, sentence: str) -> Pause:
        self._put_off.add(row.seq, self._clock.now().mono_ns)
        self._alone.pop(row.seq, None)
        self._batch.trouble(
            "deferred",
            f"batch {row.boot}/{row.number} is not taken now by {sentence}; it is kept and tried again "
            "within 10 min, others go on; mend what it says (a clock, the node's name)",
        )
        return Pause()

    def _nobody_took(self, row: Row, answer: Answer) -> Pause:
        self._failed += 1
        self._failures += 1
        waiting = self._outbox.counts().waiting
        if answer.outcome is Outcome.HELD:
            self._collector.trouble(
                "held",
                f"{answer.sentence}; {waiting} batches are kept until somebody mends that; a token that "
                "`linkgauge token` makes is read from the token file without a restart",
            )
        else:
            self._collector.trouble("away", f"{answer.sentence}; keeps measuring, {waiting} batches wait")
            if self._fails_alone(row.seq):
                self._deferred(row, answer.sentence)
        return Pause(answer.retry_after_s or backoff_s(self._failures, self._jitter()))

    def _fails_alone(self, seq: int) -> bool:
        """Whether it is this batch that makes the collector fail: others are taken in between."""
        times, takes = self._alone.pop(seq, (0, self._takes))
        self._alone[seq] = times + (self._takes > takes), self._takes
        for old in list(self._alone)[:-_FAILED_KEPT]:
            del self._alone[old]
        return self._alone[seq][0] >= FAILED_ALONE

    def _settle(self, at_once: bool) -> None:
        """Tell the outbox what was taken: many in one transaction, none late."""
        if not self._taken:
            return
        waited_ns = self._clock.now().mono_ns - self._taken_since_ns
        if at_once or len(self._taken) >= SETTLE_AT_ONCE or waited_ns >= seconds(SETTLE_S):
            self._outbox.done(self._taken)
            self._taken = []

    def _timeout_s(self) -> float:
        if self._deadline_ns is None:
            return TIMEOUT_S
        return min(TIMEOUT_S, max(0.1, self._left_s()))

    def _left_s(self) -> float:
        return ((self._deadline_ns or 0) - self._clock.now().mono_ns) / NS_PER_S

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._work.clear()
            pause = self.attempt()
            if pause.for_work:
                self._work.wait(pause.s)
            elif pause.s:
                self._stopping.wait(pause.s)
        self._flush()

    def _flush(self) -> None:
        """What can still go within the deadline."""
        while self._left_s() > 0:
            pause = self.attempt()
            idle = pause.for_work and pause.s >= _IDLE_S
            if idle or pause.s > self._left_s():
                break
            self._never.wait(pause.s)
        try:
            self._settle(at_once=True)
        except StoreError as err:
            self._store.trouble("store", str(err))
