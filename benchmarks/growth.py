"""What a collector costs with 10^2 to 10^5 links: one JSON object on standard output.

Each size runs in a process of its own, with the collector as `linkgauge collector` builds it (judge, alerts,
journal, archive) and a full period in its memory. Agents report 100 links each: every window 100 packets of
STAMP, five each of ICMP and TCP for each link, flows once a minute, health. CPU-seconds are of the whole
process. The requests come over loopback from another process, at half the rate that was answered just before,
while windows are judged and archived. --quick: a short period, up to 10^4 links. --plot FILE: the figures as
SVG.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.growth_plot import draw
from benchmarks.mesh import LINKS, WINDOW_NS, Mesh
from collector.service import listen, make_server
from collector.settings import Settings
from console.collector import LARGE_BYTES, wire
from console.running import share_heaps
from linkgauge.clock import NS_PER_S, Instant, SystemClock, window_start
from linkgauge.packing import pack
from linkgauge.wire import encode

SIZES, QUICK_SIZES = (100, 1_000, 10_000, 100_000), (100, 1_000, 10_000)
PERIOD_S, QUICK_PERIOD_S = 900, 120
LOAD_S, QUICK_LOAD_S = 24, 6
JUDGED = 5
"""Windows over which judging is measured."""


class MovedClock:
    """The system's clock, set to another time; it stands until it is let go."""

    def __init__(self, wall_ns: int) -> None:
        self.wall_ns = wall_ns
        self._since: int | None = None
        self._system = SystemClock()

    def now(self) -> Instant:
        now = self._system.now()
        gone_ns = 0 if self._since is None else now.mono_ns - self._since
        return Instant(now.mono_ns, self.wall_ns + gone_ns)

    def go(self) -> None:
        self._since = self._system.now().mono_ns


def token(agent: int) -> str:
    """The token of an agent of the benchmark."""
    return f"growth-{agent}"


class Size:
    """One collector with so many links. `measure` once."""

    def __init__(self, folder: Path, links: int, quick: bool) -> None:
        self.wanted, self.quick, self.mesh = links, quick, Mesh(links)
        self.links = self.mesh.agents * LINKS
        Path("/proc/self/clear_refs").write_text("5")  # the peak until now was that of making the mesh
        self.period_s = QUICK_PERIOD_S if quick else PERIOD_S
        self.clock = MovedClock(window_start(SystemClock().now().wall_ns, WINDOW_NS) - 86_400 * NS_PER_S)
        self.settings = self._settings(folder)
        self.wired = wire(self.settings, self.clock)
        self.collector, self.engine, self.told = self.wired.collector, self.wired.engine, self.wired.told
        self.number = 0

    def _settings(self, folder: Path) -> Settings:
        inventory = self.mesh.inventory() + f"period_s: {self.period_s}\n"
        (folder / "inventory.yaml").write_text(inventory)
        hashes = {f"h{at}": hashlib.sha256(token(at).encode()).hexdigest() for at in range(self.mesh.agents)}
        reader = hashlib.sha256(b"growth-reader").hexdigest()
        tokens = folder / "tokens.yaml"
        agents = {name: [value] for name, value in hashes.items()}
        tokens.write_text(json.dumps({"agents": agents, "readers": {"r": [reader]}}))
        tokens.chmod(0o600)
        path = folder / "collector.yaml"
        path.write_text(
            "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\nlisten: 127.0.0.1:0\n"
            "limits: {requests_per_s: 10000, burst: 10000}\n"
        )
        return Settings.load(path)

    def measure(self) -> dict[str, Any]:
        found: dict[str, Any] = {"links": self.links, **self._stored()}
        windows = self.period_s * NS_PER_S // WINDOW_NS
        judging = [self._window(self._take) for _ in range(windows)][-JUDGED:]
        gc.collect()
        found["memory_mb"] = _resident_mb("VmRSS")
        accepting = self._accept_all()
        found |= {"accept_cpu_s": accepting, "judge_cpu_s": round(statistics.median(judging), 4)}
        found |= self._served()
        return found | {"peak_memory_mb": _resident_mb("VmHWM")}

    def _stored(self) -> dict[str, Any]:
        """One window all the way: octets in journal and archive, and the processor time of the archive."""
        journal, archive = self.collector.journal, self.settings.archive_path
        self._window(self._accept)
        octets = journal.octets
        pump = next(pump for pump in self.collector.pumps if pump.name == "archive")
        spent = _cpu_s(
            lambda: _until(lambda: pump.step(flush=True), lambda: not journal.backlog("archive")[0])
        )
        files = sum(path.stat().st_size for path in archive.rglob("*.parquet"))
        return {"journal_octets": octets, "archive_octets": files, "archive_cpu_s": round(spent, 3)}

    def _window(self, report: Callable[[int, int], None]) -> float:
        """All agents report a window, and it is judged; returns the CPU-seconds of judging."""
        self.number += 1
        start_ns = self.clock.wall_ns
        self.clock.wall_ns += WINDOW_NS + 4 * NS_PER_S
        report(self.number, start_ns)
        spent = _cpu_s(self.collector.judging.step)
        self.clock.wall_ns = start_ns + WINDOW_NS
        return spent

    def _take(self, number: int, start_ns: int) -> None:
        for batch in self.mesh.batches(number, start_ns):
            self.collector.live.take(batch, self.clock.wall_ns)

    def _accept(self, number: int, start_ns: int) -> None:
        for batch in self.mesh.batches(number, start_ns):
            self.collector.intake.accept(batch.agent, "zstd", pack(encode(batch)))

    def _accept_all(self) -> float:
        """CPU-seconds of accepting a window of all links, with flows."""
        spent = 0.0
        self.number += -self.number % 6
        start_ns = self.clock.wall_ns
        self.clock.wall_ns += WINDOW_NS
        for batch in self.mesh.batches(self.number, start_ns):
            body = pack(encode(batch))
            spent += _cpu_s(partial(self.collector.intake.accept, batch.agent, "zstd", body))
        return round(spent, 4)

    def _served(self) -> dict[str, Any]:
        """Answers of the real server: /v1/links, and batches at half the load that it can take."""
        collector = self.collector
        for pump in collector.pumps:  # what was judged so far is not to be archived just now
            journal = collector.journal
            journal.advance(pump.name, journal.cursor(pump.name) + journal.backlog(pump.name)[0])
        self.clock.go()
        collector.start()
        self.engine.start()
        socket, server = listen(self.settings), make_server(collector)
        thread = threading.Thread(target=server.run, args=([socket],))
        thread.start()
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        try:
            _until(lambda: time.sleep(0.05), lambda: server.started)
            return {**_links(url, self.links), **self._loaded(url)}
        finally:
            server.should_exit = True
            thread.join(30)
            collector.stop(1)
            self.engine.stop()
            self.told.close()

    def _loaded(self, url: str) -> dict[str, Any]:
        seconds = QUICK_LOAD_S if self.quick else LOAD_S
        asked = [url, str(self.wanted), str(seconds), str(self.clock.now().wall_ns)]
        command = [sys.executable, "-m", "benchmarks.growth_load", *asked]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds * 4 + 120, check=True)
        return dict(json.loads(done.stdout))


