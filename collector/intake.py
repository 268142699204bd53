"""The way of one batch from received octets to the journal; everything in it may block, nothing is async."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Container, Sequence
from typing import Protocol

from collector.admission import Admitted, Refusal, admit
from collector.event_line import event_line
from collector.metrics import Metrics
from linkgauge.clock import Clock
from linkgauge.errors import StoreError, WireError
from linkgauge.wire import Batch, decode, encode

log = logging.getLogger(__name__)
_GZIP = 16 + zlib.MAX_WBITS
RETRY_S = 10
_STATUS = {"too_large": 413, "version": 409}
Observer = Callable[[Batch, int], None]
"""Called with each newly journalled batch and when it was received, Unix ns."""


class Keeper(Protocol):
    """Where batches are kept: the journal."""

    def append(
        self, agent: str, boot: str, number: int, created_ns: int, received_ns: int, body: bytes
    ) -> bool: ...


class Intake:
    """Checks batches, journals them and shows them to the observers. Thread safe if its parts are."""

    def __init__(
        self,
        keeper: Keeper,
        links: Callable[[], Container[str]],
        clock: Clock,
        metrics: Metrics,
        observers: Sequence[Observer] = (),
        max_body_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._keeper, self._links, self._clock, self._metrics = keeper, links, clock, metrics
        self._observers = tuple(observers)
        self.max_body_bytes = max_body_bytes
        self.fault: str | None = None
        """The sentence of the journal's last failure; None since it last worked."""

    def accept(self, agent: str, encoding: str, data: bytes) -> bool:
        """Take what `agent` sent; returns after the commit. True: it was a second copy. Raises Refusal."""
        body = self._plain(encoding, data)
        try:
            batch = decode(body)
        except WireError as err:
            raise Refusal(err.reason, str(err), _STATUS.get(err.reason, 400)) from None
        received_ns = self._clock.now().wall_ns
        admitted = admit(batch, agent, self._links(), received_ns)
        if not admitted.whole:
            body = encode(admitted.batch)
        added = self._keep(admitted.batch, received_ns, body)
        if added:
            self._count(admitted)
            self._show(admitted.batch, received_ns)
        else:
            self._metrics.duplicate()
        return not added

    def keep_own(self, batch: Batch) -> None:
        """Journal what the collector itself reports; raises Refusal when the journal cannot."""
        self._keep(batch, self._clock.now().wall_ns, encode(batch))

    def _plain(self, encoding: str, data: bytes) -> bytes:
        if encoding in ("", "identity"):
            return data
        if encoding != "gzip":
            raise Refusal(
                "encoding", f"Content-Encoding {encoding[:40]!r} is not read; send gzip or none", 415
            )
        unpack = zlib.decompressobj(_GZIP)
        try:
            body = unpack.decompress(data, self.max_body_bytes + 1)
        except zlib.error as err:
            raise Refusal("malformed", f"the body is no gzip data ({err})", 400) from None
        if len(body) > self.max_body_bytes:
            raise Refusal("too_large", f"the batch unpacks to more than {self.max_body_bytes} octets", 413)
        if not unpack.eof:
            raise Refusal("truncated", "the gzip data end too soon; send the batch again", 400)
        return body

    def _keep(self, batch: Batch, received_ns: int, body: bytes) -> bool:
        try:
            added = self._keeper.append(
                batch.agent, batch.boot, batch.number, batch.created_ns, received_ns, body
            )
        except StoreError as err:
            if self.fault is None:
                log.error(event_line("journal_failed", error=err, effect="agents keep their batches"))
            self.fault = str(err)
            raise Refusal("store", str(err), 507) from None
        if self.fault is not None:
            log.info(event_line("journal_works_again"))
            self.fault = None
        return added

    def _count(self, admitted: Admitted) -> None:
        self._metrics.accepted(admitted.batch.rows)
        for reason, rows in (("unknown_link", admitted.unknown_link), ("too_old", admitted.too_old)):
            if rows:
                self._metrics.left_out(reason, rows)
                log.warning(event_line("rows_left_out", agent=admitted.batch.agent, reason=reason, rows=rows))

    def _show(self, batch: Batch, received_ns: int) -> None:
        """A fault in an observer must not make the agent send again what is safe already."""
        for observer in self._observers:
            try:
                observer(batch, received_ns)
            except Exception:
                self._metrics.fault("observer")
                log.exception(event_line("observer_failed", agent=batch.agent, number=batch.number))
