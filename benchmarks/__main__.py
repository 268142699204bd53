"""Runs every benchmark of this folder and prints one JSON document: module name to what it printed.

A benchmark is a module with a function `main` that, run as `python -m benchmarks.<name>`, prints one JSON
document to standard output. Exit code 1 when one failed; the others still run. --quick: short runs, to try.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LIMIT_S = 1800


def names(folder: Path) -> list[str]:
    """Modules of the folder that have a function `main`, by name."""
    return sorted(path.stem for path in folder.glob("[!_]*.py") if _has_main(path))


def _has_main(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def run(name: str, root: Path) -> Any:
    """What the benchmark printed; raises RuntimeError with one sentence."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]
    try:
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"benchmarks/{name}.py took longer than {LIMIT_S} s") from None
    except subprocess.CalledProcessError as err:
        raise RuntimeError(f"benchmarks/{name}.py ended with {err.returncode}") from None
    except ValueError:
        raise RuntimeError(f"benchmarks/{name}.py did not print one JSON document") from None


def main() -> int:
    folder = Path(__file__).resolve().parent
    figures: dict[str, Any] = {}
    failed = False
    for name in names(folder):
        print(f"benchmarks.{name} ...", file=sys.stderr)
        try:
            figures[name] = run(name, folder.parent)
        except RuntimeError as err:
            figures[name], failed = {"error": str(err)}, True
    print(json.dumps(figures, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
