"""What a whole agent costs: 200 links at 10 packets per second each, all windows and the outbox on.

`python -m benchmarks.agent [--quick]` prints one JSON document. It runs `linkgauge agent` with settings and a
data folder of its own; its plan comes from, and its batches go to, a small HTTP server in the same
namespace, which decodes them and counts. The far end is our reflector in C. Steady state: CPU between two
moments, after two windows. Once with STAMP alone, once with every probe of a plan at its usual interval.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import compiled, ours
from benchmarks.compiled import Floor
from benchmarks.machine import Goal, at_most, median, note, quick, show
from benchmarks.world import World, cpu_s, resident_mb, resident_peak_mb, running, world
from lab import namespace
from linkgauge.clock import NS_PER_S, seconds
from linkgauge.plan import Plan, PlanLink, encode_plan
from linkgauge.probing import Probing
from linkgauge.wire import decode

LINKS, RATE_PPS = 200, 10
WINDOW_NS = 10 * NS_PER_S
WARM_S = 15 if quick() else 35
SPAN_S = 10 if quick() else 30
SPANS = 1 if quick() else 2
HTTP_PORT, TCP_PORT = 8080, 8620


@dataclass(slots=True)
class Taken:
    """What the small collector got."""

    batches: int = 0
    octets: int = 0
    windows: int = 0
    sent: int = 0
    replied: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    with world() as where, compiled.floor() as programs:
        if programs is None:
            show("agent", where.setting, {}, [Goal("agent", "", None, None, compiled.NO_COMPILER)])
            return
        found = {}
        for name, plan in {
            "stamp": _plan(where, every=False),
            "every probe": _plan(where, every=True),
        }.items():
            note(name)
            found[name] = _measure(where, programs, plan)
        stamp = found["stamp"]["spans"]
        peaks = [span["resident_peak_mb"] for one in found.values() for span in one["spans"]]
        goals = [
            at_most("percent of a core", 3, median([span["percent_of_core"] for span in stamp])),
            at_most("resident MB at the peak, every probe", 90, max(peaks)),
        ]
        load = f"{LINKS} links x {RATE_PPS} per second, windows of {WINDOW_NS / NS_PER_S:g} s"
        show("agent", where.setting, {"load": load, "figures": found}, goals)


def _plan(where: World, *, every: bool) -> Plan:
    """STAMP alone, or every probe of a plan at its usual interval but throughput and TLS."""
    usual = Probing()
    assert usual.icmp is not None
    assert usual.tcp is not None
    assert usual.path is not None
    peers = where.targets(LINKS)
    job = ours.Job(
        where.sender, peers, compiled.PORT, NS_PER_S // RATE_PPS, WINDOW_NS, 0, "auto",
        timeout_ns=seconds(usual.stamp.timeout_s),
    )  # fmt: skip
    links = [PlanLink(f"a>b{at}@bench", where.sender, peer) for at, peer in enumerate(peers)]
    plan = msgspec.structs.replace(ours.plan_of(job), links=links, peers=peers, locals=[where.sender])
    if not every:
        return plan
    return msgspec.structs.replace(
        plan,
        icmp_interval_ns=seconds(usual.icmp.interval_s),
        icmp_timeout_ns=seconds(usual.icmp.timeout_s),
        tcp_interval_ns=seconds(usual.tcp.interval_s),
        tcp_timeout_ns=seconds(usual.tcp.timeout_s),
        tcp_port=TCP_PORT,
        path_interval_ns=seconds(usual.path.interval_s),
        path_flows=usual.path.flows,
        path_max_hops=usual.path.max_hops,
    )


def _measure(where: World, programs: Floor, plan: Plan) -> dict[str, Any]:
    taken = Taken()
    with (
        tempfile.TemporaryDirectory() as folder,
        compiled.reflector(programs, where),
        _collector(where, plan, taken),
        _tcp_peers(where),
    ):
        settings = Path(folder, "agent.yaml")
        settings.write_text(
            f"node: a\ncollectors: ['http://{where.sender}:{HTTP_PORT}']\ndata_dir: data\n", encoding="utf-8"
        )
        argv = [sys.executable, "-m", "console.main", "agent", "--config", str(settings)]
        with running(where.at_sender(argv), LINKGAUGE_TOKEN="benchmark") as process:  # noqa: S106 - no secret
            time.sleep(WARM_S)
            spans = [_span(process.pid, taken) for _ in range(SPANS)]
    return {"spans": spans, "batches": taken.batches, "octets": taken.octets}


def _span(pid: int, taken: Taken) -> dict[str, Any]:
    began, cpu, counts = time.monotonic(), cpu_s(pid), (taken.windows, taken.sent, taken.replied)
    time.sleep(SPAN_S)
    wall, cpu = time.monotonic() - began, cpu_s(pid) - cpu
    windows, sent, replied = (
        b - a for a, b in zip(counts, (taken.windows, taken.sent, taken.replied), strict=True)
    )
    return {
        "percent_of_core": round(100 * cpu / wall, 2),
        "resident_mb": round(resident_mb(pid), 1),
        "resident_peak_mb": round(resident_peak_mb(pid), 1),
        "seconds": round(wall, 1),
        "windows": windows,
        "stamp_sent": sent,
        "stamp_replied": replied,
    }


@contextlib.contextmanager
def _collector(where: World, plan: Plan, taken: Taken) -> Iterator[None]:
    """Gives the plan, takes batches."""
    body = encode_plan(plan)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body)

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/batches":
                _take(gzip.decompress(data), taken)
            self._answer(b"{}")

        def _answer(self, answer: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words: Any) -> None:
            """Nothing is said of a request."""

    server = http.server.ThreadingHTTPServer((where.sender, HTTP_PORT), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = _listen(where.sender_space, where.sender, HTTP_PORT)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _take(body: bytes, taken: Taken) -> None:
    window = decode(body).frames.get("window")
    with taken.lock:
        taken.batches += 1
        taken.octets += len(body)
        if window is None:
            return
        stamp = (window.text("probe") == "stamp") & (window.count("revision") == 0)
        taken.windows += int(stamp.sum())
        taken.sent += int(window.count("sent")[stamp].sum())
        taken.replied += int(window.count("replied")[stamp].sum())


@contextlib.contextmanager
def _tcp_peers(where: World) -> Iterator[None]:
    """Takes TCP connections at the far end and closes them."""
    listener = _listen(where.reflector_space, "", TCP_PORT)
    listener.settimeout(0.2)
    ended = threading.Event()

    def take() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                listener.accept()[0].close()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        listener.close()


def _listen(space: str | None, address: str, port: int) -> socket.socket:
    def make() -> socket.socket:
        return socket.create_server((address, port), backlog=512)

    return namespace.inside(space, make) if space else make()


if __name__ == "__main__":
    main()
