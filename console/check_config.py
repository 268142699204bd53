"""`linkgauge check-config`: read configuration files as the programs do, and say every fault in one go.

The files that they name are read as well: tokens, keys, certificates, passwords. A file with faults is read
as far as it goes, so that one run tells all that can be told. Notes are no faults.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import BaseModel

from alerts.grafana.teams import teams_of
from alerts.rule import load_rules
from collector.http.tokens import Tokens
from collector.settings import Settings as CollectorSettings
from collector.settings import Tls
from console import inventory_notes, receiver_notes
from linkgauge import inventory
from linkgauge.client_tls import ClientTls
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError
from linkgauge.inventory_file import InventoryFile
from linkgauge.yaml_lines import Lines
from probes import settings as agent_settings
from probes.upload.collector_client import CollectorClient


@dataclass(slots=True)
class Found:
    """What is said of one file. nodes: of the inventory that it is or names, as far as that can be read.

    node: the one that an agent's settings are of.
    """

    file: str
    kind: str
    summary: str = ""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inventory: str = ""
    nodes: frozenset[str] = frozenset()
    node: str | None = None


def run(
    files: Annotated[list[Path], typer.Argument(help="Inventory, agent or collector settings.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check inventory.yaml, agent.yaml or collector.yaml; which it is, its keys say. Exit 1 on a fault."""
    results = check_all(files)
    if as_json:
        keys = ("file", "kind", "summary", "faults", "notes")
        told = [{key: getattr(result, key) for key in keys} for result in results]
        print(json.dumps({"files": told}, ensure_ascii=False))
    else:
        _print(results)
    if any(result.faults for result in results):
        raise typer.Exit(1)


def _print(results: Sequence[Found]) -> None:
    """Each fault once, though a file may be given and named by another as well; at the end their number."""
    faults: dict[str, None] = {}
    for result in results:
        new = [fault for fault in result.faults if fault not in faults]
        faults.update(dict.fromkeys(new))
        lines = new if result.faults else [f"{result.file}: {result.summary}"]
        print("".join(f"{line}\n" for line in (*lines, *result.notes)), end="")
    if faults:
        wrong = sum(bool(result.faults) for result in results)
        print(f"{_number(len(faults), 'fault')} in {wrong} of {_number(len(results), 'file')}")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def check_all(paths: Sequence[Path]) -> list[Found]:
    """What is said of each file, and of one by another: the node of an agent by the inventories given."""
    results = [check(path) for path in paths]
    known = [result for result in results if result.nodes]
    for result in results:
        if result.node and known and all(result.node not in each.nodes for each in known):
            names = ", ".join(sorted({each.inventory for each in known}))
            sentence = f"node: {result.node} is no node of {names}; add it there or correct the name"
            line = Lines(Path(result.file).read_text(encoding="utf-8")).before(sentence)
            result.faults.append(f"{result.file}: {line}{sentence}")
    return results


def check(path: Path) -> Found:
    """Faults of one file, and notes: what is allowed there and probably not meant."""
    found = Found(str(path), _kind(path))
    try:
        _CHECKS[found.kind](path, found)
    except ConfigError as err:
        found.faults += err.faults
    return found


def _kind(path: Path) -> str:
    """By what most of its keys belong to; the inventory's reader says what is wrong with a file of none."""
    try:
        keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return "inventory"
    named = set(map(str, keys)) if isinstance(keys, dict) else set()
    known = {kind: len(named & set(model.model_fields)) for kind, model in _MODELS.items()}
    marks = {"agent": "node" in named, "collector": "inventory" in named}
    return max(known, key=lambda kind: (known[kind], marks.get(kind, False)))


def _faults(checks: Sequence[Callable[[], object]]) -> list[str]:
    """Run every check; the faults of all, each once."""
    faults: dict[str, None] = {}
    for one in checks:
        try:
            one()
        except ConfigError as err:
            faults.update(dict.fromkeys(err.faults))
    return list(faults)


def _inventory(path: Path, found: Found) -> None:
    if (made := _read(path, found)) is None:
        return
    found.summary = _words(made)
    told = inventory_notes.notes(made, load_rules(), SystemClock().now().wall_ns)
    found.notes = [f"{path}: note: {note}" for note in told]


def _read(path: Path, found: Found) -> inventory.Inventory | None:
    """The inventory, None with its faults told where it has some."""
    partly = inventory.partly(path)
    found.faults += partly.faults
    found.inventory = str(path)
    found.nodes = frozenset(node.name for node in partly.model.nodes) if partly.model else frozenset()
    return None if partly.faults or partly.model is None else inventory.build(partly.model, str(path))


def _words(made: inventory.Inventory) -> str:
    return (
        f"inventory with {len(made.sites)} sites, {len(made.nodes)} nodes, {len(made.networks)} networks, "
        f"{len(made.links)} links"
    )


def _agent(path: Path, found: Found) -> None:
    partly = agent_settings.partly(path)
    found.faults += partly.faults
    if (made := partly.model) is None:
        return
    told = _faults(
        [
            lambda: agent_settings.read_token(made),
            lambda: agent_settings.keys(made),
            lambda: CollectorClient(
                made.collectors, "unused", ClientTls(made.ca_file, made.certificate, made.key)
            ),
            lambda: _folder(path, made.data_dir),
        ]
    )
    found.faults += partly.reading.of_the_file(told)
    found.node = None if made.node in partly.reading.names else made.node
    if not found.faults:
        keyed = f", {len(agent_settings.keys(made))} HMAC keys" if made.keys_file else ""
        found.summary = f"settings of agent {made.node}, reports to {', '.join(made.collectors)}{keyed}"


def _collector(path: Path, found: Found) -> None:
    partly = CollectorSettings.partly(path)
    found.faults += partly.faults
    if (made := partly.model) is None:
        return

    named = Found(found.file, found.kind)
    read: list[inventory.Inventory | None] = []
    told = _faults([lambda: read.append(_read(made.inventory, named)), *_named_by(path, made)])
    found.faults += partly.reading.of_the_file([*named.faults, *told])
    found.inventory, found.nodes = named.inventory, named.nodes
    if read and (links := read[0]) is not None and not partly.faults:
        notes = receiver_notes.notes(made, teams_of(links).names)
        found.notes = [f"{path}: note: {note}" for note in notes]
        found.summary = f"settings of collector {made.name} at {made.listen}, {_words(links)}"


def _named_by(path: Path, made: CollectorSettings) -> Iterator[Callable[[], object]]:
    """A check for each file that collector settings name, the inventory aside."""
    yield lambda: Tokens.load(made.tokens)
    yield lambda: _folder(path, made.data_dir)
    if tls := made.tls:
        yield lambda: _tls(path, tls)
    if hot := made.influxdb:
        yield from (hot.password, hot.token, lambda: ClientTls(hot.ca_file))
    if peer := made.peer:
        yield from (peer.token, lambda: ClientTls(peer.ca_file, peer.certificate, peer.key))
    yield from (hook.token for hook in made.webhooks)
    yield from (secret for each in made.receivers for secret in each.secrets())
    yield from (partial(ClientTls, each.ca_file) for each in made.receivers)


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


_CHECKS = {"inventory": _inventory, "agent": _agent, "collector": _collector}
_MODELS: dict[str, type[BaseModel]] = {
    "inventory": InventoryFile,
    "agent": agent_settings.AgentSettings,
    "collector": CollectorSettings,
}
