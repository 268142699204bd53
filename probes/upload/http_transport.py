"""Batches over HTTP(S) to the collectors of a route; what each answer means stands in linkgauge.answer.

An address that does not answer, answers nonsense, or takes nothing just now (AGAIN) or refuses the token
(HELD) costs no time: the next one is asked at once. An answer about the batch itself (TAKEN, DEFERRED,
REFUSED) is final. A refused token is read again and tried once more before it counts as refused.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace

from urllib3.exceptions import HTTPError

from linkgauge.answer import LONGEST_ANSWER, Answer, Outcome, judge
from linkgauge.clock import NS_PER_S, Clock, seconds
from linkgauge.packing import encoding_of
from linkgauge.wire import CONTENT_TYPE
from probes.upload.collector_client import CollectorClient, why
from probes.upload.outbox import Row
from probes.upload.route import Route

PATH = "/v1/batches"
HELD_S = 30.0
"""An address that refused the token is left alone so long."""
_TRIAL_S, _ELSE_S = 3.0, 5.0
"""Time for one that failed when it was asked last, and for any, while another can be asked instead: a live
batch must not wait for them."""
_LEAST_S = 0.05
_log = logging.getLogger(__name__)


class HttpTransport:
    """A probes.upload.transport.Transport.

    jitter: a number in 0..1 each time, spreads the retries of many agents.
    """

    def __init__(
        self, client: CollectorClient, clock: Clock, jitter: Callable[[], float] = random.random
    ) -> None:
        self._client, self._clock, self._jitter = client, clock, jitter
        self._route = Route(len(client.urls))

    def send(self, row: Row, timeout_s: float) -> Answer:
        until_ns = self._now_ns() + seconds(timeout_s)
        order, failed = self._route.order(self._now_ns()), list[Answer]()
        for place, at in enumerate(order):
            left_s = (until_ns - self._now_ns()) / NS_PER_S
            if failed and left_s <= _LEAST_S:
                break
            if place + 1 < len(order):
                left_s = min(left_s, _TRIAL_S if self._route.on_trial(at) else _ELSE_S)
            answer = self._ask(at, row, max(left_s, _LEAST_S))
            if answer.outcome not in (Outcome.AGAIN, Outcome.HELD):
                self._use(at, failed)
                return answer
            least_s = HELD_S if answer.outcome is Outcome.HELD else answer.retry_after_s
            self._route.failed(at, self._now_ns(), self._jitter(), least_s)
            failed.append(answer)
        return self._none_took(failed)

    def close(self) -> None:
        self._client.close()

    def _use(self, at: int, failed: list[Answer]) -> None:
        if at != self._route.address:
            why_not = f" ({'; '.join(answer.sentence for answer in failed)})" if failed else ""
            _log.warning("%s: batches go to this collector from now on%s", self._client.urls[at], why_not)
        self._route.answered(at)

    def _none_took(self, failed: list[Answer]) -> Answer:
        """What is told of several: a refused token before all, because somebody has to act."""
        told = [answer for answer in failed if answer.outcome is Outcome.HELD] or failed
        first = (
            told[0]
            if told
            else Answer(Outcome.AGAIN, "no collector answered lately", 0.0, self._route.address)
        )
        return replace(first, retry_after_s=self._route.wait_s(self._now_ns()))

    def _ask(self, at: int, row: Row, timeout_s: float) -> Answer:
        answer = self._post(at, row, timeout_s)
        if answer.outcome is Outcome.HELD and self._client.renew_token():
            answer = self._post(at, row, timeout_s)
        told = f"{self._client.urls[at]}: {answer.sentence}" if answer.sentence else ""
        return replace(answer, address=at, sentence=told)

    def _post(self, at: int, row: Row, timeout_s: float) -> Answer:
        headers = {"Content-Type": CONTENT_TYPE, "Content-Encoding": encoding_of(row.body)}
        try:
            reply = self._client.post(at, PATH, row.body, headers, LONGEST_ANSWER, timeout_s)
        except HTTPError as err:
            return Answer(Outcome.AGAIN, f"unreachable ({why(err)})")
        return judge(reply.status, reply.headers, reply.body)

    def _now_ns(self) -> int:
        return self._clock.now().mono_ns
