"""`linkgauge check-config`: read configuration files as the programs do, and say every fault.

The files that they name are read as well: tokens, keys, certificates, passwords. Notes are no faults.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from alerts.rule import load_rules
from collector.http.tokens import Tokens
from collector.settings import Settings as CollectorSettings
from collector.settings import Tls
from console import inventory_notes
from linkgauge import inventory
from linkgauge.client_tls import ClientTls
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError
from probes import settings as agent_settings
from probes.upload.collector_client import CollectorClient


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
            print("".join(f"{note}\n" for note in result["notes"]), end="")
    if as_json:
        print(json.dumps({"files": results}, ensure_ascii=False))
    if any(result["faults"] for result in results):
        raise typer.Exit(1)


def check(path: Path) -> dict[str, Any]:
    """Kind, one-line summary, faults of one file, and notes: what is allowed there and probably not meant."""
    kind = _kind(path)
    result: dict[str, Any] = {"file": str(path), "kind": kind, "summary": "", "faults": [], "notes": []}
    try:
        result["summary"] = _SUMMARIES[kind](path)
        if kind == "inventory":
            rules, now_ns = [rule.name for rule in load_rules()], SystemClock().now().wall_ns
            found = inventory_notes.notes(inventory.load(path), rules, now_ns)
            result["notes"] = [f"{path}: note: {note}" for note in found]
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


def _all(checks: Sequence[Callable[[], object]]) -> None:
    """Run every check; raises one ConfigError with the faults of all."""
    faults: dict[str, None] = {}
    for one in checks:
        try:
            one()
        except ConfigError as err:
            faults.update(dict.fromkeys(err.faults))
    if faults:
        raise ConfigError(*faults)


def _inventory(path: Path) -> str:
    made = inventory.load(path)
    return (
        f"inventory with {len(made.sites)} sites, {len(made.nodes)} nodes, {len(made.networks)} networks, "
        f"{len(made.links)} links"
    )


def _agent(path: Path) -> str:
    made = agent_settings.load(path)
    _all(
        [
            lambda: agent_settings.read_token(made),
            lambda: agent_settings.keys(made),
            lambda: CollectorClient(
                made.collectors, "unused", ClientTls(made.ca_file, made.certificate, made.key)
            ),
            lambda: _folder(path, made.data_dir),
        ]
    )
    keyed = f", {len(agent_settings.keys(made))} HMAC keys" if made.keys_file else ""
    return f"settings of agent {made.node}, reports to {', '.join(made.collectors)}{keyed}"


def _collector(path: Path) -> str:
    made = CollectorSettings.load(path)
    hot = made.influxdb
    _all(
        [
            lambda: _inventory(made.inventory),
            lambda: Tokens.load(made.tokens),
            lambda: _folder(path, made.data_dir),
            lambda: _tls(path, made.tls) if made.tls else None,
            lambda: hot.password() if hot else None,
            lambda: hot.token() if hot else None,
            *(hook.token for hook in made.webhooks),
            *(secret for each in made.receivers for secret in each.secrets()),
            *(partial(ClientTls, each.ca_file) for each in made.receivers),
        ]
    )
    return f"settings of collector {made.name} at {made.listen}, {_inventory(made.inventory)}"


def _folder(path: Path, folder: Path) -> None:
    """A data folder may be missing, but what is there must be a folder that can be written."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: data_dir: {folder} cannot be made or written; name another folder")


def _tls(path: Path, tls: Tls) -> None:
    try:
        # a key with a pass phrase is a fault: nobody is there to type it
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, lambda: "")
    except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
        words = getattr(err, "reason", None) or getattr(err, "strerror", None) or type(err).__name__
        raise ConfigError(
            f"{path}: tls: {tls.certificate} and {tls.key} cannot be used as certificate and key ({words}); "
            "give readable PEM files that belong together"
        ) from None


_SUMMARIES = {"inventory": _inventory, "agent": _agent, "collector": _collector}
