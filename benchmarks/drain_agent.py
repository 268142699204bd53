"""An agent that comes back after an outage: real outbox, real upload, a new window every ten seconds.

python -m benchmarks.drain_agent AGENT.YAML; run by benchmarks.drain. What waits in the outbox at its start is
the backlog; the file `drained` beside the settings is made when a collector has all of it. On SIGTERM it
hands over what waits and prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import numpy as np

from benchmarks.mesh import WINDOW_NS
from benchmarks.process import usage
from console.running import set_up_logs, stop_event
from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S, Clock, SystemClock, seconds
from linkgauge.frame import Frame
from linkgauge.packing import unpack
from linkgauge.wire import MAX_BODY_BYTES, Batch, decode, encode
from probes.settings import AgentSettings, load, read_token
from probes.upload.collector_client import CollectorClient
from probes.upload.http_transport import HttpTransport
from probes.upload.outbox import Outbox, Row
from probes.upload.token import Token
from probes.upload.transport import Transport
from probes.upload.upload import Uploader

LIVE = "live"
"""The boot of the windows reported while the backlog drains."""
FLUSH_S = 30.0


class Noting:
    """A transport that notes what became of each batch. backlog: batches of other boots still to be taken."""

    def __init__(self, transport: Transport, clock: Clock, backlog: int) -> None:
        self._transport, self._clock = transport, clock
        self.backlog = backlog
        self.drained = threading.Event()
        self.live_s: list[float] = []
        """From putting a live batch into the outbox to its acknowledgement."""
        self.took_s: list[float] = []
        self.not_taken = 0

    def send(self, row: Row, timeout_s: float) -> Answer:
        began_ns = self._clock.now().mono_ns
        answer = self._transport.send(row, timeout_s)
        now = self._clock.now()
        if answer.outcome is not Outcome.TAKEN:
            self.not_taken += 1
            return answer
        self.took_s.append((now.mono_ns - began_ns) / NS_PER_S)
        if row.boot == LIVE:
            self.live_s.append((now.wall_ns - row.created_ns) / NS_PER_S)
            return answer
        self.backlog -= 1
        if self.backlog == 0:
            self.drained.set()
        return answer

    def close(self) -> None:
        self._transport.close()


def run() -> None:
    """See above."""
    config = Path(sys.argv[1])
    set_up_logs()
    settings, clock, stop = load(config), SystemClock(), stop_event()
    bounds = settings.outbox
    path, keep_ns = settings.data_dir / "outbox.sqlite", seconds(bounds.keep_days * 86_400)
    outbox = Outbox(path, bounds.max_mb << 20, keep_ns, bounds.keep_free_mb << 20, clock)
    transport = HttpTransport(_client(settings), clock)
    noting = Noting(transport, clock, outbox.counts().waiting)
    uploader = Uploader(outbox, noting, clock, bounds.catch_up_per_s)
    (row,) = outbox.waiting(1)
    last = decode(unpack(row.body, MAX_BODY_BYTES))
    teller = threading.Thread(target=_tell, args=(noting.drained, config.with_name("drained")), daemon=True)
    teller.start()
    uploader.start()
    while not stop.is_set():
        now_ns = clock.now().wall_ns
        stop.wait((WINDOW_NS - now_ns % WINDOW_NS) / NS_PER_S)
        if not stop.is_set():
            _report(outbox, last, clock.now().wall_ns)
            uploader.wake()
    uploader.stop(FLUSH_S)
    counts = outbox.counts()
    json.dump(
        {
            "live_s": noting.live_s, "took_s": noting.took_s, "not_taken": noting.not_taken,
            "left": counts.waiting, "dropped": counts.dropped, **usage(),
        },
        sys.stdout,
    )  # fmt: skip
    outbox.close()


def _client(settings: AgentSettings) -> CollectorClient:
    return CollectorClient(settings.collectors, Token(lambda: read_token(settings), settings.token_file))


def _tell(drained: threading.Event, path: Path) -> None:
    drained.wait()
    path.touch()


def _report(outbox: Outbox, like: Batch, now_ns: int) -> None:
    """Put what `like` tells into the outbox as the window that has just ended."""
    start_ns = now_ns - now_ns % WINDOW_NS - WINDOW_NS
    frames = {name: _moved(frame, start_ns) for name, frame in like.frames.items()}
    rows = sum(frame.rows for frame in frames.values())

    def body(number: int) -> bytes:
        return encode(Batch(like.agent, LIVE, number, now_ns, frames))

    outbox.put(LIVE, body, rows, now_ns)


def _moved(frame: Frame, start_ns: int) -> Frame:
    starts = np.full(frame.rows, start_ns)
    return Frame(frame.table, {**frame.columns, "start_ns": starts}, frame.rows)


if __name__ == "__main__":
    run()
