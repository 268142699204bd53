"""The thread that drains the book to one receiver, for ever, in order within each alert.

What the receiver's policy leaves out is passed by. Messages go as fast as its pace allows, pages first; when
only one more may go and several notices wait, they go as one digest, so that nothing waits for minutes and
nothing is dropped. A receiver that `gathers` is always told all at once. A digest that is refused for good is
told in halves (alerts.delivery.portion), down to the notice that it was refused for.

After a failure the thread waits, longer each time up to LONGEST_WAIT_S and never quite as long as before, so
that many senders do not come back at once. Notices that were tried less often go first: an alert whose notice
the receiver cannot digest, or stumbles over, holds nothing else up. What was told is not told again because
the book cannot be written: it is marked as soon as that can be.

A receiver that forgets is told again of what fires, and for a while of what ended: alerts.resending. That
goes on while notices wait that were put off.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from alerts.delivery.book import OUTCOMES, Book, Notice
from alerts.delivery.resending import Resending
from alerts.delivery.turns import Turns, Wanted, without
from alerts.event import rfc3339
from alerts.receivers.pace import Pace
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import Told
from linkgauge.clock import Clock
from linkgauge.errors import SinkBusy, SinkRejected, StoreError

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
AT_ONCE = 500
LONGEST_STOP_S = 15.0
"""How long a request under way is waited for at the end."""
Mark = Callable[[int], None]
"""Tells the book what became of notices, at the time in Unix ns. Raises StoreError."""


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
        self._resending = Resending(book, receiver, clock, AT_ONCE)
        self._pace = Pace(receiver.policy.max_per_minute)
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts-{receiver.name}", daemon=True)
        self._turns = Turns(receiver.policy, AT_ONCE)
        self._unmarked: list[tuple[list[int], Mark]] = []  # done, and the book does not know it yet
        self._failures = 0
        self._trouble: str | None = None
        self._partly: str | None = None
        self._trouble_since_ns = 0
        self._refused: str | None = None
        """Why the last notice was given up; None once one is taken again."""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something new in the book."""
        self._something.set()

    def halt(self) -> None:
        """Begin nothing new; so that many are asked to end before the first is waited for."""
        self._stopping.set()
        self._something.set()

    def stop(self) -> None:
        """Come to an end; what is not delivered stays in the book. Waits a while for a request under way:
        a far end that never ends its answer must not keep us here."""
        self.halt()
        if self._thread.is_alive():
            self._thread.join(LONGEST_STOP_S)
        if not self._thread.is_alive():
            self._receiver.close()

    def standing(self) -> dict[str, Any]:
        """JSON-like: name, kind, the book's `tally` (null when it cannot be read), trouble (null: none) and
        since when."""
        trouble = self._trouble or self._receiver.trouble or self._refused
        since_ns = self._trouble_since_ns
        counts: dict[str, int | None] = dict.fromkeys(OUTCOMES)
        try:
            counts.update(self._book.tally(self._receiver.name))
        except StoreError as err:
            trouble = str(err)
        return {
            "name": self._receiver.name,
            "kind": self._receiver.kind,
            **counts,
            "trouble": trouble,
            "trouble_since": rfc3339(since_ns) if trouble and since_ns else None,
        }

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._something.clear()
            try:
                wait_s = self._pass()
                news = True
            except (SinkBusy, StoreError) as err:
                wait_s, news = self._failed(err), False
            except Exception as err:  # noqa: BLE001 - pages must not end with a bug; its words may be secret
                where = "".join(traceback.format_tb(err.__traceback__))
                log.error("%s: a delivery failed (%s)\n%s", self._who, type(err).__name__, where)
                fault = f"{self._who}: a delivery failed ({type(err).__name__}); the log tells where"
                wait_s, news = self._failed(SinkBusy(fault)), True
            (self._something if news else self._stopping).wait(wait_s)

    def _pass(self) -> float | None:
        """Deliver what may be; returns seconds until there is something to do, None when nothing is known.

        Raises SinkBusy and StoreError.
        """
        while not self._stopping.is_set():
            fault = self._mark()
            waiting = self._waiting()
            if not waiting and fault is not None:
                raise fault
            if not waiting:
                return self._resend()
            if self._turns.put_off and self._resending.between():
                self._resend()
            waiting = self._turns.first(waiting)
            for _ in range(AT_ONCE):
                if not waiting or self._turns.changed or self._stopping.is_set():
                    break
                wait_s = self._pace.wait_s(self._now_ns())
                if wait_s > 0:
                    return wait_s
                chosen = self._turns.next(waiting, last=self._pace.free(self._now_ns()) < 2)
                self._tell(chosen)
                waiting = without(waiting, {notice.seq for notice, _ in chosen})
        return None

    def _waiting(self) -> Sequence[Wanted]:
        """All that is wanted and was not told: what was put off, however much, must not hide the rest."""
        told = {seq for seqs, _ in self._unmarked for seq in seqs}
        wanted: list[Wanted] = []
        after = 0
        while batch := self._book.waiting(self._receiver.name, AT_ONCE, after):
            after = batch[-1].seq
            wanted += self._wanted([notice for notice in batch if notice.seq not in told])
        self._turns.keep(wanted)
        return wanted

    def _wanted(self, notices: Sequence[Notice]) -> list[Wanted]:
        """Those that the receiver wants; the others are marked."""
        wanted, unwanted = [], []
        for notice in notices:
            try:
                told = Told.read(notice.body)
            except ValueError as err:
                self._give_up(notice, str(err))
                continue
            if self._receiver.policy.wants(told):
                wanted.append((notice, told))
            else:
                unwanted.append(notice.seq)
        if unwanted:
            self._unmarked.append((unwanted, lambda at_ns: self._book.passed_by(unwanted, at_ns)))
            self._mark()
        return wanted

    def _tell(self, chosen: Sequence[Wanted]) -> None:
        """One message; raises SinkBusy when it has to be tried again, and what a bug raises."""
        self._pace.took(self._now_ns())
        try:
            self._receiver.deliver([notice.body for notice, _ in chosen])
        except SinkRejected as err:
            if len(chosen) > 1:
                log.error("%s; these %d notices are told in smaller messages", err, len(chosen))
                self._turns.refused(chosen)
                return
            self._give_up(chosen[0][0], str(err))
        except Exception as err:
            self._turns.failed(chosen, stumbled=not isinstance(err, SinkBusy))
            raise
        else:
            self._took(chosen)
        self._failures = 0
        self._turns.done(chosen, taken=self._refused is None)

    def _took(self, chosen: Sequence[Wanted]) -> None:
        now_ns, seqs = self._clock.now().wall_ns, [notice.seq for notice, _ in chosen]
        again = chosen if self._resending.every_s is not None else ()
        stands = [self._resending.stands(*each, now_ns) for each in again]
        self._unmarked.append((seqs, lambda at_ns: self._book.delivered(seqs, at_ns, stands)))
        self._refused = None
        if self._mark() is None:
            self._say(None)

    def _mark(self) -> StoreError | None:
        """Tell the book what is done; returns why it cannot be."""
        try:
            while self._unmarked:
                self._unmarked[0][1](self._clock.now().wall_ns)
                del self._unmarked[0]
        except StoreError as err:
            return err
        return None

    def _give_up(self, notice: Notice, why: str) -> None:
        log.error("%s; alert %s was given up", why, notice.alert)
        now_ns = self._clock.now().wall_ns
        self._unmarked.append(([notice.seq], lambda at_ns: self._book.given_up(notice.seq, at_ns)))
        self._mark()
        if self._refused is None:
            self._trouble_since_ns = now_ns
        self._refused = f"{why}; alert {notice.alert} was given up"

    def _resend(self) -> float | None:
        """Tell again what stands, when it is time; returns seconds until it is time again."""
        if self._resending.every_s is None or (left_s := self._resending.left_s()) > 0:
            return None if self._resending.every_s is None else left_s
        some, refused = self._resending.tell()
        if some:
            self._say(refused)
            self._failures = 0
        return self._resending.every_s

    def _failed(self, err: SinkBusy | StoreError) -> float:
        self._failures += 1
        self._say(str(err))
        after_s = err.retry_after_s if isinstance(err, SinkBusy) else None
        return self._wait_s() if after_s is None else max(after_s, self._first_wait_s)

    def _wait_s(self) -> float:
        longest = min(LONGEST_WAIT_S, self._first_wait_s * 2.0 ** min(self._failures - 1, 30))
        return longest * (0.5 + 0.5 * self._chance())

    def _now_ns(self) -> int:
        return self._clock.now().mono_ns

    @property
    def _who(self) -> str:
        return f"{self._receiver.kind} {self._receiver.name}"

    def _say(self, trouble: str | None) -> None:
        """Each trouble once, and once that it is over."""
        if trouble is not None and trouble != self._trouble:
            log.warning("%s; alerts wait in the book and are tried again", trouble)
            if self._trouble is None:
                self._trouble_since_ns = self._clock.now().wall_ns
        elif trouble is None and self._trouble is not None:
            log.info("%s: alerts are delivered again", self._who)
        self._trouble = trouble
        partly = self._receiver.trouble if trouble is None else self._partly
        if partly is not None and partly != self._partly:
            log.warning("%s; the others were told", partly)
            self._trouble_since_ns = self._clock.now().wall_ns
        self._partly = partly
