"""`linkgauge status`: what the collector knows, at a glance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from console import alert_groups, pipeline
from console.asking import CaFile, Certificate, CollectorUrl, Key, TokenFile, asking
from console.beginning import Beginning
from console.demo.view import VERDICT_STYLES, links_table
from console.pipeline import some
from console.reasons import SILENT_AFTER_S, divergence_words, flow_words, why_unknown
from console.unfit import unfit_words

_REASONS = 12
"""Lines of reasons that are shown."""
_FILE_WIDTH = 160
"""Columns where there is no terminal: nothing is cut."""


def run(
    collector: CollectorUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    certificate: Certificate = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show links, agents, alerts by what explains them, and sinks; and why a verdict is unknown.

    Exit 0 when all is well, 1 when something is not.
    """
    asked = asking(collector, token_file, ca_file, certificate, key)
    told = {name: asked.get(f"/v1/{name}") for name in ("links", "agents", "nodes", "alerts", "status")}
    troubles, unknown = find_troubles(told), reasons(told)
    if as_json:
        print(json.dumps({**told, "troubles": troubles, "unknown": unknown}, ensure_ascii=False))
    else:
        _show(told, troubles, unknown)
    if troubles:
        raise typer.Exit(1)


def reasons(told: dict[str, Any]) -> dict[str, list[str]]:
    """Link -> why its verdict is unknown, for those of which it is."""
    agents, beginning = {agent["agent"]: agent for agent in told["agents"]}, Beginning.of(told["status"])
    found = {link["link"]: why_unknown(link, agents, beginning) for link in told["links"]}
    return {link: why for link, why in found.items() if why}


def find_troubles(told: dict[str, Any]) -> list[str]:
    """One sentence for each thing that somebody should look at."""
    troubles = alert_groups.troubles(told["alerts"], told["nodes"])
    drilled = {node["node"] for node in told["nodes"] if node.get("drill")}
    missed = [
        link["link"]
        for link in told["links"]
        if link["verdict"] == "missed" and link["tags"]["dst"] not in drilled
    ]
    if missed:
        troubles.append(f"{len(missed)} links miss their objectives: {some(missed)}")
    troubles += _silence(told, Beginning.of(told["status"]))
    for say in (flow_words, divergence_words):
        troubles += [words for link in told["links"] if (words := say(link)) is not None]
    return troubles + pipeline.troubles(told["status"], told["agents"])


def _silence(told: dict[str, Any], beginning: Beginning) -> Iterator[str]:
    """Of whom nothing is heard, though it should be by now."""
    seen_s = {agent["agent"]: agent["last_seen_s"] for agent in told["agents"]}
    silent = [name for name, at_s in seen_s.items() if _long_ago(at_s, beginning)]
    if silent:
        yield (
            f"{len(silent)} agents are silent: {some(silent)}; there look at `linkgauge outbox` and at the "
            "agent's log (`journalctl -u linkgauge-agent`)"
        )
    refused = sorted({link["tags"]["dst"] for link in told["links"] if _refused(link)})
    if refused:
        yield (
            f"{len(refused)} nodes refuse STAMP, their agents do not run or cannot bind the port (see their"
            f" logs): {some(refused)}"
        )
    dark = [
        link["link"]
        for link in told["links"]
        if seen_s.get(link["tags"]["src"], 0.0) is not None
        and link["tags"]["src"] not in silent
        and _long_ago(link["age_s"], beginning)
    ]
    if dark and not beginning.just_begun:
        yield f"{len(dark)} links are not measured though their agents report: {some(dark)}"


def _long_ago(seconds: float | None, beginning: Beginning) -> bool:
    return not beginning.early if seconds is None else seconds > SILENT_AFTER_S


def _refused(link: dict[str, Any]) -> bool:
    stamp = (link.get("probes") or {}).get("stamp") or {}
    return bool(stamp.get("sent")) and stamp.get("refused", 0) == stamp["sent"]


def _show(told: dict[str, Any], troubles: list[str], unknown: dict[str, list[str]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    counts = {word: sum(link["verdict"] == word for link in told["links"]) for word in VERDICT_STYLES}
    console.print(
        ", ".join(f"{count} {word}" for word, count in counts.items()), f"of {len(told['links'])} links"
    )
    console.print(links_table(told["links"]))
    console.print(_agents(told["agents"], {node["node"]: node for node in told["nodes"]}))
    console.print(_sinks(told["status"]))
    console.print(Text(pipeline.glance(told["status"])))
    for line in (*_by_reason(unknown), *alert_groups.quiet(told["alerts"], told["nodes"])):
        console.print(Text(line, style="yellow"))
    for trouble in troubles:
        console.print(Text(trouble, style="bold red"))


def _by_reason(unknown: dict[str, list[str]]) -> list[str]:
    """One line for each set of reasons, with the links that share it."""
    links: dict[str, list[str]] = {}
    for link, why in unknown.items():
        links.setdefault("; ".join(why), []).append(link)
    lines = [f"{len(names)} unknown, {some(names)}: {why}" for why, names in links.items()]
    more = [f"and {len(lines) - _REASONS} more reasons, see --json"] if len(lines) > _REASONS else []
    return lines[:_REASONS] + more


def _sinks(status: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("sink", "waiting", "oldest", "state"):
        table.add_column(name)
    for row in pipeline.sink_rows(status):
        table.add_row(*row)
    return table


def _fitness(health: dict[str, Any]) -> str:
    if "fit" not in health:
        return "-"
    return "yes" if health["fit"] else unfit_words(health["unfit"]) or "nothing told yet"


def _agents(agents: list[dict[str, Any]], nodes: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("agent", "site", "seen", "fit", "waiting", "dropped", "clock error", "unanswered"):
        table.add_column(name)
    for agent in agents:
        health = agent["health"] or {}
        seen_s = agent["last_seen_s"]
        synchronised = health.get("clock_synchronised")
        error_us = health.get("clock_error_us")
        table.add_row(
            agent["agent"],
            agent["site"],
            "not yet" if seen_s is None else f"{seen_s:.0f} s ago",
            _fitness(health),
            str(health.get("outbox_batches", "-")),
            str(health.get("outbox_dropped", "-")),
            "not synchronised" if synchronised == 0 else "-" if error_us is None else f"{error_us:.0f} us",
            _unanswered(nodes.get(agent["agent"])),
        )
    return table


def _unanswered(node: dict[str, Any] | None) -> str:
    """How many of the links that others measure to it are not answered."""
    return f"{node['links_in_down']} of {node['links_in']}" if node and node["links_in"] else "-"
