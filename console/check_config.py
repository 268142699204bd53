"""`linkgauge check-config`: read configuration files as the programs do, and say every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from collector.settings import Settings as CollectorSettings
from linkgauge import inventory
from linkgauge.errors import ConfigError
from probes import settings as agent_settings


def run(
    files: Annotated[list[Path], typer.Argument(help="Inventory, agent or collector settings.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check inventory.yaml, agent.yaml or collector.yaml; which it is, its keys say. Exit 1 on a fault."""
    results = [check(path) for path in files]
    for result in results:
        if not as_json:
            print(
                "\n".join(result["faults"]) if result["faults"] else f"{result['file']}: {result['summary']}"
            )
    if as_json:
        print(json.dumps({"files": results}, ensure_ascii=False))
    if any(result["faults"] for result in results):
        raise typer.Exit(1)


def check(path: Path) -> dict[str, Any]:
    """Kind, one-line summary and faults of one file."""
    kind = _kind(path)
    result: dict[str, Any] = {"file": str(path), "kind": kind, "summary": "", "faults": []}
    try:
        result["summary"] = _SUMMARIES[kind](path)
    except ConfigError as err:
        result["faults"] = list(err.faults)
    return result


def _kind(path: Path) -> str:
    try:
        keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return "inventory"  # its reader says what is wrong
    if isinstance(keys, dict) and "node" in keys:
        return "agent"
    return "collector" if isinstance(keys, dict) and "inventory" in keys else "inventory"


def _inventory(path: Path) -> str:
    made = inventory.load(path)
    return (
        f"inventory with {len(made.sites)} sites, {len(made.nodes)} nodes, {len(made.networks)} networks, "
        f"{len(made.links)} links"
    )


def _agent(path: Path) -> str:
    made = agent_settings.load(path)
    agent_settings.read_token(made)
    return f"settings of agent {made.node}, reports to {', '.join(made.collectors)}"


def _collector(path: Path) -> str:
    made = CollectorSettings.load(path)
    summary = _inventory(made.inventory)
    return f"settings of collector {made.name} at {made.listen}, {summary}"


_SUMMARIES = {"inventory": _inventory, "agent": _agent, "collector": _collector}
