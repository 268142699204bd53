"""10 000 agents that come back at the same moment: each is heard once, and the collector stays small."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from collector.sinks.archive_reader import ArchiveReader
from console.demo.processes import Child, end, linkgauge, start
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.packing import pack
from probes.upload.route import backoff_s
from tests.collector.world import body, until, windows
from tests.ports import own_port

AGENTS = 10_000
LONGEST_WAIT_S = 15.0
"""Clients believe Retry-After up to so long, to keep the test short."""
MOST_MB = 700


@pytest.fixture
def files_allowed() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * AGENTS:
        pytest.skip(f"needs {2 * AGENTS} open files, {hard} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * AGENTS, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _token(at: int) -> str:
    return f"token-{at:05d}"


def _write_settings(folder: Path, port: int) -> Path:
    nodes = [
        {"name": f"n{at}", "site": "s", "addresses": {"net": f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}"}}
        for at in range(1, AGENTS + 1)
    ]
    links = [{"link": f"n{at}>n{at % AGENTS + 1}@net"} for at in range(1, AGENTS + 1)]
    inventory = {
        "version": 1, "sites": [{"name": "s", "region": "r", "operator": "o"}],
        "nodes": nodes, "links": links, "networks": [{"name": "net", "kind": "backbone", "mesh": "listed"}],
        "probing": {"throughput": None},
    }  # fmt: skip
    (folder / "inventory.yaml").write_text(json.dumps(inventory))  # JSON is YAML, and quick to write
    hashes = {f"n{at}": [hashlib.sha256(_token(at).encode()).hexdigest()] for at in range(1, AGENTS + 1)}
    tokens = folder / "tokens.yaml"
    tokens.touch(0o600)
    tokens.write_text(json.dumps({"agents": hashes}))
    settings = {
        "inventory": "inventory.yaml", "tokens": "tokens.yaml", "data_dir": "data",
        "listen": f"127.0.0.1:{port}", "archive": {"flush_s": 2},
    }  # fmt: skip
    (folder / "collector.yaml").write_text(yaml.safe_dump(settings))
    return folder / "collector.yaml"


async def _report(port: int, at: int, start_ns: int, gate: asyncio.Event, told: Counter[str]) -> None:
    """One agent: connects when all are there, sends its batch until it is taken, and waits as agents do."""
    data = pack(body(f"n{at}", 1, windows([f"n{at}>n{at % AGENTS + 1}@net"], start_ns), created_ns=start_ns))
    head = (
        f"POST /v1/batches HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer {_token(at)}\r\n"
        f"Content-Encoding: zstd\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    await gate.wait()
    for failures in range(1, 100):
        status, after_s = await _ask(port, head.encode() + data)
        told[status] += 1
        if status == "200":
            return
        told_s = after_s * random.uniform(1, 1.25)
        await asyncio.sleep(min(told_s or backoff_s(failures, random.random()), LONGEST_WAIT_S))
    raise AssertionError(f"n{at} was never heard: {told}")


async def _ask(port: int, request: bytes) -> tuple[str, float]:
    """Status and Retry-After, s; 0 when none was told."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            reply = (await asyncio.wait_for(reader.read(), 30)).decode()
        finally:
            writer.close()
    except (OSError, TimeoutError) as err:
        return type(err).__name__, 0.0
    lines = reply.lower().split("\r\n")
    after = [float(line.split(":")[1]) for line in lines if line.startswith("retry-after:")]
    return reply[9:12] or "no reply", after[0] if after else 0.0


async def _crowd(port: int, start_ns: int) -> Counter[str]:
    gate, told = asyncio.Event(), Counter[str]()
    agents = [asyncio.create_task(_report(port, at, start_ns, gate, told)) for at in range(1, AGENTS + 1)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*agents)
    return told


def _resident_mb(collector: Child) -> int:
    assert collector.process.poll() is None, collector.last_words()
    pages = Path(f"/proc/{collector.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() >> 20


def test_ten_thousand_agents_at_once(tmp_path: Path, files_allowed: None) -> None:
    port = own_port()
    config = _write_settings(tmp_path, port)
    log = tmp_path / "collector.log"
    collector = start("collector", linkgauge("collector", "--config", str(config)), log)
    try:
        until(lambda: "collector_started" in log.read_text() and _resident_mb(collector) > 0, 180)
        start_ns = window_start(SystemClock().now().wall_ns, 10 * NS_PER_S) - 10 * NS_PER_S
        told = asyncio.run(_crowd(port, start_ns))
        print(dict(told), f"{_resident_mb(collector)} MB")
        assert told["200"] == AGENTS
        assert _resident_mb(collector) < MOST_MB
    finally:
        faults = end([collector], 180)
    assert not faults
    assert "Traceback" not in log.read_text()
    # who is not heard for a minute is told of, which depends on the machine; refused requests are not
    assert len([line for line in log.read_text().splitlines() if " alerts.engine: " not in line]) < 100
    reader = ArchiveReader(tmp_path / "data" / "archive")
    rows = reader.keys("window")
    reader.close()
    assert len(rows) == len(set(rows)) == AGENTS
