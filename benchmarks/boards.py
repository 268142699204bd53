"""How long each query of the boards takes on InfluxDB 1.6 with 10 000 links and a day of data.

`python -m benchmarks.boards [--quick]` prints one JSON document. A real influxd of its own is filled through
the collector's sink: the last hour of all links in windows of 10 s, the 23 hours before in one window of 5
minutes (every window would be 86 million rows), a few links with everything in all windows of the day; see
benchmarks.boards_load. Then each query is asked three times over the last 24 hours, as Grafana would send it,
or over the span that its panel has; the median counts, beside influxd's processor seconds. At last a whole
board is opened: all of its queries, six at a time. Needs influxd; without it the figures are null. --quick: a
tenth of the links. Filling takes ten minutes and more.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.boards_load import DATABASES, DAY_S, Load, world
from benchmarks.machine import Goal, at_most, note, quick, show
from console.demo.influxd import start_influxd
from console.demo.processes import end
from dashboards.asking import Asked, asked, sent
from dashboards.boards import boards
from dashboards.ranking import WORST as LOWEST
from dashboards.trouble import WORST
from linkgauge.model import Link

NODES = 32 if quick() else 101
STEP_S = 60
"""Grafana's `$__interval` for a day on a panel of 1 440 pixels."""
TIMES, AT_ONCE = 3, 6
_SPANS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
Chosen = Mapping[str, Sequence[str]]


def main() -> None:
    if shutil.which("influxd") is None:
        why = "there is no influxd on this machine"
        goals = [at_most(f"slowest query of the board {name}, s", 1, None, why) for name in boards()]
        show("boards", "loopback", {}, goals)
        return
    with tempfile.TemporaryDirectory() as folder, _influxd(Path(folder)) as (url, pid):
        inventory = world(NODES)
        load = Load(url, inventory)
        end_s = int(time.time()) // 300 * 300
        for part in load.fill(end_s):
            note(part)
        load.close()
        found = {
            name: _board(url, pid, list(asked(board)), _chosen(name, load), end_s)
            for name, board in boards().items()
        }
        size = {"links": len(inventory.links), "rows": load.rows, "hours": DAY_S // 3_600}
        setting = "loopback, influxd 1.6 with its defaults, the day before the end of the data"
        show("boards", setting, {**size, "boards": found}, _goals(found))


@contextmanager
def _influxd(folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and process id."""
    started = start_influxd(folder)
    if started is None:
        raise RuntimeError("influxd was there and is gone")
    child, url = started
    try:
        yield url, child.process.pid
    finally:
        end([child])


def _chosen(board: str, load: Load) -> Chosen:
    """What stands in the variables: All, but where exactly one is chosen, and where a query finds some. The
    private network is the one with the many links."""
    link = Link.parse(load.few[0])
    one = {"private": ["backbone"], "other": ["vpn"]} if board == "private" else {}
    found = {"worst": load.few[:WORST], "lowest": load.links[:LOWEST], "sites": load.sites}
    return {"link": [str(link)], "class": ["0"], "ends": [link.src, link.dst], **found, **one}


def _board(url: str, pid: int, queries: Sequence[Asked], chosen: Chosen, end_s: int) -> dict[str, Any]:
    """Seconds of each query, of the clock and of influxd's processor, and of opening the board."""
    with httpx.Client(timeout=300, trust_env=False) as client:

        def ask(one: Asked) -> tuple[float, int]:
            return _asked(client, f"{url}/query", one, chosen, end_s)

        each = {}
        for one in queries:
            before_s = cpu_of(pid)
            runs = [ask(one) for _ in range(TIMES)]
            each[one.name] = {
                "s": round(median(run[0] for run in runs), 3),
                "cpu_s": round((cpu_of(pid) - before_s) / TIMES, 3),
                "rows": runs[0][1],
            }
        began_s = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(ask, [one for one in queries if one.opened]))
        opened_s = time.monotonic() - began_s
    slowest = max(each, key=lambda name: each[name]["s"])
    note(f"{len(each)} queries, slowest {slowest}: {each[slowest]['s']} s; opened in {opened_s:.1f} s")
    return {
        "opened_s": round(opened_s, 2),
        "slowest_s": each[slowest]["s"],
        "slowest": slowest,
        "empty": [name for name, told in each.items() if not told["rows"]],
        "queries": each,
    }


def cpu_of(pid: int) -> float:
    """Processor seconds of a process so far (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _asked(client: httpx.Client, url: str, one: Asked, chosen: Chosen, end_s: int) -> tuple[float, int]:
    """Seconds until the answer was read, and its rows."""
    span_s = int(one.last[:-1]) * _SPANS_S[one.last[-1]] if one.last else DAY_S
    text = sent(one.query, chosen, (end_s - span_s) * 1000, end_s * 1000, STEP_S)
    began_s = time.monotonic()
    reply = client.post(url, params={"db": DATABASES[one.source], "epoch": "ms"}, data={"q": text})
    took_s = time.monotonic() - began_s
    (result,) = reply.json()["results"]
    if "error" in result:
        raise RuntimeError(f"{one.name}: InfluxDB says {result['error']}")
    return took_s, sum(len(series["values"]) for series in result.get("series", []))


def _goals(found: Mapping[str, Mapping[str, Any]]) -> list[Goal]:
    return [
        at_most(f"slowest query of the board {name}, s", 1, told["slowest_s"]) for name, told in found.items()
    ]


if __name__ == "__main__":
    main()
