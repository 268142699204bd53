"""The pipeline at a glance: what is told of stores, outboxes and the collector itself, in words. Pure.

Reads the JSON of /v1/status and /v1/agents; a key that an older collector does not tell counts as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alerts.receivers.told import readable

LAG_S = 120.0
"""A sink that has no trouble is behind above this: the archive gathers for a minute."""
ROLLUPS_LATE_S = 3600.0
WAITING_S = 60.0
PLAN_AGE_S = 600.0
CERTIFICATE_DAYS = 14.0
REFUSALS = 5
"""Lines of those who were refused."""
Told = Mapping[str, Any]


def troubles(status: Told, agents: Sequence[Told]) -> list[str]:
    """One sentence for each thing in the pipeline that somebody should look at."""
    return [
        *_sinks(status),
        *_journal(status),
        *_archive(status),
        *_letters(status),
        *status.get("store", {}).get("warnings", ()),
        *_rollups(status),
        *_receivers(status),
        *_own(status),
        *_refusals(status),
        *_agents(status, agents),
    ]


def glance(status: Told) -> str:
    """One line: journal, dead letters, roll-ups, duty, certificate, head of the archive."""
    journal, counters = status.get("journal", {}), status.get("counters", {})
    parts = [
        f"journal {journal.get('octets', 0) / 1e6:.1f} MB, {journal.get('dropped', 0)} dropped in its life",
        f"dead letters {_letters_kept(status)}",
        f"roll-ups due {status.get('rollups', {}).get('due', 0)}",
        f"batches {counters.get('batches_accepted_total', 0):.0f} taken, {_refused(counters)} refused",
    ]
    if not status.get("on_duty", True):
        parts.append("standby: the peer's verdicts count")
    days = status.get("certificate", {}).get("days_left")
    if days is not None:
        parts.append(f"certificate {days:.0f} days")
    if head := status.get("archive", {}).get("head"):
        parts.append(f"archive {head[:12]}…")
    return "; ".join(parts)


def sink_rows(status: Told) -> Iterator[tuple[str, str, str, str]]:
    """For each sink: name, batches that wait, age of the oldest, how it is."""
    for name, sink in status.get("sinks", {}).items():
        how = sink["trouble"] or ("well" if sink.get("alive", True) else "its thread does not run")
        yield name, str(sink["backlog_batches"]), f"{sink.get('lag_s', 0):.0f} s", how


def _sinks(status: Told) -> Iterator[str]:
    for name, sink in status.get("sinks", {}).items():
        waiting = f"{sink['backlog_batches']} batches wait"
        if sink["trouble"]:
            yield f"sink {name} takes nothing, {waiting}: {sink['trouble']}"
        elif not sink.get("alive", True):
            yield f"sink {name} does not run, {waiting}: restart the collector"
        elif sink.get("lag_s", 0) > LAG_S:
            yield f"sink {name} is behind, {waiting}, the oldest for {sink['lag_s']:.0f} s"


def _receivers(status: Told) -> Iterator[str]:
    for receiver in status.get("receivers", ()):
        who = f"receiver {receiver['name']}"
        waiting = f"{receiver['waiting']} notices of alerts wait"
        if receiver["trouble"] and receiver["waiting"]:
            since = readable(receiver["trouble_since"])
            yield f"{who} takes nothing since {since}, {waiting}: {receiver['trouble']}"
        elif receiver["trouble"]:
            yield f"{who} is in trouble: {receiver['trouble']}"
        if receiver["dropped"]:
            yield f"{who} missed {receiver['dropped']} notices that fell to the bound on what waits"


def _journal(status: Told) -> Iterator[str]:
    journal = status.get("journal", {})
    lost = journal.get("dropped_lately", 0)
    if lost:
        yield f"{lost} batches fell to the journal's bounds since the collector began: some store lacks them"
    if journal.get("damaged"):
        yield f"the journal was damaged and moved aside {journal['damaged']} times; see the collector's log"
    for part in ("journal", "inventory", "tokens", "certificate"):
        if fault := status.get(part, {}).get("fault"):
            yield str(fault)


def _archive(status: Told) -> Iterator[str]:
    if trouble := status.get("archive", {}).get("trouble"):
        yield f"small files of the archive stay, and old ones too: {trouble}"


def _letters(status: Told) -> Iterator[str]:
    if kept := _letters_kept(status):
        yield f"{kept} dead letters are kept; look with `linkgauge dead-letters`"


def _rollups(status: Told) -> Iterator[str]:
    rollups = status.get("rollups", {})
    if rollups.get("trouble"):
        yield f"roll-ups are not made: {rollups['trouble']}"
    elif not rollups.get("alive", True):
        yield "roll-ups are not made, their thread does not run: restart the collector"
    elif rollups.get("oldest_s", 0) > ROLLUPS_LATE_S:
        yield f"{rollups['due']} roll-ups are due, the oldest for {rollups['oldest_s'] / 3600:.1f} h"


def _own(status: Told) -> Iterator[str]:
    days = status.get("certificate", {}).get("days_left")
    if days is not None and days < 0:
        yield f"the collector's certificate expired {-days:.0f} days ago: agents are refused"
    elif days is not None and days < CERTIFICATE_DAYS:
        yield f"the collector's certificate expires in {days:.0f} days: put a new one in its place"
    counters = status.get("counters", {})
    if faults := sum(value for key, value in counters.items() if key.startswith("faults_total")):
        yield f"{faults:.0f} unexpected faults since the collector began; its log has them"


def _refusals(status: Told) -> Iterator[str]:
    found = status.get("refused", ())
    for one in found[:REFUSALS]:
        who = f"{one['who']} (an address of {one['node']})" if one.get("node") else one["who"]
        yield f"{who} was refused {one['times']} times, {one['age_s']:.0f} s ago: {one['sentence']}"
    if len(found) > REFUSALS:
        yield f"{len(found) - REFUSALS} more were refused lately; see --json"


def _agents(status: Told, agents: Sequence[Told]) -> Iterator[str]:
    health = {agent["agent"]: agent.get("health") or {} for agent in agents}
    waiting = [name for name, row in health.items() if (row.get("outbox_oldest_s") or 0) > WAITING_S]
    if waiting:
        batches = sum(health[name].get("outbox_batches", 0) for name in waiting)
        yield f"{len(waiting)} agents cannot hand over, {batches} batches wait there: {some(waiting)}"
    deferred = [name for name, row in health.items() if row.get("upload_deferred")]
    if deferred:
        yield f"{len(deferred)} agents hold batches until clock, name or version is mended: {some(deferred)}"
    if dropped := status.get("agents", {}).get("dropped", {}):
        lost = sum(dropped.values())
        yield f"{len(dropped)} agents lost {lost} batches since the collector began: {some(list(dropped))}"
    stale = [name for name, row in health.items() if (row.get("plan_age_s") or 0) > PLAN_AGE_S]
    if stale:
        yield f"{len(stale)} agents work by a plan older than {PLAN_AGE_S / 60:.0f} min: {some(stale)}"


def _letters_kept(status: Told) -> int:
    return int(status.get("counters", {}).get("dead_letters:kept", 0))


def _refused(counters: Mapping[str, float]) -> int:
    return int(sum(value for key, value in counters.items() if key.startswith("batches_refused_total")))


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
