"""A stream in memory that takes batches as a collector does: what a clustered stream must keep to."""

from __future__ import annotations

from collector.admission import Refusal, admit
from linkgauge.answer import Answer, Outcome
from linkgauge.clock import SystemClock
from linkgauge.errors import WireError
from linkgauge.packing import unpack
from linkgauge.wire import MAX_BODY_BYTES, decode
from probes.upload.outbox import Row


class MemoryStream:
    """A transport of `agent` and its other side at once."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._kept: dict[tuple[str, str, int], bytes] = {}
        self._gone = self._strange = self._full = False

    @property
    def transport(self) -> MemoryStream:
        return self

    def send(self, row: Row, timeout_s: float) -> Answer:
        if self._gone or self._full:
            return Answer(Outcome.AGAIN, "nobody is there" if self._gone else "no room")
        if self._strange:
            return Answer(Outcome.HELD, "this token is nobody's")
        try:
            batch = decode(unpack(row.body, MAX_BODY_BYTES))
            admit(batch, self._agent, frozenset(), SystemClock().now().wall_ns)
        except WireError as err:
            return Answer(Outcome.REFUSED, str(err))
        except Refusal as err:
            return Answer(Outcome.DEFERRED, str(err))
        self._kept.setdefault((batch.agent, batch.boot, batch.number), row.body)
        return Answer(Outcome.TAKEN)

    def close(self) -> None:
        """Nothing is open."""

    def journalled(self) -> list[tuple[str, str, int]]:
        return list(self._kept)

    def away(self, gone: bool) -> None:
        self._gone = gone

    def strange(self, token: bool) -> None:
        self._strange = token

    def full(self, disk: bool) -> None:
        self._full = disk
