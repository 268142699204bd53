"""Agents that bring batches to a collector over HTTP.

python -m benchmarks.growth_load URL LINKS SECONDS NOW_NS prints one JSON object; run by benchmarks.growth.
First as many requests as are answered, for a quarter of the time, over CLOSED connections; then half as many
a second, by chance, each sent when it is due, whether the ones before were answered or not. A request's time
counts from when it was due.
"""

from __future__ import annotations

import http.client
import json
import queue
import random
import sys
import threading
import time
from urllib.parse import urlsplit

import numpy as np

from benchmarks.mesh import WINDOW_NS, Mesh
from linkgauge.packing import pack
from linkgauge.wire import CONTENT_TYPE, Batch, encode

CLOSED, SENDERS = 4, 32
MOST_A_SECOND = 500
Due = tuple[float, int, bytes]
"""When, of which agent, what."""


def run() -> None:
    """See above."""
    url, links, seconds, now_ns = sys.argv[1:]
    span_s = float(seconds)
    bodies = _bodies(Mesh(int(links)), int(now_ns), int(MOST_A_SECOND * span_s / 2))
    began = time.perf_counter()
    closed = Load(url, CLOSED)
    while time.perf_counter() < began + span_s / 4 and bodies:
        closed.work.put((time.perf_counter(), *bodies.pop()))
    closed.end()
    rate = len(closed.took_s) / (time.perf_counter() - began)
    half, chance = Load(url, SENDERS), random.Random(1)
    due_s = end_s = time.perf_counter()
    end_s += span_s
    while due_s < end_s and bodies:
        due_s += chance.expovariate(rate / 2)
        time.sleep(max(0.0, due_s - time.perf_counter()))
        half.work.put((due_s, *bodies.pop()))
    half.end()
    told: dict[str, float] = {"requests": len(half.took_s), "requests_refused": closed.refused + half.refused}
    told["requests_per_s"] = round(rate, 1)
    for name, quantile in (("p50", 0.5), ("p99", 0.99)):
        told[f"request_{name}_ms"] = round(float(np.quantile(half.took_s, quantile)) * 1_000, 1)
    json.dump(told, sys.stdout)


class Load:
    """So many connections, each with a thread that sends what is in `work`; `end` waits for all answers."""

    def __init__(self, url: str, connections: int) -> None:
        self.work: queue.Queue[Due | None] = queue.Queue(connections if connections == CLOSED else 0)
        self.took_s: list[float] = []
        self.refused = 0
        self._address = urlsplit(url)
        self._threads = [threading.Thread(target=self._send) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        for _ in self._threads:
            self.work.put(None)
        for thread in self._threads:
            thread.join(120)

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        while (due := self.work.get()) is not None:
            due_s, agent, body = due
            head = {"Content-Type": CONTENT_TYPE, "Content-Encoding": "zstd"}
            head["Authorization"] = f"Bearer growth-{agent}"
            connection.request("POST", "/v1/batches", body, head)
            answer = connection.getresponse()
            answer.read()
            self.took_s.append(time.perf_counter() - due_s)
            self.refused += answer.status != 200
        connection.close()


def _bodies(mesh: Mesh, now_ns: int, count: int) -> list[tuple[int, bytes]]:
    """Batches of the window before now, agent after agent, and round again under other numbers."""
    start_ns, made = now_ns - now_ns % WINDOW_NS - WINDOW_NS, list[tuple[int, bytes]]()
    number = 1_000_000
    while len(made) < count:
        number += 6
        for batch in mesh.batches(number, start_ns):
            own = Batch(batch.agent, "load", batch.number, now_ns, batch.frames)
            made.append((int(batch.agent[1:]), pack(encode(own))))
            if len(made) == count:
                break
    return made


if __name__ == "__main__":
    run()