def _links(url: str, links: int) -> dict[str, float]:
    """Seconds for the first thousand links, and for all of them page by page."""
    head = {"Authorization": "Bearer growth-reader"}
    with httpx.Client(base_url=url, timeout=120, headers=head, trust_env=False) as client:
        began = time.perf_counter()
        client.get("/v1/links?limit=1000").raise_for_status()
        first_s, told, asked = time.perf_counter() - began, 0, "/v1/links"
        began = time.perf_counter()
        while asked:
            page = client.get(asked).raise_for_status()
            told, asked = told + len(page.json()), page.links.get("next", {}).get("url", "")
        assert told == links
        return {"links_1000_s": round(first_s, 4), "links_all_s": round(time.perf_counter() - began, 3)}


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _until(work: Callable[[], object], done: Callable[[], bool], within_s: float = 300) -> None:
    deadline_s = time.monotonic() + within_s
    while not done():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the benchmark waited {within_s:.0f} s in vain")
        work()


def _resident_mb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1_000)


def _one(links: int, quick: bool) -> None:
    share_heaps(LARGE_BYTES)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        json.dump(Size(Path(folder), links, quick).measure(), sys.stdout)


def main() -> None:
    """Measure every size; see the top of the file."""
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    if "--links" in arguments:
        _one(int(arguments[arguments.index("--links") + 1]), quick)
        return
    found = []
    for links in QUICK_SIZES if quick else SIZES:
        print(f"{links} links ...", file=sys.stderr)
        command = [sys.executable, "-m", "benchmarks.growth", "--links", str(links)]
        done = subprocess.run(
            command + ["--quick"] * quick, stdout=subprocess.PIPE, timeout=3_600, check=True
        )
        found.append(json.loads(done.stdout))
    head = {"links_per_agent": LINKS, "period_s": QUICK_PERIOD_S if quick else PERIOD_S}
    json.dump({**head, "sizes": found}, sys.stdout, indent=1)
    sys.stdout.write("\n")
    if "--plot" in arguments:
        Path(arguments[arguments.index("--plot") + 1]).write_text(draw(found), encoding="utf-8")


if __name__ == "__main__":
    main()
