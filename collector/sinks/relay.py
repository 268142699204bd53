"""The sink "peer": what agents brought here goes on to the other collector, as it stands in the journal.

Batches that the peer brought (via PEER) and those of a collector itself are not sent on, so nothing circles.
Those of one agent go one after the other: a corrected window must not come before the window.
The peer knows second copies by (agent, boot, number): the same batch may reach it from the agent as well.
One that the peer will never take, or whose agent its inventory does not have, becomes a dead letter here;
so does one at which the peer fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from urllib3.exceptions import HTTPError

from collector.health.own_report import AGENT
from collector.journal.batch_log import PEER
from collector.peer.peer_client import PeerClient
from collector.sinks.sink import BatchesRejected, Delivery
from linkgauge.answer import Answer, Outcome, judge
from linkgauge.errors import ConfigError, SinkBusy, SinkHeld
from linkgauge.packing import encoding_of
from linkgauge.wire import CONTENT_TYPE

THREADS = 3
"""Batches on the way at once, each of another agent: they share a commit of the peer's journal, which takes
four of a holder."""
LATER_S = 30.0
"""The peer's clock is behind: the same batch is taken once it is not."""
FAILED_ALONE = 3
"""A batch that failed so often in a row, while the peer takes others, becomes a dead letter."""
_FULL = ("busy", "rate", "store")
"""The peer takes nothing of anybody just now."""
_NEVER = ("wrong_agent", "wrong_table", "unknown_agent")


class Relay:
    """A collector.sinks.sink.Sink. It wants no table: bodies go as they are."""

    name = "peer"
    tables: frozenset[str] = frozenset()

    def __init__(self, client: PeerClient) -> None:
        self._client = client
        self._senders = ThreadPoolExecutor(THREADS, thread_name_prefix="relay")
        self._taken: set[int] = set()
        self._given_up: dict[int, str] = {}
        self._last: Delivery | None = None  # that the peer took
        self._failing = (0, 0)  # the first of those that wait, and how often in a row it failed

    def write(self, entries: Sequence[Delivery]) -> None:
        """Raises SinkBusy, SinkHeld, or BatchesRejected (the others are there)."""
        ours = [
            each for each in entries if each.via != PEER and each.agent != AGENT and each.is_for(self.name)
        ]
        left = [each for each in ours if each.seq not in self._taken and each.seq not in self._given_up]
        refused = self._send_all(left) if left else []
        refused += [(each, self._given_up[each.seq]) for each in ours if each.seq in self._given_up]
        self._taken.clear()
        self._given_up.clear()
        if refused:
            raise BatchesRejected(refused)

    def close(self) -> None:
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _send_all(self, left: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        """Send them; returns what the peer will never take."""
        first = self._send(left[0])  # is there anybody at all?
        if self._is_at_fault(left[0], first):
            self._given_up[left[0].seq] = first.sentence
            return self._send_all(left[1:]) if left[1:] else []
        self._refuse(first)
        by_agent: dict[str, list[Delivery]] = {}
        for each in left[1:]:
            by_agent.setdefault(each.agent, []).append(each)
        told = self._senders.map(self._send_in_order, by_agent.values())
        return self._settle([(left[0], first), *chain.from_iterable(told)])

    def _is_at_fault(self, batch: Delivery, answer: Answer) -> bool:
        """Whether it is this batch that makes the peer fail: again and again, while the peer works."""
        if answer.outcome is not Outcome.AGAIN or answer.reason in _FULL:
            self._failing = (0, 0)
            return False
        seq, times = self._failing
        self._failing = batch.seq, times + 1 if seq == batch.seq else 1
        if self._failing[1] < FAILED_ALONE or self._last is None:
            return False
        return self._send(self._last).outcome is Outcome.TAKEN  # a second copy

    def _send_in_order(self, batches: Sequence[Delivery]) -> list[tuple[Delivery, Answer]]:
        """Send batches of one agent until one must wait."""
        told = []
        for each in batches:
            told.append((each, self._send(each)))
            if not _settled(told[-1][1]):
                break
        return told

    def _settle(self, told: Sequence[tuple[Delivery, Answer]]) -> list[tuple[Delivery, str]]:
        """Remember what the peer has, in case the rest must go again; returns what it will never take."""
        taken = [each for each, answer in told if answer.outcome is Outcome.TAKEN]
        self._taken.update(each.seq for each in taken)
        self._last = taken[-1] if taken else self._last
        for _, answer in told:
            self._refuse(answer)
        return [(each, answer.sentence) for each, answer in told if _never(answer)]

    def _refuse(self, answer: Answer) -> None:
        """Raise what this answer means for the sink as a whole."""
        if _settled(answer):
            return
        sentence = f"{self._client.url}: {answer.sentence}"
        if answer.reason == "version":
            raise SinkHeld(f"{sentence}; give both collectors the same version")
        if answer.outcome is Outcome.HELD:
            raise SinkHeld(f"{sentence}; mend the token with `linkgauge token --peer` on that collector")
        later_s = LATER_S if answer.outcome is Outcome.DEFERRED else answer.retry_after_s
        raise SinkBusy(sentence, later_s or None)

    def _send(self, delivery: Delivery) -> Answer:
        headers = {"Content-Type": CONTENT_TYPE, "Content-Encoding": encoding_of(delivery.body)}
        try:
            return judge(*self._client.request("POST", "/v1/batches", delivery.body, headers))
        except HTTPError as err:
            return Answer(Outcome.AGAIN, f"the peer does not answer ({err})")
        except ConfigError as err:
            return Answer(Outcome.HELD, str(err))


def _settled(answer: Answer) -> bool:
    return answer.outcome is Outcome.TAKEN or _never(answer)


def _never(answer: Answer) -> bool:
    return answer.outcome is Outcome.REFUSED or answer.reason in _NEVER
