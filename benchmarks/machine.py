"""What every benchmark prints about itself: the machine, how to rerun, and figures beside the goals."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure beside what is to be reached; reached None = not measured here, `why` says why."""

    figure: str
    to_reach: str
    reached: float | str | None
    met: bool | None
    why: str = ""


def at_least(figure: str, wanted: float, reached: float | None, why: str = "") -> Goal:
    """A goal that is met from `wanted` on."""
    return Goal(
        figure, f">= {wanted:g}", _short(reached), None if reached is None else reached >= wanted, why
    )


def at_most(figure: str, wanted: float, reached: float | None, why: str = "") -> Goal:
    """A goal that is met up to `wanted`."""
    return Goal(
        figure, f"<= {wanted:g}", _short(reached), None if reached is None else reached <= wanted, why
    )


def ratio(value: float | None, of: float | None) -> float | None:
    """value / of where both are known."""
    return value / of if value is not None and of else None


def median(values: Sequence[float]) -> float | None:
    """The median, None of nothing."""
    return statistics.median(values) if values else None


def show(name: str, setting: str, figures: Mapping[str, Any], goals: Sequence[Goal]) -> None:
    """Print the one JSON document of a benchmark. setting: where the packets went."""
    document = {
        "rerun": f"python -m benchmarks.{name}" + (" --quick" if quick() else ""),
        "machine": machine(),
        "setting": setting,
        **figures,
        "goals": [asdict(goal) for goal in goals],
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


def quick() -> bool:
    """Whether a short run is wanted, for trying it out; --help prints what would be run instead."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__)
        raise SystemExit(0)
    return "--quick" in sys.argv[1:]


def note(words: str) -> None:
    """Say on standard error what is going on."""
    print(words, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """The machine of this run. load_1min: of everything that runs on it, this benchmark included."""
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "commit": _commit(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
