"""The house keeps its shape: who may import whom, what is pure, how long a file may be."""

from __future__ import annotations

import ast
import importlib
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 300

ALLOWED: dict[str, set[str]] = {
    "linkgauge": set(),
    "probes": {"linkgauge"},
    "collector": {"linkgauge"},
    "quality": {"linkgauge"},
    "alerts": {"linkgauge", "quality"},
    "dashboards": {"linkgauge"},
    "lab": {"linkgauge"},
    "console": {"linkgauge", "probes", "collector", "quality", "alerts", "dashboards", "lab"},
}
"""Each room and the other rooms that it may import (docs/architecture.md)."""

OUTSIDE = {
    "socket", "asyncio", "time", "subprocess", "random", "threading", "httpx", "sqlite3",
    "select", "selectors", "multiprocessing",
}  # fmt: skip
"""Modules that reach sockets, clocks, processes or chance; a pure file takes values instead."""

PURE = [
    *(f"linkgauge/{name}.py" for name in ("plan", "packing", "own_tables", "rollup_tables", "window_table")),
    *(f"linkgauge/{name}.py" for name in ("certificate", "merged")),
    *(f"linkgauge/{name}.py" for name in ("model", "schema", "frame", "histogram", "wire", "compute_id")),
    "linkgauge/words.py",
    "linkgauge/maintenance.py",
    *(f"linkgauge/{name}.py" for name in ("mesh", "link_tags", "inventory_faults", "magnitude")),
    "collector/plans/timetable.py",
    *(f"console/{name}.py" for name in ("inventory_notes", "packet_notes", "receiver_notes")),
    "console/alert_groups.py",
    "probes/stamp/*.py",
    *(f"probes/path/{name}.py" for name in ("book", "event", "extension", "fingerprint", "hops", "mtu")),
    *(f"probes/path/{name}.py" for name in ("rota", "row", "shift", "sizes", "sweep", "watch", "way")),
    "probes/engine/delays.py",
    *(f"probes/icmp/{name}.py" for name in ("packet", "arrivals", "targets")),
    *(f"probes/engine/{name}.py" for name in ("keyless", "noted")),
    *(f"probes/upload/{name}.py" for name in ("pace", "route")),
    "linkgauge/answer.py",
    "probes/throughput/report.py",
    "probes/throughput/turns.py",
    "quality/**/*.py",
    *(f"alerts/{folder}/*.py" for folder in ("evaluation", "causes", "roll")),
    *(f"alerts/{name}.py" for name in ("rule", "quantity", "event", "backtest")),
    *(f"alerts/grafana/{name}.py" for name in ("alertmanager", "muted", "policies", "rules", "teams")),
    *(f"alerts/receivers/{name}.py" for name in ("told", "pace", "message")),
    *(f"collector/{name}.py" for name in ("admission", "cut", "possible_links")),
    "collector/http/page.py",
    "collector/plans/plan.py",
    *(f"collector/sinks/{name}.py" for name in ("line_protocol", "influx_reply", "cardinality")),
    *(f"collector/rollup/{name}.py" for name in ("merge", "slot")),
    *(
        f"lab/{name}.py"
        for name in (
            "topology",
            "delay_line",
            "routing",
            "faults/fault",
            "faults/truths",
            "faults/nft",
            "faults/shapes",
        )
    ),
    *(f"console/{name}.py" for name in ("beginning", "pipeline", "reasons", "unfit")),
    *(f"console/probe/{name}.py" for name in ("shot", "result", "judgement")),
]
"""Files, or all files of a folder, that reach nothing outside themselves."""

FILES = sorted(path for room in ALLOWED for path in (ROOT / room).rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]
EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=IDS)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full module name of each absolute import anywhere in the file."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module


@EVERY_FILE
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    rooms = set(ALLOWED) - {room}
    wrong = [
        f"line {line}: {room} may not import {name}"
        for line, name in _imports(path)
        if (top := name.partition(".")[0]) == "tests" or (top in rooms and top not in ALLOWED[room])
    ]
    assert wrong == []


@EVERY_FILE
def test_imports_are_absolute_and_by_name(path: Path) -> None:
    froms = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in froms if node.level] == []
    assert [node.lineno for node in froms if any(alias.name == "*" for alias in node.names)] == []
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if ast.unparse(call.func) in ("__import__", "exec", "eval")] == []


@pytest.mark.parametrize("pattern", PURE)
def test_pure_files_reach_nothing_outside(pattern: str) -> None:
    paths = [path for path in sorted(ROOT.glob(pattern)) if path.name != "__init__.py"]
    assert paths, f"{pattern} is declared pure, but is not there; correct the list or the file's name"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in _imports(path)
        if name.partition(".")[0] in OUTSIDE
    ]
    assert wrong == []


@EVERY_FILE
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@EVERY_FILE
def test_a_file_states_its_contract_and_is_named_for_one_noun(path: Path) -> None:
    if path.name == "__init__.py":
        return
    assert ast.get_docstring(_tree(path)), "a file begins with a docstring that states its contract"
    assert path.stem not in {"utils", "util", "common", "base", "helpers", "misc"}


def _packages() -> list[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = config["tool"]["setuptools"]["packages"]
    return packages


@pytest.mark.parametrize("package", _packages())
def test_packages_are_those_of_this_checkout(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT.joinpath(*package.split("."), "__init__.py")


def test_every_folder_with_code_is_packaged() -> None:
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}
    assert folders == set(_packages())
    assert set(ALLOWED) <= folders
