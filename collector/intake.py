"""The way of one batch from received octets to the journal; everything in it may block, nothing is async."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from typing import Protocol

from collector.admission import Admitted, Refusal, admit
from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.journal.batch_log import PEER
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError, WireError
from linkgauge.packing import pack, unpack
from linkgauge.wire import Batch, decode, encode

log = logging.getLogger(__name__)
ENCODINGS = ("zstd", "gzip", "identity", "")
"""Values of Content-Encoding that are taken; what is in the body is told by the body."""
RETRY_S = 10
PATIENCE_NS = 300 * NS_PER_S
"""So old must a peer's batch be before a node that the inventory lacks is taken for gone, not for new."""
_STATUS = {"too_large": 413, "version": 409}
Observer = Callable[[Batch, int], None]
"""Called with each newly journalled batch and when it was received, Unix ns."""


class Keeper(Protocol):
    """Where batches are kept: the journal."""

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool: ...


class Intake:
    """Checks batches, journals them and shows them to the observers. Thread safe if its parts are.

    links, nodes: what is in the inventory in force; of these nodes a peer may bring batches.
    """

    def __init__(
        self,
        keeper: Keeper,
        links: Callable[[], Container[str]],
        clock: Clock,
        metrics: Metrics,
        observers: Sequence[Observer] = (),
        max_body_bytes: int = 16 * 1024 * 1024,
        nodes: Callable[[], Container[str]] = frozenset,
    ) -> None:
        self._nodes = nodes
        self._keeper, self._links, self._clock, self._metrics = keeper, links, clock, metrics
        self._observers = tuple(observers)
        self.max_body_bytes = max_body_bytes
        self.fault: str | None = None
        """The sentence of the journal's last failure; None since it last worked."""

    def accept(self, sender: str, encoding: str, data: bytes, via: str = "") -> bool:
        """Take what `sender` sent; returns after the commit. True: it was a second copy. Raises Refusal.

        via: empty when `sender` is an agent, which may send only its own; PEER when it is another collector.
        """
        try:
            batch = decode(self._unpacked(encoding, data))
        except WireError as err:
            raise Refusal(err.reason, str(err), _STATUS.get(err.reason, 400)) from None
        received_ns = self._clock.now().wall_ns
        agent = self._brought(batch, sender, received_ns) if via == PEER else sender
        # what a peer took by its inventory is kept: two get a new one one after the other
        admitted = admit(batch, agent, None if via == PEER else self._links(), received_ns)
        body = data if admitted.whole else pack(encode(admitted.batch))
        added = self._keep(admitted.batch, received_ns, body, via)
        if added:
            self._count(admitted)
            self._show(admitted.batch, received_ns)
        else:
            self._metrics.duplicate()
        return not added

    def keep_own(self, batch: Batch) -> None:
        """Journal what the collector itself reports; raises Refusal when the journal cannot."""
        self._keep(batch, self._clock.now().wall_ns, pack(encode(batch)))

    def _unpacked(self, encoding: str, data: bytes) -> bytes:
        if encoding not in ENCODINGS:
            read = ", ".join(filter(None, ENCODINGS))
            raise Refusal("encoding", f"Content-Encoding {encoding[:40]!r} is not read; send {read}", 415)
        return unpack(data, self.max_body_bytes)

    def _brought(self, batch: Batch, peer: str, now_ns: int) -> str:
        """The agent of a batch that a peer brings; raises Refusal when the inventory does not have it."""
        if batch.agent not in self._nodes():
            if now_ns - batch.created_ns < PATIENCE_NS:
                raise Refusal(
                    "inventory",
                    f"{batch.agent[:80]!r} is not in the inventory here yet; give both collectors the same",
                    409,
                )
            raise Refusal(
                "unknown_agent",
                f"{peer} brings a batch of {batch.agent[:80]!r}, which is not in the inventory here;"
                " give both collectors the same inventory",
                403,
            )
        return batch.agent

    def _keep(self, batch: Batch, received_ns: int, body: bytes, via: str = "") -> bool:
        try:
            added = self._keeper.append(
                batch.agent, batch.boot, batch.number, batch.created_ns, received_ns, body, via
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
