"""The floor: our sender and reflector in C (folder floor/), compiled when a benchmark needs them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.world import World, running

NO_COMPILER = "no C compiler"
PORT = 8862
BARE = "-"
_SOURCES = Path(__file__).resolve().parent / "floor"


@dataclass(frozen=True, slots=True)
class Floor:
    """The compiled programs."""

    send: str
    reflect: str


@contextlib.contextmanager
def floor() -> Iterator[Floor | None]:
    """Both programs in a temporary folder; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("send", "reflect"):
            source = str(_SOURCES / f"{name}.c")
            subprocess.run([compiler, "-O2", "-o", f"{folder}/{name}", source], check=True)
        yield Floor(f"{folder}/send", f"{folder}/reflect")


@dataclass(frozen=True, slots=True)
class Load:
    """What the C sender does. rate_pps 0: as fast as replies come. tail: octets after the first 44, hex."""

    targets: int
    rate_pps: float
    batch: int
    seconds: float
    transmit_stamps: bool = False
    tail: str = BARE
    warm_s: float = 0.5


def argv(programs: Floor, load: Load, first_target: str, port: int = PORT) -> list[str]:
    """The command of the C sender."""
    return [
        programs.send, first_target, str(port), str(load.targets), str(load.rate_pps), str(load.batch),
        str(load.warm_s), str(load.seconds), str(int(load.transmit_stamps)), load.tail,
    ]  # fmt: skip


def send(programs: Floor, world: World, load: Load, first_target: str) -> dict[str, Any]:
    """Run the C sender towards the C reflector; what it printed: answered, cpu_s, per_cpu_s and more."""
    command = world.at_sender(argv(programs, load, first_target))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def reflector(programs: Floor, world: World, log: Path | None = None) -> Iterator[None]:
    """The C reflector at the far end, at PORT of all its addresses, on its core."""
    command = [programs.reflect, str(PORT), *([str(log)] if log else [])]
    with running(world.at_reflector(command), ready="ready"):
        yield
